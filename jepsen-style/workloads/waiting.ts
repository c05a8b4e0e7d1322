/** Workloads that are wanted and wait for the product: they are listed, and cannot be run. */
import type { Course, Workload } from "./workload.js";

function waiting(name: string, about: string, waitsFor: string): Workload {
  const create = (): Course => {
    throw new Error(`${name} waits for ${waitsFor}`);
  };
  return { name, about, waitsFor, create };
}

export const WAITING: readonly Workload[] = [
  waiting(
    "transfers",
    "bank and lists over several shards, keys of one transaction apart",
    "transactions over shards",
  ),
  waiting("splits", "all of these while shards are cut and put together", "splits by command"),
];
