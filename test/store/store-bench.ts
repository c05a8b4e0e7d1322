/**
 * What the tests of the store share: a store on the in-memory disk whose shards apply a fixed
 * sequence of writes, as a replica would: logged, applied, flushed, trimmed. What the entry at an
 * index writes follows from the index alone, so a tree can be compared with the index it is at.
 */
import { must } from "../../src/base/assert.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { entryOffset, lastIndexOf, singleRun } from "../../src/base/entry-run.js";
import type { KeyRange } from "../../src/base/key-range.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import type { OpenedStore } from "../../src/store/store.js";
import { Store } from "../../src/store/store.js";
import type { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";
import type { Item } from "../lsm/tree-model.js";
import { TreeModel, collect, stateAt } from "../lsm/tree-model.js";

export const DIRECTORY = "/store";
export const ALL: KeyRange = { start: new Uint8Array(0), end: undefined };

const KEYS = 23;

/** `gate`: what a job waits for before it begins. */
export async function openStore(
  disk: MemoryDisk,
  options: StoreOptions = {},
  gate: (job: StoreJob) => Promise<void> = () => Promise.resolve(),
): Promise<OpenedStore> {
  const env = testEnv({
    disk,
    time: "real",
    job: (job) => gate(job as StoreJob).then(() => runStoreJob(disk, job as StoreJob)),
  });
  const opened = await Store.open(env, DIRECTORY, {
    blockCacheBytes: 64 * 1024,
    logOptions: { segmentSizeBytes: 64 * 1024, firstSegmentSizeBytes: 64 * 1024 },
    ...options,
  });
  const { store } = opened;
  store.observe({
    flushed: (shardId, state) => store.log.trim(shardId, state.index),
    flushWanted: () => undefined,
    trimWanted: () => false,
    treeDamaged: () => undefined,
    treeSound: () => undefined,
  });
  return opened;
}

/** What the entry at an index writes to the data family. */
export function itemAt(index: number): Item {
  const isLarge = index % 11 === 0;
  return {
    key: utf8(`key${(index * 7) % KEYS}`),
    version: index,
    tombstone: index % 5 === 4,
    value: new Uint8Array(isLarge ? 400 : 30).fill(index),
  };
}

/** The revision up to which old revisions are compacted once the entry at an index is applied. */
export function horizonAt(index: number): number {
  return Math.max(0, index - (index % 10) - 10);
}

export function flushedAt(index: number): FlushedState {
  return stateAt(index, { compactedRevision: horizonAt(index) });
}

export function applyEntry(tree: Tree, index: number): void {
  const { key, version, tombstone, value } = itemAt(index);
  tree.insert(FAMILY.data, key, 0, key.length, version, tombstone, value, 0, value.length);
  const revision = new Uint8Array(8);
  new DataView(revision.buffer).setUint32(4, index);
  tree.insert(FAMILY.revisionIndex, revision, 0, 8, version, false, key, 0, key.length);
  const meta = utf8("applied");
  tree.insert(FAMILY.meta, meta, 0, meta.length, index, false, revision, 0, 8);
}

/** Logs and applies one entry; resolves when it is durable. */
export function write(store: Store, tree: Tree, index: number): Promise<void> {
  const payload = utf8(String(index));
  store.log.append(tree.shardId, 1, singleRun("command", 1, index, payload));
  applyEntry(tree, index);
  return new Promise((resolve) => store.log.commit(resolve));
}

/** Creates shard 1 and writes entries 1 to `count`, flushing after every `flushEvery`. */
export async function fill(store: Store, count: number, flushEvery: number): Promise<void> {
  const tree = store.createTree(1, ALL, stateAt(0));
  for (let index = 1; index <= count; index++) {
    void write(store, tree, index);
    if (index % flushEvery === 0) await store.flushNow(tree, flushedAt(index));
  }
  await store.idle();
}

/** Waits for the promise or, undefined, for the end of the disk, after which it may never come. */
export function orHalt<T>(disk: MemoryDisk, promise: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (disk.halted) resolve(undefined);
      else setImmediate(look);
    };
    promise.then(resolve, reject);
    look();
  });
}

/** The shards whose trees are called damaged. */
export function damageOf(store: Store): readonly number[] {
  const damaged: number[] = [];
  store.observe({
    flushed: () => undefined,
    flushWanted: () => undefined,
    trimWanted: () => false,
    treeDamaged: (shardId) => damaged.push(shardId),
    treeSound: () => undefined,
  });
  return damaged;
}

export function tables(disk: MemoryDisk): readonly string[] {
  return disk.list(`${DIRECTORY}/tables`);
}

/** Applies what the log holds above the tree's flushed index, as after a start; where it ends. */
export function replay(opened: OpenedStore, shardId: number): number {
  const tree = must(opened.store.tree(shardId));
  let applied = tree.flushed.index;
  for (const run of opened.recovered.get(shardId)?.runs ?? []) {
    for (let index = run.firstIndex; index <= lastIndexOf(run); index++) {
      if (index <= tree.flushed.index) continue;
      if (index !== applied + 1) throw new Error(`entry ${index} follows ${applied}`);
      entryOffset(run, index);
      applyEntry(tree, index);
      applied = index;
    }
  }
  return applied;
}

/** What differs between a tree and what it should hold at an index; undefined where nothing. */
export function difference(tree: Tree, index: number): string | undefined {
  const model = new TreeModel();
  for (let i = 1; i <= index; i++) model.add(FAMILY.data, itemAt(i));
  const horizon = tree.flushed.compactedRevision;
  for (const revision of new Set([index, Math.floor((index + horizon) / 2), horizon])) {
    const cursor = tree.cursor(FAMILY.data, ALL, revision, "newest");
    const seen = collect(cursor).filter((item) => !item.tombstone);
    cursor.close();
    const expected = model
      .scan(FAMILY.data, ALL, revision, "newest")
      .filter((item) => !item.tombstone);
    if (text(seen) !== text(expected)) {
      return `at revision ${revision} of ${index}:\n${text(seen)}\ninstead of\n${text(expected)}`;
    }
  }
  const meta = utf8("applied");
  const applied = tree.get(FAMILY.meta, meta, 0, meta.length, Infinity)?.version ?? 0;
  if (applied !== index) return `meta says ${applied} instead of ${index}`;
  const revisions = tree.cursor(FAMILY.revisionIndex, ALL, Infinity, "newest");
  const versions = collect(revisions).map((item) => item.version);
  revisions.close();
  const recent = versions.filter((version) => version >= horizon);
  return recent.length === index - Math.max(1, horizon) + 1
    ? undefined
    : `revisions ${recent.join()}`;
}

function text(items: readonly Item[]): string {
  return items
    .map(({ key, version, value }) => `${utf8Text(key)} ${version} ${value.length} ${value[0]}`)
    .join("\n");
}
