/** A cluster under measurement, whoever made it. */
import type { LoadTarget } from "./load.js";

/** How reads are served; puts are the same at every level. */
export type Level = "linearizable" | "lease" | "follower" | "stale";

export interface ConnectOptions {
  readonly connections: number;
  readonly level: Level;
  readonly valueBytes: number;
}

export interface BenchCluster {
  connect(options: ConnectOptions): Promise<LoadTarget>;
  /** Processor time of each of its servers so far, or undefined where the system does not say. */
  cpuMicros(): readonly number[] | undefined;
}
