/** Workloads that are wanted and wait for the product: they are listed, and cannot be run. */
import type { Course, Workload } from "./workload.js";

function waiting(name: string, about: string, waitsFor: string): Workload {
  const create = (): Course => {
    throw new Error(`${name} waits for ${waitsFor}`);
  };
  return { name, about, waitsFor, create };
}

export const WAITING: readonly Workload[] = [
  waiting("lease", "a key is gone after the time of its lease, and not before", "leases"),
  waiting("lock", "a lock with fencing tokens: no two holders by their tokens", "leases"),
  waiting("queue", "a queue by transactions and leases: each item goes out once", "leases"),
  waiting("splits", "all of these while shards are cut and put together", "splits by command"),
];
