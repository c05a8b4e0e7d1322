/** The matrix leaves no pair of a workload and a mix out, and puts few into one run. */
import { expect, test } from "vitest";
import { runnable, wholeMatrix } from "../../../jepsen-style/processes/matrix.js";
import type { Common } from "../../../jepsen-style/processes/matrix.js";

const COMMON: Common = {
  nodes: 5,
  seconds: 60,
  seed: 1,
  ratePerSecond: 200,
  clients: 5,
  api: "sdk",
  mutant: undefined,
  endpoints: [],
  linksFor: () => "proxies",
};

test.each(["sdk", "grpc"] as const)("every workload meets every mix once: %s", (api) => {
  const common = { ...COMMON, api };
  const plans = wholeMatrix(common);
  const pairs = plans.flatMap(({ workloads, nemeses }) =>
    workloads.map(({ name }) => `${name} ${nemeses.map((each) => each.name).join(",")}`),
  );
  expect(new Set(pairs).size).toBe(pairs.length);
  const of = (workload: string): readonly string[] =>
    plans
      .filter(({ workloads }) => workloads.some(({ name }) => name === workload))
      .map(({ nemeses }) => nemeses.map(({ name }) => name).join(","));
  const mixes = new Set(of("register"));
  expect(of("register").some((mix) => mix.includes("overload"))).toBe(true);
  expect(of("past").some((mix) => mix.includes("overload"))).toBe(false);
  expect(pairs).toHaveLength(runnable(common).length * mixes.size);
  const withBig = plans.filter(({ workloads }) => workloads.some(({ name }) => name === "big"));
  expect(withBig.every(({ workloads }) => workloads.length === 1)).toBe(true);
  expect(Math.max(...plans.map(({ workloads }) => workloads.length))).toBeLessThanOrEqual(4);
});
