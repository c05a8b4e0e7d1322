/**
 * A node's store: shared log and trees together. (Signatures; the body follows.)
 */
import type { KeyRange } from "../base/key-range.js";
import type { Env } from "../env/env.js";
import type { RecoveredShard, SharedLog } from "../log/shared-log.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { StoreObserver, StoreOptions } from "./store-options.js";
import type { TreeCheckpoint } from "./tree-checkpoint.js";
import type { TreeInstall } from "./tree-install.js";

export interface OpenedStore {
  readonly store: Store;
  readonly recovered: ReadonlyMap<number, RecoveredShard>;
}

export interface StoreStats {
  readonly memtableBytes: number;
  readonly sizeBytes: number;
  readonly blockCacheBytes: number;
  readonly flushes: number;
  readonly compactions: number;
  readonly full: boolean;
}

export class Store {
  /** Made when the directory was formatted; it is the directory's incarnation. */
  readonly storeId: string;
  /** Raised and synced at each open. */
  readonly run: number;
  readonly log: SharedLog;

  private constructor(storeId: string, run: number, log: SharedLog) {
    this.storeId = storeId;
    this.run = run;
    this.log = log;
  }

  static open(_env: Env, _directory: string, _options: StoreOptions): Promise<OpenedStore> {
    throw new Error("not yet");
  }

  /** Says who is told about flushes and damage. */
  observe(_observer: StoreObserver): void {
    throw new Error("not yet");
  }

  trees(): Iterable<Tree> {
    throw new Error("not yet");
  }

  tree(_shardId: number): Tree | undefined {
    throw new Error("not yet");
  }

  /** Durable in the manifest when it returns. */
  createTree(_shardId: number, _range: KeyRange, _initial: FlushedState): Tree {
    throw new Error("not yet");
  }

  dropTree(_shardId: number): void {
    throw new Error("not yet");
  }

  /** Called after entries were applied: freezes and flushes the tree where that is due. */
  maybeFlush(_tree: Tree, _currentState: () => FlushedState): void {
    throw new Error("not yet");
  }

  /** Freezes the tree at `state`; resolves when everything up to there is durable in it. */
  flushNow(_tree: Tree, _state: FlushedState): Promise<void> {
    throw new Error("not yet");
  }

  /** Pins the tree's files as of its flushed state, once the memtables frozen now are flushed. */
  checkpointTree(_shardId: number): Promise<TreeCheckpoint> {
    throw new Error("not yet");
  }

  beginInstall(_shardId: number, _range: KeyRange): TreeInstall {
    throw new Error("not yet");
  }

  /** Whether a flush or compaction waits for room on the disk. */
  get full(): boolean {
    throw new Error("not yet");
  }

  stats(): StoreStats {
    throw new Error("not yet");
  }

  close(): Promise<void> {
    throw new Error("not yet");
  }
}
