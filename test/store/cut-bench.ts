/**
 * What the tests of cuts share: the sequence of store-bench.ts, in which one entry splits shard 1
 * and a later one takes a range out of it. Shard 2 goes on from the split with a log of its own.
 * What a shard holds at an index follows from the index alone.
 */
import { must } from "../../src/base/assert.js";
import { compareBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import { lastIndexOf, singleRun } from "../../src/base/entry-run.js";
import type { KeyRange } from "../../src/base/key-range.js";
import { rangeContains } from "../../src/base/key-range.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { OpenedStore, Store } from "../../src/store/store.js";
import { TreeModel, collect, itemOf, stateAt } from "../lsm/tree-model.js";
import type { Item } from "../lsm/tree-model.js";
import { ALL, applyEntry, flushedAt, itemAt } from "./store-bench.js";

export const SPLIT_AT = 20;
export const EXCISE_AT = 32;
export const LEFT: KeyRange = { start: ALL.start, end: utf8("key17") };
export const RIGHT: KeyRange = { start: utf8("key17"), end: undefined };
export const GONE: KeyRange = { start: utf8("key11"), end: utf8("key14") };

/** All keys that entries have, in their order. */
const KEYS: readonly Uint8Array[] = Array.from({ length: 23 }, (_, n) => itemAt(n + 1).key).sort(
  compareBytes,
);

/** What a shard has in its range at an index. */
export function rangeAt(shardId: number, index: number): KeyRange {
  if (index < SPLIT_AT) return ALL;
  return shardId === 1 ? LEFT : RIGHT;
}

/** Applies the entry at an index to a shard, as its log has it. */
export async function applyAt(store: Store, shardId: number, index: number): Promise<void> {
  const before = flushedAt(index - 1);
  if (index === SPLIT_AT) {
    const flushed = flushedAt(index);
    const parts = [
      { shardId: 1, range: LEFT, flushed },
      { shardId: 2, range: RIGHT, flushed },
    ];
    await store.splitTree({ shardId, before, parts });
    return store.log.reset(2, 1, index, 1);
  }
  if (index === EXCISE_AT && shardId === 1) {
    return store.exciseRange({ shardId, before, range: GONE, after: flushedAt(index) });
  }
  if (!rangeContains(rangeAt(shardId, index), itemAt(index).key)) return;
  applyEntry(must(store.tree(shardId)), index);
}

/** Logs and applies one entry. */
export function writeAt(store: Store, shardId: number, index: number): Promise<void> {
  store.log.append(shardId, 1, singleRun("command", 1, index, utf8(String(index))));
  return applyAt(store, shardId, index);
}

/** Applies what the log holds above the flushed index of a shard; where it ends. */
export async function replayAt(opened: OpenedStore, shardId: number): Promise<number> {
  const { store, recovered } = opened;
  const shard = recovered.get(shardId);
  let applied = must(store.tree(shardId)).flushed.index;
  if (shard === undefined && applied > 0) store.log.reset(shardId, 1, applied, 1);
  for (const run of shard?.runs ?? []) {
    for (let index = run.firstIndex; index <= lastIndexOf(run); index++) {
      if (index <= applied) continue;
      if (index !== applied + 1) throw new Error(`entry ${index} follows ${applied}`);
      await applyAt(store, shardId, index);
      applied = index;
    }
  }
  return applied;
}

export function modelAt(shardId: number, index: number): TreeModel {
  let items: Item[] = [];
  for (let i = 1; i <= index; i++) {
    const range = rangeAt(shardId, i);
    if (i === SPLIT_AT) items = items.filter(({ key }) => rangeContains(range, key));
    else if (i === EXCISE_AT && shardId === 1) {
      items = items.filter(({ key }) => !rangeContains(GONE, key));
    } else if (rangeContains(range, itemAt(i).key)) items.push(itemAt(i));
  }
  const model = new TreeModel();
  for (const item of items) model.add(FAMILY.data, item);
  return model;
}

/** What differs between a shard's tree and what it should hold at an index, however it is read. */
export function differenceAt(tree: Tree, index: number): string | undefined {
  return differenceFrom(tree, modelAt(tree.shardId, index), index);
}

/** At every revision above the compacted one, scanned both ways and read key by key. */
export function differenceFrom(
  tree: Tree,
  model: TreeModel,
  index: number,
  keys: readonly Uint8Array[] = KEYS,
): string | undefined {
  const horizon = tree.flushed.compactedRevision;
  for (const revision of new Set([index, Math.floor((index + horizon) / 2), horizon])) {
    const expected = text(model.scan(FAMILY.data, ALL, revision, "newest"));
    const ways: Record<string, string> = {
      forwards: scan(tree, revision),
      backwards: scanBack(tree, revision),
      gets: gets(tree, revision, keys),
    };
    for (const [way, seen] of Object.entries(ways)) {
      if (seen === expected) continue;
      return `shard ${tree.shardId}, ${way} at ${revision} of ${index}:\n${seen}\ninstead of\n${expected}`;
    }
  }
  return undefined;
}

function scan(tree: Tree, revision: number): string {
  const cursor = tree.cursor(FAMILY.data, ALL, revision, "newest");
  const items = collect(cursor);
  cursor.close();
  return text(items);
}

function scanBack(tree: Tree, revision: number): string {
  const cursor = tree.backwardCursor(FAMILY.data, ALL, revision);
  const items = collect(cursor).toReversed();
  cursor.close();
  return text(items);
}

function gets(tree: Tree, revision: number, keys: readonly Uint8Array[]): string {
  const items: Item[] = [];
  for (const key of keys) {
    const view = tree.get(FAMILY.data, key, 0, key.length, revision);
    if (view !== undefined) items.push(itemOf(view));
  }
  return text(items);
}

function text(items: readonly Item[]): string {
  return items
    .filter(({ tombstone }) => !tombstone)
    .map(({ key, version, value }) => `${utf8Text(key)} ${version} ${value.length} ${value[0]}`)
    .join("\n");
}

/** Shard 1 with entries 1 to `count`, and shard 2 where it is there by then. */
export async function fillTo(store: Store, count: number, flushEvery: number): Promise<void> {
  store.createTree(1, ALL, stateAt(0));
  for (let index = 1; index <= count; index++) {
    for (const shardId of index > SPLIT_AT ? [1, 2] : [1]) {
      await writeAt(store, shardId, index);
      const tree = must(store.tree(shardId));
      if (index % flushEvery === 0) await store.flushNow(tree, flushedAt(index));
    }
  }
}
