/**
 * Nodes that consist of a store and a replica host, with one shard of which each has a replica:
 * disks in memory, time that moves when a test waits for something, messages that take a
 * millisecond. Nothing needs to be closed.
 */
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import { utf8 } from "../../src/base/bytes.js";
import { must } from "../../src/base/assert.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import type { CorruptionError } from "../../src/log/corruption-error.js";
import type { ShardDescriptor } from "../../src/protocol/cluster.js";
import type { PutOperation } from "../../src/protocol/operations.js";
import type { Message } from "../../src/raft/message.js";
import { ReplicaHost } from "../../src/shard/replica-host.js";
import type { ReplicaObserver, ReplicaTransport } from "../../src/shard/replica-host.js";
import type { Replica } from "../../src/shard/replica.js";
import { decodeSnapshotChunk } from "../../src/shard/snapshot-messages.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { StoreJob } from "../../src/store/jobs.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import { Store } from "../../src/store/store.js";
import { ALL, DIRECTORY } from "../store/store-bench.js";
import { FakeAsker } from "./fake-replica.js";
import { FakeTimers } from "../support/fake-timers.js";
import { SleepyTime } from "../support/sleepy-time.js";
import { testEnv, turnsUntil } from "../support/test-env.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

export const SHARD = 7;

const STEP_MS = 5;
const SETTINGS = {
  electionTimeoutMs: { min: 400, max: 800 },
  heartbeatMs: 50,
  clockDriftRatio: 0,
  tickMs: 10,
  campaignRankMs: 20,
  flow: DEFAULT_CONFIG.flow,
  entryCacheBytes: DEFAULT_CONFIG.entryCacheBytes,
};

export interface BenchNode {
  readonly disk: MemoryDisk;
  readonly store: Store;
  readonly host: ReplicaHost;
  readonly replica: Replica;
  /** By which it can be put to sleep. */
  readonly time: SleepyTime;
  /** What the host told of its replica's data. */
  readonly news: readonly ("damaged" | "refilled")[];
}

export interface BenchOptions extends StoreOptions {
  /** Never, unless it is given. */
  readonly quiesceAfterMs?: number;
  /** None, unless it is given. */
  readonly leaseMs?: number;
  /** As a node's, unless it is given. */
  readonly entryCacheBytes?: number;
}

export class HostBench {
  readonly #time = new FakeTimers();
  readonly #nodes: Map<number, BenchNode> = new Map();
  readonly #options: BenchOptions;
  /** By nodes whose disk stalls: what it would have finished. */
  readonly #unfinished: Map<number, (() => void)[]> = new Map();

  readonly #cutOff: Set<number> = new Set();

  private constructor(options: BenchOptions) {
    this.#options = options;
  }

  /** Opens the shard on nodes 1 to `count`; node 1 leads it when this resolves. */
  static async start(count: number, options: BenchOptions): Promise<HostBench> {
    const bench = new HostBench(options);
    for (let nodeId = 1; nodeId <= count; nodeId++) {
      bench.#nodes.set(nodeId, await bench.#open(nodeId, count));
    }
    const { replica } = bench.node(1);
    replica.raft.campaign(replica.clockMs());
    replica.wake();
    await bench.until(() => replica.leads);
    return bench;
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.#time.advance(ms);
  }

  /** The loop is held up for so long; `poll` is what waits in the sockets then. */
  holdUp(ms: number, poll: () => void): void {
    this.#time.stall(ms, poll);
  }

  /** Its replica says no more, and hears nothing. */
  stop(nodeId: number): void {
    this.node(nodeId).host.close();
  }

  node(nodeId: number): BenchNode {
    return must(this.#nodes.get(nodeId), "node");
  }

  /** Lets time pass until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    await turnsUntil(() => {
      this.#time.advance(STEP_MS);
      return condition();
    });
  }

  /** From now on nothing reaches the node. */
  cutOff(nodeId: number): void {
    this.#cutOff.add(nodeId);
  }

  reconnect(nodeId: number): void {
    this.#cutOff.delete(nodeId);
  }

  /** From now on no write of the node's disk finishes. */
  stallDisk(nodeId: number): void {
    this.#unfinished.set(nodeId, []);
  }

  /** All of them do. */
  endDiskStall(nodeId: number): void {
    const finished = must(this.#unfinished.get(nodeId), "a disk that stalls");
    this.#unfinished.delete(nodeId);
    for (const complete of finished) complete();
  }

  /** As if a read had met damage in this turn, which is over when this returns. */
  meetDamage(nodeId: number, error: CorruptionError): void {
    this.node(nodeId).replica.damaged(error);
    this.#time.endTurn();
  }

  async #open(nodeId: number, count: number): Promise<BenchNode> {
    const time = new SleepyTime(this.#time);
    const disk = new MemoryDisk({
      completion: (complete) => {
        const unfinished = this.#unfinished.get(nodeId);
        if (unfinished === undefined) time.after(1, complete);
        else unfinished.push(complete);
      },
    });
    const job = (each: unknown): unknown => runStoreJob(disk, each as StoreJob);
    const env = { ...testEnv({ disk, job, seed: nodeId }), clock: time, timers: time };
    const logOptions = { segmentSizeBytes: 64 * 1024, firstSegmentSizeBytes: 64 * 1024 };
    const { store } = await Store.open(env, DIRECTORY, { logOptions, ...this.#options });
    const news: BenchNode["news"][number][] = [];
    const parts = { transport: this.#transport(), observer: observer(news) };
    const { quiesceAfterMs = 0, leaseMs = 0 } = this.#options;
    const { entryCacheBytes = SETTINGS.entryCacheBytes } = this.#options;
    const settings = { ...SETTINGS, quiesceAfterMs, leaseMs, entryCacheBytes, nodeId };
    const host = new ReplicaHost(env, store, settings, parts);
    const found = { recovered: undefined, missingFile: undefined };
    const replica = host.open(descriptor(count), found, undefined, 0);
    return { disk, store, host, replica, time, news };
  }

  #transport(): ReplicaTransport {
    const receiver = (nodeId: number) => this.node(nodeId).host.snapshots;
    return {
      send: (nodeId: number, _shardId: number, message: Message) => {
        const receiver = this.#cutOff.has(nodeId) ? undefined : this.#nodes.get(nodeId);
        receiver?.time.after(1, () => receiver.replica.step(message));
      },
      nudge: () => undefined,
      flush: () => undefined,
      isConnected: () => true,
      snapshotBegin: (nodeId, begin) => Promise.resolve(receiver(nodeId).begin(begin)),
      snapshotChunk: (nodeId, encode) => {
        const out = new ByteWriter();
        encode(out);
        const chunk = decodeSnapshotChunk(new ByteReader(out.copy()));
        return Promise.resolve(receiver(nodeId).chunk(chunk));
      },
      snapshotEnd: (nodeId, end) => Promise.resolve(receiver(nodeId).end(end)),
    };
  }
}

function observer(news: BenchNode["news"][number][]): ReplicaObserver {
  return {
    replicaDamaged: () => news.push("damaged"),
    replicaRefilled: () => news.push("refilled"),
    replicaRemoved: () => undefined,
    roleChanged: () => undefined,
    applied: () => undefined,
    raftEvent: () => undefined,
    diskStallChanged: () => undefined,
    turnEnded: () => undefined,
  };
}

function descriptor(count: number): ShardDescriptor {
  return {
    shardId: SHARD,
    keyspaceId: 1,
    range: ALL,
    epoch: { configuration: 1, range: 1 },
    generation: 1,
    replicas: Array.from({ length: count }, (_, i) => ({
      nodeId: i + 1,
      replicaId: i + 1,
      role: "voter",
    })),
    preferredNodeId: 1,
  };
}

/** Writes a key at a node's replica; returns what tells how that was answered. */
export function put(node: BenchNode, key: string, value = "value"): () => string | undefined {
  const asker = new FakeAsker();
  const operation: PutOperation = {
    kind: "put",
    key: utf8(key),
    value: utf8(value),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
  const transaction = { compares: [], success: [operation], failure: [] };
  node.replica.writes.submitTransaction(asker, 1, transaction);
  return () => asker.of(1);
}
