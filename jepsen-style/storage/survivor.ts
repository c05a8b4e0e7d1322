/** A disk after a power cut, what must be on it, and the look at whether it is. */
import type { MemoryDisk } from "../sim/memory-disk.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import { Machine } from "./machine.js";
import type { Shard } from "./owner.js";
import { Owner } from "./owner.js";

export interface Survivor {
  readonly disk: MemoryDisk;
  /** As of the cut: what was written later does not count. */
  readonly shards: ReadonlyMap<number, Shard>;
}

/** What must hold now, apart from what is still to come. */
export function copyOf(shards: ReadonlyMap<number, Shard>): Map<number, Shard> {
  return new Map([...shards].map(([shardId, shard]) => [shardId, shard.copy()]));
}

/**
 * What is wrong with it, or undefined: it must open, hold a prefix of what was written with all
 * that was acknowledged, and be able to go on. `opened` runs once the recovery is over.
 */
export async function problemOf(
  { disk, shards }: Survivor,
  options: StoreOptions,
  opened: () => void = () => undefined,
): Promise<string | undefined> {
  try {
    return await look(new Machine(disk, 1), copyOf(shards), options, opened);
  } catch (error) {
    return String(error);
  }
}

async function look(
  machine: Machine,
  shards: Map<number, Shard>,
  options: StoreOptions,
  opened: () => void,
): Promise<string | undefined> {
  const owner = await Owner.open(machine, options, shards);
  opened();
  if (owner === undefined) return "it did not open";
  const wrong = owner.problem();
  if (wrong !== undefined) return wrong;
  owner.catchUp();
  for (const tree of owner.store.trees()) void owner.flush(tree.shardId);
  const goesOn = (await owner.settle()) && owner.failure === undefined;
  const later = goesOn ? owner.problem() : "it did not go on";
  await owner.close();
  return later;
}
