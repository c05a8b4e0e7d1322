/** Which trees a compactor leaves alone for a while. */
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8 } from "../../src/base/bytes.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { StoreJob } from "../../src/store/jobs.js";
import type { Store } from "../../src/store/store.js";
import { eventually } from "../support/eventually.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { collect, stateAt } from "../lsm/tree-model.js";
import { ALL, applyEntry, openStore } from "./store-bench.js";

const MIDDLE = utf8("key17");

interface Held {
  readonly family: number;
  readonly go: () => void;
}

async function flushEach(store: Store, shardId: number, first: number, last: number) {
  const tree = must(store.tree(shardId));
  for (let index = first; index <= last; index++) {
    applyEntry(tree, index);
    await store.flushNow(tree, stateAt(index));
  }
}

test("drops nothing of a tree while an edit of it is on its way", async () => {
  const held: Held[] = [];
  const failures: Error[] = [];
  const options = {
    sharedTableBytesMax: 0,
    compaction: { fanIn: 4, jobsMax: 2 },
    onFailure: (error: Error) => failures.push(error),
  };
  const { store } = await openStore(new MemoryDisk(), options, (job: StoreJob) => {
    if (job.kind !== "compact") return Promise.resolve();
    return new Promise((resolve) => held.push({ family: job.plan.family, go: resolve }));
  });
  store.createTree(1, ALL, stateAt(0));
  await flushEach(store, 1, 1, 2);
  const parts = [
    { shardId: 1, range: { start: ALL.start, end: MIDDLE }, flushed: stateAt(3) },
    { shardId: 3, range: { start: MIDDLE, end: undefined }, flushed: stateAt(3) },
  ];
  await store.splitTree({ shardId: 1, before: stateAt(2), parts });
  // As many jobs as there may be; what is due in the first tree waits for them.
  for (const shardId of [2, 4]) {
    store.createTree(shardId, ALL, stateAt(0));
    await flushEach(store, shardId, 1, 4);
  }
  await eventually(() => held.length === 2);
  const others = held.splice(0);
  await flushEach(store, 1, 4, 8);
  // Whoever wants a checkpoint does not wait for that: what is shared is written anew at once.
  const checking = store.checkpointTree(1);
  await eventually(() => held.length === 1);
  while (held[0]!.family !== FAMILY.revisionIndex) {
    held.shift()!.go();
    await eventually(() => held.length === 1);
  }
  const rewriting = held.shift()!;
  const tree = must(store.tree(1));
  const flushed = stateAt(9, { compactedRevision: 9 });
  await store.flushNow(tree, flushed);
  // Theirs end at once then, before the edit of the first tree is on the disk.
  for (const shardId of [2, 4]) store.dropTree(shardId);
  rewriting.go();
  for (const { go } of others) go();
  for (let isIdle = false; !isIdle;) {
    void store.idle().then(() => (isIdle = true));
    await eventually(() => isIdle || held.length > 0);
    for (const { go } of held.splice(0)) go();
  }
  expect(failures).toEqual([]);
  (await checking).release();
  expect(collect(tree.cursor(FAMILY.revisionIndex, ALL, Infinity, "newest"))).toEqual([]);
  await store.close();
});
