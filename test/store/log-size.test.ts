/** Shards that are hardly written let go of the log when it is large, each in its turn. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { singleRun } from "../../src/base/entry-run.js";
import type { Store } from "../../src/store/store.js";
import { stateAt } from "../lsm/tree-model.js";
import { eventually } from "../support/eventually.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ALL, flushedAt, openStore, write } from "./store-bench.js";

const IDLE = 20;
const BUSY = 99;

/** An owner whose trees are flushed and trimmed only where the store wants it. */
function own(store: Store, mayTrim: (evenHeld: boolean) => boolean): void {
  store.observe({
    flushed: (shardId, state) => {
      if (shardId === BUSY) store.log.trim(shardId, state.index);
    },
    flushWanted: (shardId) => {
      // The busy one is flushed where its last entry is known.
      if (shardId === BUSY) return;
      const tree = must(store.tree(shardId));
      store.maybeFlush(tree, () => flushedAt(1));
    },
    trimWanted: (shardId, upToIndex, evenHeld) => {
      expect(must(store.tree(shardId)).flushed.index).toBeGreaterThanOrEqual(upToIndex);
      if (!mayTrim(evenHeld)) return false;
      store.log.trim(shardId, upToIndex);
      return true;
    },
    treeDamaged: () => undefined,
    treeSound: () => undefined,
  });
}

/** Writes one entry of each idle shard, then about twelve segments of another one. */
async function fill(store: Store): Promise<void> {
  for (let shardId = 1; shardId <= IDLE; shardId++) {
    const tree = store.createTree(shardId, ALL, stateAt(0));
    await write(store, tree, 1);
    // Half of them are flushed already: only their log is left.
    if (shardId % 2 === 0) await store.flushNow(tree, flushedAt(1));
  }
  store.createTree(BUSY, ALL, stateAt(0));
  await writeBusy(store, 1, 32);
}

async function writeBusy(store: Store, first: number, last: number): Promise<void> {
  for (let index = first; index <= last; index++) {
    store.log.append(BUSY, 1, singleRun("command", 1, index, new Uint8Array(14 * 1024)));
    await new Promise<void>((resolve) => store.log.commit(resolve));
  }
  await store.flushNow(must(store.tree(BUSY)), flushedAt(last));
}

describe("the size of the log", () => {
  test("many idle shards let go of it within a second", async () => {
    const { store } = await openStore(new MemoryDisk());
    own(store, () => true);
    await fill(store);
    await eventually(() => store.log.stats().segments <= 4, 1000);
    expect(store.log.stats().segments).toBeLessThanOrEqual(4);
    await store.close();
  });

  test("what is held stays until the log is larger than may be held", async () => {
    const disk = new MemoryDisk();
    const logBytesHeldMax = 20 * 64 * 1024;
    const { store } = await openStore(disk, { logBytesHeldMax });
    const asked: boolean[] = [];
    own(store, (evenHeld) => {
      asked.push(evenHeld);
      return evenHeld;
    });
    await fill(store);
    await eventually(() => asked.length > 2, 2000);
    expect(asked).not.toContain(true);
    expect(store.log.stats().segments).toBeGreaterThan(4);
    await writeBusy(store, 33, 96);
    await eventually(() => asked.includes(true), 2000);
    await store.close();
  });
});
