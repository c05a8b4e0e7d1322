/**
 * What a workload is: what clients ask one after the other, and how what they heard is judged. It
 * asks its surroundings for time, chance and the store, so that every instrument can run it.
 */
import type { Prng } from "../../src/base/prng.js";
import type { Clock } from "../../src/env/clock.js";
import type { Finding } from "../checkers/finding.js";
import type { Recorded } from "./history-log.js";
import type { Store } from "./store.js";

/** A client: it has one operation open at a time. */
export interface Actor {
  /** From 0 on. */
  readonly number: number;
  /** What the history calls it; another one after an outcome that nobody knows. */
  process: number;
  readonly prng: Prng;
  readonly store: Store;
  pause(ms: number): Promise<void>;
  /** False once the workload is over: whoever follows something stops. */
  readonly working: () => boolean;
}

export interface Surroundings {
  readonly clock: Clock;
  readonly actors: number;
  /** In front of all keys, so that runs on one cluster do not meet. */
  readonly prefix: string;
}

/** A workload in one run. */
export interface Course {
  readonly operations: readonly Recorded[];
  /** Once, by one client, before the others begin: until it succeeds. */
  prepare?(actor: Actor): Promise<void>;
  step(actor: Actor): Promise<void>;
  /** By each client when all faults are over: rejects while it is not served. */
  finish?(actor: Actor): Promise<void>;
  judge(): readonly Finding[];
}

export interface Workload {
  readonly name: string;
  readonly about: string;
  /** What the product lacks for it, where it lacks something. */
  readonly waitsFor?: string;
  /** It asks for what etcd's API does not have. */
  readonly sdkOnly?: boolean;
  /** It uses keyspaces that only the harness's own cluster has. */
  readonly ownCluster?: boolean;
  /** That its reads are exact is judged by the nodes' logs alone. */
  readonly provenByLogs?: boolean;
  /** It writes so much that the logs let go of what others beside it wrote. */
  readonly fillsLogs?: boolean;
  create(surroundings: Surroundings): Course;
}
