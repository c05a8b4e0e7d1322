/** Which runs make a matrix: workloads together on one cluster, under mixes of nemeses. */
import { WORKLOADS } from "../workloads/workloads.js";
import type { Workload } from "../workloads/workload.js";
import type { LinkKind } from "./links.js";
import { nemesesNamed } from "./nemeses.js";
import type { Nemesis } from "./nemesis.js";
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
  "replace,kill,partition",
  "swap,members,pause",
  "admin,compact,transfer",
  "admin,kill,disk-full",
  "overload,stutter",
  "overload,kill,swizzle",
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
export interface Common extends Omit<RunSettings, "workloads" | "nemeses" | "directory" | "links"> {
  /** For each run the best that can do what its nemeses ask for. */
  readonly linksFor: (nemeses: readonly Nemesis[]) => LinkKind;
}
export type Planned = Omit<RunSettings, "directory">;

/** So many share a run: few enough that two cores serve all of them. */
const WORKLOADS_A_RUN = 4;

/**
 * Each workload under each mix, a few of them at a time; alone where others would be unproven, and
 * without what makes logs let go of what has to prove it.
 */
export function wholeMatrix(common: Common): readonly Planned[] {
  const all = runnable(common);
  const workloads = all.filter(({ fillsLogs }) => fillsLogs !== true);
  const shared = Array.from({ length: Math.ceil(workloads.length / WORKLOADS_A_RUN) }, (_, at) =>
    workloads.slice(at * WORKLOADS_A_RUN, (at + 1) * WORKLOADS_A_RUN),
  );
  const alone = all.filter(({ fillsLogs }) => fillsLogs === true).map((each) => [each]);
  const groups = [...shared, ...alone];
  return MIXES.flatMap((mix) =>
    groups.map((group) => {
      const mustProve = group.some(({ provenByLogs }) => provenByLogs === true);
      const spared = ({ fillsLogs }: Nemesis): boolean => mustProve && fillsLogs === true;
      const nemeses = nemesesNamed(mix).filter((each) => !spared(each));
      return planOf(common, group, nemeses);
    }),
  );
}

export function shortMatrix(common: Common): readonly Planned[] {
  const small = { nodes: SHORT_NODES, clients: SHORT_NODES, seconds: SHORT_SECONDS };
  return SHORT.map(([names, mix]) => {
    const workloads = runnable(common).filter(({ name }) => names.split(",").includes(name));
    return planOf({ ...common, ...small }, workloads, nemesesNamed(mix));
  });
}

export function planOf(
  { linksFor, ...common }: Common,
  workloads: readonly Workload[],
  nemeses: readonly Nemesis[],
): Planned {
  return { ...common, workloads, nemeses, links: linksFor(nemeses) };
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
