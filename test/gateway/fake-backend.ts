/** A backend for tests of the gateway: a map of keys, one revision line, watches fed by hand. */
import { bytesOf } from "../support/bytes-of.js";
import type {
  Backend,
  BackendWatch,
  Consistency,
  HashAnswer,
  Member,
  MemberAlarm,
  NodeStatus,
  Origin,
  RangeAnswer,
  WatchItem,
  WatchOptions,
} from "../../src/gateway/backend.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { NodeDescriptor } from "../../src/protocol/cluster.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type { PutOperation, RangeOperation } from "../../src/protocol/operations.js";
import type { StorageStatus } from "../../src/protocol/storage-status.js";
import { FakeLeases, FakeLines } from "./fake-leases.js";

export class FakeWatch implements BackendWatch {
  readonly options: WatchOptions;
  /** Revisions up to which progress was asked for. */
  readonly asked: number[] = [];
  isCancelled = false;
  readonly #items: WatchItem[] = [];
  #wake: () => void = () => undefined;
  #error: Error | undefined;

  constructor(options: WatchOptions) {
    this.options = options;
  }

  get waiting(): number {
    return this.#items.length;
  }

  give(item: WatchItem): void {
    this.#items.push(item);
    this.#wake();
  }

  break(error: Error): void {
    this.#error = error;
    this.#wake();
  }

  askProgress(revision: number): void {
    this.asked.push(revision);
  }

  take(): WatchItem | undefined {
    return this.#items.shift();
  }

  async next(): Promise<WatchItem | undefined> {
    while (this.#items.length === 0 && !this.isCancelled) {
      if (this.#error !== undefined) throw this.#error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#items.shift();
  }

  cancel(): void {
    this.isCancelled = true;
    this.#wake();
  }
}

export class FakeBackend implements Backend {
  readonly origin: Origin = { clusterId: 2n ** 63n + 5n, memberId: 77n, raftTerm: 3 };
  readonly leases: FakeLeases = new FakeLeases();
  readonly lines: FakeLines = new FakeLines();
  readonly watches: FakeWatch[] = [];
  nodes: Member[] = [];
  now = 5;
  leaderNodeId = 77;
  isLearner = false;
  /** What every call ends with, if anything. */
  error: Error | undefined;
  /** Nobody confirms what it knows. */
  isCutOff = false;
  /** Calls wait for it. */
  gate: Promise<void> = Promise.resolve();
  ranges: RangeOperation[] = [];
  value: Uint8Array = bytesOf("v");
  /** What scans give, and counts count. */
  rows: KeyValue[] = [];
  raised: MemberAlarm[] = [];
  storage: StorageStatus | undefined = undefined;
  entered = 0;
  scanned = 0;
  scansEnded = 0;

  async range(operation: RangeOperation): Promise<RangeAnswer> {
    await this.#enter();
    this.ranges.push(operation);
    if (operation.countOnly) {
      return { revision: this.now, kvs: [], more: false, count: this.rows.length };
    }
    const kvs = [keyValue(operation.key, this.value, this.now)];
    return { revision: this.now, kvs, more: false, count: 1 };
  }

  async *scan(operation: RangeOperation): AsyncGenerator<KeyValue, void> {
    this.ranges.push(operation);
    try {
      for (const row of this.rows.slice(0, operation.limit || this.rows.length)) {
        await this.#enter();
        this.scanned++;
        yield row;
      }
    } finally {
      this.scansEnded++;
    }
  }

  async put(_operation: PutOperation): Promise<{ revision: number; prevKv: undefined }> {
    await this.#enter();
    return { revision: ++this.now, prevKv: undefined };
  }

  async delete(): Promise<{ revision: number; deleted: number; prevKvs: [] }> {
    await this.#enter();
    return { revision: ++this.now, deleted: 1, prevKvs: [] };
  }

  async txn(): Promise<{ revision: number; succeeded: boolean; results: [] }> {
    await this.#enter();
    return { revision: this.now, succeeded: true, results: [] };
  }

  async compact(): Promise<number> {
    await this.#enter();
    return this.now;
  }

  watch(options: WatchOptions): FakeWatch {
    const watch = new FakeWatch(options);
    this.watches.push(watch);
    return watch;
  }

  async watchRevision(): Promise<number> {
    await this.#enter();
    return this.now;
  }

  members(consistency: Consistency): Promise<readonly Member[]> {
    const isRefused = consistency === "linearizable" && this.isCutOff;
    return isRefused
      ? Promise.reject(notApplied("timeout", "nobody confirms it"))
      : Promise.resolve(this.nodes);
  }

  addMember(peerAddress: string, learner: boolean): Promise<NodeDescriptor> {
    const added = node(9, { peerAddress, learner, clientAddress: "", incarnation: "" });
    this.nodes = [...this.nodes, added];
    return Promise.resolve(added);
  }

  removeMember(): Promise<void> {
    return Promise.reject(notApplied("invalidArgument", "no quorum would be left"));
  }

  promoteMember(): Promise<void> {
    return Promise.resolve();
  }

  updateMember(): Promise<void> {
    return Promise.resolve();
  }

  async status(): Promise<NodeStatus> {
    return {
      storedBytes: 1000,
      usedBytes: 700,
      quotaBytes: 2000,
      leaderNodeId: this.leaderNodeId,
      term: 3,
      revision: this.now,
      commitIndex: 12,
      appliedIndex: 11,
      isLearner: this.isLearner,
      leaderChanges: 4,
      writesInFlight: 6,
      writesFailed: 2,
      logSyncs: { micros: [1, 0, 2, ...Array.from({ length: 22 }, () => 0), 1], totalMs: 34_000.5 },
      storeCommits: { micros: [0, 1, 0], totalMs: 0.003 },
      storage: this.storage,
      eventLoopBusyMs: 1250,
      residentBytes: 4096,
      alarms: this.raised,
    };
  }

  async hash(revision: number): Promise<HashAnswer> {
    await this.#enter();
    return { revision: this.now, hash: 0xfedcba98, hashRevision: revision, compactedRevision: 0 };
  }

  alarms(): Promise<readonly MemberAlarm[]> {
    return Promise.resolve(this.raised);
  }

  raiseAlarm(alarm: MemberAlarm): Promise<void> {
    this.raised = [...this.raised, alarm];
    return Promise.resolve();
  }

  disarm({ memberId, kind }: MemberAlarm): Promise<boolean> {
    const before = this.raised.length;
    this.raised = this.raised.filter((one) => one.memberId !== memberId || one.kind !== kind);
    return Promise.resolve(this.raised.length < before);
  }

  async defragment(): Promise<void> {
    await this.#enter();
  }

  moveLeader(): Promise<void> {
    return Promise.resolve();
  }

  async #enter(): Promise<void> {
    this.entered++;
    await this.gate;
    if (this.error !== undefined) throw this.error;
  }
}

export function keyValue(key: Uint8Array, value: Uint8Array, revision: number): KeyValue {
  return { key, value, createRevision: revision, modRevision: revision, version: 1, lease: 0n };
}

export function putEvent(key: string, revision: number, value: Uint8Array): WatchEvent {
  return { type: "put", kv: keyValue(bytesOf(key), value, revision), prevKv: undefined };
}

export function node(nodeId: number, more: Partial<NodeDescriptor> = {}): NodeDescriptor {
  return {
    nodeId,
    name: `n${nodeId}`,
    clientAddress: `10.0.0.${nodeId}:2379`,
    peerAddress: `10.0.0.${nodeId}:2380`,
    incarnation: "here",
    labels: {},
    ...more,
  };
}
