/** Which runs make a matrix: workloads together on one cluster, under mixes of nemeses. */
import { WORKLOADS } from "../workloads/workloads.js";
import type { Workload } from "../workloads/workload.js";
import { nemesesNamed } from "./nemeses.js";
import type { RunSettings } from "./settings.js";

/** The faults that go together in a run. */
const MIXES: readonly string[] = [
  "kill",
  "pause",
  "partition",
  "kill,partition",
  "pause,transfer,restart",
  "flap,reset,slow",
  "lossy,narrow,transfer",
  "clock,drift,sleep",
  "stall,disk-error,disk-full",
  "power",
  "power,partition",
  "bitflip,kill",
  "members,transfer,compact",
  "members,kill,partition",
  "all",
];

/** Every workload meets something that stops nodes, something that cuts links, and a slow disk. */
const SHORT: readonly (readonly [workloads: string, nemeses: string])[] = [
  ["register,append,watch,counter", "kill,partition"],
  ["register,set,bank,stale,shards", "power,pause,reset"],
];
const SHORT_SECONDS = 12;
const SHORT_NODES = 3;

/** What of a run the matrix does not decide. */
export type Common = Omit<RunSettings, "workloads" | "nemeses" | "directory">;
export type Planned = Omit<RunSettings, "directory">;

/** Each workload alone under each mix. */
export function wholeMatrix(common: Common): readonly Planned[] {
  return runnable(common).flatMap((workload) =>
    MIXES.map((mix) => ({ ...common, workloads: [workload], nemeses: nemesesNamed(mix) })),
  );
}

export function shortMatrix(common: Common): readonly Planned[] {
  return SHORT.map(([names, mix]) => ({
    ...common,
    nodes: SHORT_NODES,
    clients: SHORT_NODES,
    seconds: SHORT_SECONDS,
    workloads: runnable(common).filter(({ name }) => names.split(",").includes(name)),
    nemeses: nemesesNamed(mix),
  }));
}

/** On this cluster and by this API. */
export function runnable({
  api,
  endpoints,
}: Pick<RunSettings, "api" | "endpoints">): readonly Workload[] {
  return WORKLOADS.filter(
    ({ waitsFor, sdkOnly, ownCluster }) =>
      waitsFor === undefined &&
      (sdkOnly !== true || api === "sdk") &&
      (ownCluster !== true || endpoints.length === 0),
  );
}
