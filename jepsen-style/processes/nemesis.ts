/** What a nemesis is: something that strikes a cluster, holds for a while, and is healed. */
import type { Prng } from "../../src/base/prng.js";
import type { Cluster } from "./cluster.js";
import type { LeaderWatch } from "./leader-watch.js";

export interface Scene {
  readonly cluster: Cluster;
  readonly leaders: LeaderWatch;
  readonly prng: Prng;
  /** The only node whose files are ever damaged: more would be beyond what is promised. */
  readonly damaged: string;
  /** A finding of a nemesis's own: what it did must not have come to this. */
  readonly blame: (text: string) => void;
}

export interface Fault {
  /** What was done to whom. */
  readonly text: string;
  /**
   * Must be right at any later time, whatever other faults did meanwhile. It may say what became of
   * the fault.
   */
  heal(): Promise<string | void> | string | void;
}

export interface Nemesis {
  readonly name: string;
  readonly about: string;
  readonly waitsFor?: string;
  /** It makes the cluster write so much that logs let go of what was written before. */
  readonly fillsLogs?: true;
  /** It asks of links what only proxies can do. */
  readonly needsProxies?: true;
  /** How long a fault holds, from and to. */
  readonly holdMs: readonly [number, number];
  /** undefined: there is nothing to strike at now. */
  strike(scene: Scene): Promise<Fault | undefined> | Fault | undefined;
}

const PLACEMENT_SHARE = 0.25;
const SIZES = [
  "leader",
  "leader",
  "followers",
  "learners",
  "one",
  "minority",
  "majority",
  "all",
] as const;

/**
 * The leader to strike, if it is known and still a member: now and then the placement group's, or
 * what waits for the shard map would be struck only where one node happens to lead both.
 */
export function leaderToStrike({ cluster, leaders, prng }: Scene): string | undefined {
  const isPlacement = prng.chance(PLACEMENT_SHARE);
  const leader = isPlacement ? (leaders.placementLeader ?? leaders.leader) : leaders.leader;
  return leader !== undefined && cluster.names.includes(leader) ? leader : undefined;
}

/** Some nodes, the leader by preference. */
export function targets(scene: Scene): readonly string[] {
  const { cluster, leaders, prng } = scene;
  const names = shuffled(cluster.names, prng);
  const half = names.length / 2;
  const leader = leaderToStrike(scene) ?? names[0]!;
  const minority = Math.max(1, Math.ceil(half) - 1);
  switch (SIZES[prng.between(0, SIZES.length - 1)]!) {
    case "leader":
      return names.filter((name) => name === leader);
    case "followers":
      return names.filter((name) => name !== leader).slice(0, minority);
    case "learners": {
      const learners = names.filter((name) => leaders.learners.includes(name));
      return learners.length > 0 ? learners : names.slice(0, 1);
    }
    case "one":
      return names.slice(0, 1);
    case "minority":
      return names.slice(0, minority);
    case "majority":
      return names.slice(0, Math.floor(half) + 1);
    case "all":
      return names;
  }
}

export function shuffled<T>(list: readonly T[], prng: Prng): readonly T[] {
  const mixed = [...list];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = prng.between(0, i);
    [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
  }
  return mixed;
}

/** Starts those that are down, if they still belong to the cluster. */
export function startAgain(cluster: Cluster, names: readonly string[]): void {
  for (const name of names) if (cluster.names.includes(name)) cluster.node(name).start();
}
