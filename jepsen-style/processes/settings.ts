/** What one run is: every value that it takes to do it again. */
import type { LinkKind } from "./links.js";
import type { Nemesis } from "./nemesis.js";
import type { Workload } from "../workloads/workload.js";

export const APIS = ["sdk", "grpc", "json"] as const;
export type Api = (typeof APIS)[number];

export interface RunSettings {
  /** All at once, on one cluster, each with clients and keys of its own. */
  readonly workloads: readonly Workload[];
  readonly nemeses: readonly Nemesis[];
  readonly nodes: number;
  /** How the nodes reach each other and clients reach them. */
  readonly links: LinkKind;
  readonly seconds: number;
  readonly seed: number;
  /** Of all workloads together. */
  readonly ratePerSecond: number;
  /** Of each workload. */
  readonly clients: number;
  readonly api: Api;
  readonly mutant: string | undefined;
  /** Of a cluster that somebody else started; empty: one is started. */
  readonly endpoints: readonly string[];
  /** Where the report goes. */
  readonly directory: string;
}

/** What a run may take beside its time for faults; then it is killed. */
export const RUN_EXTRA_SECONDS = 900;

/** The command that does it again. */
export function commandOf(settings: Omit<RunSettings, "directory">): string {
  return `npm run -s jepsen -- ${wordsOf(settings).join(" ")}`;
}

/** What the command is told. */
export function wordsOf(settings: Omit<RunSettings, "directory">): readonly string[] {
  const { workloads, nemeses, nodes, links, seconds, seed, ratePerSecond, clients, api } = settings;
  const { mutant, endpoints } = settings;
  const words: readonly (readonly [string, string | number | undefined])[] = [
    ["workload", workloads.map(({ name }) => name).join(",")],
    ...(endpoints.length > 0
      ? ([["endpoints", endpoints.join(",")]] as const)
      : ([
          ["nemesis", nemeses.map(({ name }) => name).join(",") || "none"],
          ["nodes", nodes],
          ["links", links],
        ] as const)),
    ["time", seconds],
    ["seed", seed],
    ["rate", ratePerSecond],
    ["clients", clients],
    ["api", api === "sdk" ? undefined : api],
    ["mutant", mutant],
  ];
  return words.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, `${value}`]));
}
