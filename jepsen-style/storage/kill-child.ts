/**
 * The process that a kill loop kills: a store on a real disk with real workers. It checks what it
 * finds, then writes as fast as the log allows and says on stdout which entries are durable. What
 * the entry at an index does follows from the seed and the index, so that the next process knows
 * what to find.
 *
 *   argv: directory, seed, entries that must be there
 *   stdout: "ready N" once N entries were found and are right; "durable N"
 */
import { entryOffset, lastIndexOf, singleRun } from "../../src/base/entry-run.js";
import { equalBytes } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { OpenedStore } from "../../src/store/store.js";
import { Store } from "../../src/store/store.js";
import { horizonAfter, ShardModel } from "./model.js";
import type { Change, Shape } from "./operations.js";
import { drawChange, encodeChange } from "./operations.js";
import { applyChange, differenceOf } from "./shard-answers.js";

const SHARD = 1;
const REPLICA = 1;
const KIB = 1024;
const ENTRY_HEADER_BYTES = 4;
const BATCH_MAX = 8;
const EVERYTHING = { start: new Uint8Array(0), end: undefined };
const SHAPE: Shape = {
  operations: 0,
  keys: 300,
  deletePercent: 15,
  sizes: [10, 60, 300, 3000],
  askPercent: 0,
};

class Writer {
  readonly #store: Store;
  readonly #tree: Tree;
  readonly #seed: number;
  readonly #model: ShardModel = new ShardModel();
  readonly #prng: Prng;
  #horizon: number;
  #index: number;

  constructor(store: Store, tree: Tree, seed: number) {
    this.#store = store;
    this.#tree = tree;
    this.#seed = seed;
    this.#prng = new Prng(seed + store.run);
    this.#index = tree.flushed.index;
    this.#horizon = tree.flushed.compactedRevision;
  }

  /** Applies the log; throws where the store does not hold what it must. */
  recover(opened: OpenedStore, acknowledged: number): void {
    for (const run of opened.recovered.get(SHARD)?.runs ?? []) {
      for (let index = run.firstIndex; index <= lastIndexOf(run); index++) {
        if (index <= this.#index) continue;
        const start = entryOffset(run, index) + ENTRY_HEADER_BYTES;
        const bytes = run.bytes.subarray(start, entryOffset(run, index + 1));
        const change = changeAt(this.#seed, index);
        if (!equalBytes(bytes, encodeChange(change))) throw new Error(`entry ${index} is wrong`);
        this.#apply(index, change);
      }
    }
    if (this.#index < acknowledged) {
      throw new Error(`${acknowledged} entries were durable, ${this.#index} came back`);
    }
    for (let i = 1; i <= this.#index; i++) this.#model.add(changeAt(this.#seed, i));
    const wrong = differenceOf(this.#tree, this.#model);
    if (wrong !== undefined) throw new Error(wrong);
    say(`ready ${this.#index}`);
  }

  /** Writes until the process is killed. */
  write(): void {
    const first = this.#index + 1;
    const last = this.#index + this.#prng.between(1, BATCH_MAX);
    for (let index = first; index <= last; index++) {
      const change = changeAt(this.#seed, index);
      const entry = singleRun("command", this.#store.run, index, encodeChange(change));
      this.#store.log.append(SHARD, REPLICA, entry);
      this.#apply(index, change);
    }
    this.#store.log.commit(() => say(`durable ${last}`));
    this.#store.maybeFlush(this.#tree, () => this.state());
    setImmediate(() => this.write());
  }

  state(): FlushedState {
    return {
      index: this.#index,
      term: this.#store.run,
      revision: this.#index,
      compactedRevision: this.#horizon,
      closedRevision: 0,
      logicalClock: 0,
      configuration: new Uint8Array(0),
    };
  }

  #apply(index: number, change: Change): void {
    if (index !== this.#index + 1) throw new Error(`entry ${index} follows ${this.#index}`);
    applyChange(this.#tree, index, change);
    this.#index = index;
    if (change.kind === "forget") this.#horizon = horizonAfter(this.#horizon, index, change);
  }
}

function changeAt(seed: number, index: number): Change {
  return drawChange(new Prng(seed * 1_000_000 + index), SHAPE);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(directory: string, seed: number, acknowledged: number): Promise<void> {
  const worker = new URL("../../src/store/worker.js", import.meta.url);
  const env = createNodeEnv({ tracer: { level: "error" }, jobs: { worker, workersMax: 2 } });
  const opened = await Store.open(env, directory, {
    memtableBytesMax: 64 * KIB,
    logSegmentsMax: 2,
    logOptions: { segmentSizeBytes: 256 * KIB, firstSegmentSizeBytes: 256 * KIB },
    scrubBytesPerSecond: 1024 * KIB,
  });
  const { store } = opened;
  const initial = { index: 0, term: 0, revision: 0, compactedRevision: 0, closedRevision: 0 };
  const tree =
    store.tree(SHARD) ??
    store.createTree(SHARD, EVERYTHING, {
      ...initial,
      logicalClock: 0,
      configuration: new Uint8Array(0),
    });
  const writer = new Writer(store, tree, seed);
  store.observe({
    flushed: (shardId, state) => store.log.trim(shardId, state.index),
    flushWanted: () => store.maybeFlush(tree, () => writer.state()),
    trimWanted: (shardId, upToIndex) => (store.log.trim(shardId, upToIndex), true),
    treeDamaged: (_shardId, error) => {
      throw error;
    },
    treeSound: () => undefined,
  });
  writer.recover(opened, acknowledged);
  writer.write();
}

const [directory = "", seed = "1", acknowledged = "0"] = process.argv.slice(2);
await main(directory, Number(seed), Number(acknowledged));
