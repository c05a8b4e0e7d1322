/**
 * Drives a store as the replicas of a node would: logs, applies, flushes, trims, installs. What a
 * crash took back is written again from the model, so that every run ends with the same shards. It
 * never calls anything acknowledged that the log has not called durable.
 */
import { assert, must } from "../../src/base/assert.js";
import { entryOffset, lastIndexOf, singleRun } from "../../src/base/entry-run.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { OpenedStore } from "../../src/store/store.js";
import { Store } from "../../src/store/store.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import type { Machine } from "./machine.js";
import { horizonAfter, ShardModel } from "./model.js";
import type { Change } from "./operations.js";
import { decodeChange, encodeChange } from "./operations.js";
import { applyChange, differenceOf } from "./shard-answers.js";

const REPLICA = 1;
const CHUNK_SIZE_BYTES = 3000;
const EVERYTHING = { start: new Uint8Array(0), end: undefined };
const ENTRY_HEADER = 4;

/** A shard as its clients know it; it outlives every store that holds it. */
export class Shard {
  readonly model: ShardModel;
  /** Up to here it must come back after a crash. */
  acknowledged = 0;
  /** Whether its tree must be there, may be there or must be gone. */
  presence: "there" | "unsure" | "gone" = "unsure";

  constructor(model: ShardModel = new ShardModel()) {
    this.model = model;
  }

  copy(): Shard {
    const copy = new Shard(this.model.after(this.model.lastIndex));
    copy.acknowledged = this.acknowledged;
    copy.presence = this.presence;
    return copy;
  }
}

interface Applied {
  index: number;
  horizon: number;
}

export class Owner {
  readonly store: Store;
  readonly machine: Machine;
  readonly shards: Map<number, Shard>;
  /** What the store said by itself. */
  failure: Error | undefined;
  readonly damage: Error[] = [];
  readonly #applied: Map<number, Applied> = new Map();

  private constructor(machine: Machine, shards: Map<number, Shard>, opened: OpenedStore) {
    this.machine = machine;
    this.shards = shards;
    this.store = opened.store;
    this.store.observe({
      flushed: (shardId, state) => this.store.log.trim(shardId, state.index),
      flushWanted: (shardId) => this.#maybeFlush(shardId),
      trimWanted: (shardId, upToIndex) => {
        this.store.log.trim(shardId, upToIndex);
        return true;
      },
      treeDamaged: (_shardId, error) => this.damage.push(error),
      treeSound: () => undefined,
    });
  }

  /**
   * Opens what the machine's disk holds and applies the log. Undefined where the disk has halted;
   * throws where the store refuses, and an Error where what came back cannot be.
   */
  static async open(
    machine: Machine,
    options: StoreOptions,
    shards: Map<number, Shard>,
  ): Promise<Owner | undefined> {
    let owner: Owner | undefined = undefined;
    let failure: Error | undefined = undefined;
    const onFailure = (error: Error): void => {
      failure = error;
      if (owner !== undefined) owner.failure = error;
    };
    const opening = Store.open(machine.env, "/store", { ...options, onFailure });
    if (!(await machine.wait(opening))) return undefined;
    const opened = await opening;
    owner = new Owner(machine, shards, opened);
    owner.failure = failure;
    owner.#recover(opened);
    return owner;
  }

  create(shardId: number): void {
    // Its drop found no room.
    if (this.store.tree(shardId) !== undefined) this.drop(shardId);
    const shard = new Shard();
    this.shards.set(shardId, shard);
    this.#createTree(shardId);
    shard.presence = "there";
  }

  drop(shardId: number): void {
    const shard = must(this.shards.get(shardId));
    shard.presence = "unsure";
    this.store.dropTree(shardId);
    this.#applied.delete(shardId);
    shard.presence = "gone";
    this.store.log.clean(shardId);
  }

  /** The next entry of a shard: logged, applied, and acknowledged once it is durable. */
  change(shardId: number, change: Change): void {
    const { model } = must(this.shards.get(shardId));
    model.add(change);
    this.#write(shardId, model.lastIndex, change);
  }

  tree(shardId: number): Tree {
    return must(this.store.tree(shardId), "tree");
  }

  flush(shardId: number): Promise<void> {
    return this.store.flushNow(this.tree(shardId), this.#stateOf(shardId));
  }

  /** Replaces a tree by its own snapshot; false where the disk has halted or is full. */
  async roundTrip(shardId: number): Promise<boolean> {
    if (!(await this.machine.wait(this.flush(shardId)))) return false;
    if (this.failure !== undefined || this.store.full) return false;
    const checking = this.store.checkpointTree(shardId);
    if (!(await this.#waitUnlessFailed(checking))) return false;
    const checkpoint = await checking;
    const install = this.store.beginInstall(shardId, EVERYTHING);
    try {
      for (const [fileIndex, { file }] of checkpoint.files.entries()) {
        for (let at = 0; at < file.sizeBytes; at += CHUNK_SIZE_BYTES) {
          const bytes = checkpoint.readChunk(fileIndex, at, CHUNK_SIZE_BYTES);
          install.writeChunk(fileIndex, at, bytes);
        }
      }
      install.prepare(checkpoint.files);
      install.finish(checkpoint.state, checkpoint.files);
      const { index, term } = checkpoint.state;
      this.store.log.reset(shardId, REPLICA, index, term);
    } catch (error) {
      install.abort();
      throw error;
    } finally {
      checkpoint.release();
    }
    return true;
  }

  /** Whether a tree is due is the store's to say; asked after each entry, as a replica does. */
  maybeFlushAll(): void {
    for (const shardId of this.#applied.keys()) this.#maybeFlush(shardId);
  }

  /** What is not as the models say. */
  problem(): string | undefined {
    for (const [shardId, applied] of this.#applied) {
      const { model } = must(this.shards.get(shardId));
      const reached = applied.index === model.lastIndex ? model : model.after(applied.index);
      const wrong = differenceOf(this.tree(shardId), reached);
      if (wrong !== undefined) return `shard ${shardId}: ${wrong}`;
    }
    return undefined;
  }

  /** Writes what a crash took back, and makes the trees that were lost with it. */
  catchUp(): void {
    for (const [shardId, shard] of this.shards) {
      if (shard.presence === "gone") continue;
      if (this.store.tree(shardId) === undefined) this.#createTree(shardId);
      shard.presence = "there";
      const applied = must(this.#applied.get(shardId));
      for (let index = applied.index + 1; index <= shard.model.lastIndex; index++) {
        this.#write(shardId, index, shard.model.changes[index - 1]!);
      }
    }
  }

  /** Waits until all is durable and nothing runs; false where that cannot be any more. */
  async settle(): Promise<boolean> {
    let isDurable = false;
    this.store.log.commit(() => (isDurable = true));
    await this.machine.until(() => isDurable || this.failure !== undefined);
    return isDurable && this.machine.wait(this.store.idle());
  }

  close(): Promise<boolean> {
    return this.machine.wait(this.store.close());
  }

  async #waitUnlessFailed(promise: Promise<unknown>): Promise<boolean> {
    try {
      return await this.machine.wait(promise);
    } catch (error) {
      if (this.failure === undefined) throw error;
      return false;
    }
  }

  #createTree(shardId: number): void {
    this.store.createTree(shardId, EVERYTHING, stateOf(0, 0, 0));
    this.#applied.set(shardId, { index: 0, horizon: 0 });
  }

  #write(shardId: number, index: number, change: Change): void {
    const { log, run } = this.store;
    log.append(shardId, REPLICA, singleRun("command", run, index, encodeChange(change)));
    this.#apply(shardId, index, change);
    const shard = must(this.shards.get(shardId));
    log.commit(() => {
      shard.acknowledged = Math.max(shard.acknowledged, index);
    });
    this.#maybeFlush(shardId);
  }

  #apply(shardId: number, index: number, change: Change): void {
    const applied = must(this.#applied.get(shardId));
    assert(index === applied.index + 1, () => `entry ${index} follows ${applied.index}`);
    applyChange(this.tree(shardId), index, change);
    applied.index = index;
    if (change.kind === "forget") applied.horizon = horizonAfter(applied.horizon, index, change);
  }

  #maybeFlush(shardId: number): void {
    const tree = this.store.tree(shardId);
    if (tree !== undefined && this.#applied.has(shardId)) {
      this.store.maybeFlush(tree, () => this.#stateOf(shardId));
    }
  }

  #stateOf(shardId: number): FlushedState {
    const { index, horizon } = must(this.#applied.get(shardId));
    return stateOf(index, this.store.run, horizon);
  }

  #recover(opened: OpenedStore): void {
    for (const tree of this.store.trees()) {
      const { shardId, flushed } = tree;
      const shard = this.shards.get(shardId);
      if (shard === undefined || shard.presence === "gone") {
        throw new Error(`shard ${shardId} is back although it was dropped`);
      }
      this.#applied.set(shardId, { index: flushed.index, horizon: flushed.compactedRevision });
      this.#replay(shardId, opened);
    }
    for (const [shardId, shard] of this.shards) this.#checkPresence(shardId, shard);
    for (const shardId of opened.recovered.keys()) {
      if (this.store.tree(shardId) === undefined) this.store.log.clean(shardId);
    }
    const [damaged] = opened.damaged.values();
    if (damaged !== undefined) throw damaged;
  }

  #replay(shardId: number, opened: OpenedStore): void {
    const { model, acknowledged } = must(this.shards.get(shardId));
    const applied = must(this.#applied.get(shardId));
    const recovered = opened.recovered.get(shardId);
    if (recovered !== undefined && recovered.health.kind !== "intact") {
      throw new Error(`the log of shard ${shardId} is called corrupt`);
    }
    for (const run of recovered?.runs ?? []) {
      for (let index = run.firstIndex; index <= lastIndexOf(run); index++) {
        if (index <= applied.index) continue;
        const start = entryOffset(run, index) + ENTRY_HEADER;
        const bytes = run.bytes.subarray(start, entryOffset(run, index + 1));
        this.#apply(shardId, index, decodeChange(bytes));
      }
    }
    const first = must(this.store.tree(shardId)).flushed;
    const logEnd = Math.max(recovered?.baseIndex ?? 0, ...(recovered?.runs ?? []).map(lastIndexOf));
    if (logEnd < first.index) this.store.log.reset(shardId, REPLICA, first.index, first.term);
    if (applied.index < acknowledged || applied.index > model.lastIndex) {
      throw new Error(
        `shard ${shardId} came back with ${applied.index} entries: ${acknowledged} were ` +
          `acknowledged, ${model.lastIndex} written`,
      );
    }
  }

  #checkPresence(shardId: number, shard: Shard): void {
    if (this.store.tree(shardId) !== undefined) return;
    if (shard.presence === "there") {
      throw new Error(`shard ${shardId} is gone with ${shard.acknowledged} acknowledged entries`);
    }
    // Its drop was under way: only what has no entries yet was being made.
    if (shard.model.lastIndex > 0) shard.presence = "gone";
  }
}

function stateOf(index: number, term: number, horizon: number): FlushedState {
  return {
    index,
    term,
    revision: index,
    compactedRevision: horizon,
    closedRevision: 0,
    logicalClock: 0,
    configuration: Uint8Array.of(index & 0xff),
  };
}
