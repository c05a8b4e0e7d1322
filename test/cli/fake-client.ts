/**
 * A store in memory that answers as the SDK does, as far as commands can tell. Faults are planned
 * per key: each is thrown once, after the write took effect where the plan says so.
 */
import { compareBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import type { AlarmReport } from "../../src/client/admin.js";
import type { AdminPort, ClientPort, WatchStream } from "../../src/cli/client-port.js";
import type {
  DeleteOptions,
  DeleteResponse,
  GetOptions,
  GetResponse,
  Headed,
  KeyspaceOptions,
  Leases,
  PutOptions,
  PutResponse,
  RangeOptions,
  RangeResponse,
  ScanOptions,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "../../src/client/client-types.js";
import { keySpan } from "../../src/client/key-span.js";
import type { StatusResponse } from "../../src/protocol/admin-messages.js";
import type { ClusterMap, KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../../src/protocol/key-value.js";
import type { Transaction } from "../../src/protocol/operations.js";
import { OPEN_END } from "../../src/route/stored-key.js";

export interface PlannedFault {
  readonly error: KvError;
  /** The write took effect although its answer was lost. */
  readonly applied: boolean;
}

const KEYSPACE: KeyspaceDescriptor = {
  keyspaceId: 1,
  name: "default",
  kind: "range",
  dense: true,
  replicationFactor: 3,
};

export const MAP: ClusterMap = {
  clusterId: "0000000000000000000000000000002a",
  version: 1,
  nodes: ["n1", "n2", "n3"].map((name, at) => ({
    nodeId: at + 1,
    name,
    clientAddress: `127.0.0.1:${at + 1}2379`,
    peerAddress: `127.0.0.1:${at + 1}2380`,
    incarnation: name,
    labels: { zone: "a" },
  })),
  keyspaces: [KEYSPACE],
  shards: [
    {
      shardId: 2,
      keyspaceId: 1,
      range: { start: Uint8Array.of(0, 0, 0, 1), end: Uint8Array.of(0, 0, 0, 2) },
      epoch: { configuration: 1, range: 1 },
      generation: 1,
      replicas: [1, 2, 3].map((nodeId) => ({ replicaId: nodeId, nodeId, role: "voter" })),
      preferredNodeId: 1,
    },
  ],
};

function noAnswer(): Promise<never> {
  return Promise.reject(new KvError("unavailable", "no answer", "notApplied"));
}

/** Backups are tested against real clusters. */
const NO_BACKUPS = {
  confirmedMap: noAnswer,
  revision: noAnswer,
  backupOpen: noAnswer,
  backupRead: noAnswer,
  backupRelease: noAnswer,
};

export class FakeClient implements ClientPort {
  readonly entries: Map<string, KeyValue> = new Map();
  /** By endpoint; who has none does not answer. */
  map: ClusterMap = MAP;
  readonly statuses: Map<string, StatusResponse> = new Map();
  readonly hashes: Map<string, number> = new Map();
  alarms: AlarmReport = { alarms: [], strays: [], silent: [] };
  /** TTLs by id. */
  readonly granted: Map<bigint, number> = new Map();
  readonly faults: Map<string, PlannedFault[]> = new Map();
  readonly requests: string[] = [];
  readonly transactions: Transaction[] = [];
  readonly created: KeyspaceOptions[] = [];
  /** What is left of a lease, question by question; then it has ended. */
  leaseTtls: number[] = [];
  /** What a watch yields before it waits for its end. */
  watchItems: WatchItem[] = [];
  /** What a member that leaves still holds when the command has waited long enough. */
  replicasLeft = 0;
  inFlight = 0;
  inFlightMax = 0;
  revision = 1;
  closed = false;

  readonly leases: Leases = {
    grant: async (ttlSeconds, id = 0n) => {
      if (this.granted.has(id)) throw notApplied("leaseExists", "there is one");
      this.granted.set(id, ttlSeconds);
      this.requests.push(`grant ${ttlSeconds} ${id}`);
      return { header: this.#header(), id: id === 0n ? 0x1f3an : id, ttlSeconds };
    },
    revoke: async (id) => {
      this.requests.push(`revoke ${id}`);
      return { header: this.#header() };
    },
    keepAlive: async () => ({ header: this.#header(), ttlSeconds: this.leaseTtls.shift() ?? 0 }),
    timeToLive: async (id, options) => {
      const ttlSeconds = this.leaseTtls.shift() ?? this.granted.get(id) ?? -1;
      const grantedTtlSeconds = this.granted.get(id) ?? (ttlSeconds < 0 ? 0 : 60);
      const keys = options?.keys === true ? [utf8("k1"), utf8("k2")] : [];
      return { header: this.#header(), ttlSeconds, grantedTtlSeconds, keys };
    },
    list: async () => ({ header: this.#header(), ids: [0x1f3an, 2n ** 64n - 2n] }),
  };

  readonly admin: AdminPort = {
    ...NO_BACKUPS,
    map: () =>
      Promise.resolve({ clusterMap: this.map, leaders: [{ shardId: 2, nodeId: 1, term: 5 }] }),
    status: (endpoint) => {
      const status = this.statuses.get(endpoint);
      if (status !== undefined) return Promise.resolve(status);
      return Promise.reject(new KvError("unavailable", "no answer", "notApplied"));
    },
    alarms: () => Promise.resolve(this.alarms),
    changeAlarm: ({ nodeId, memberId, kind, raised }) => {
      this.requests.push(`alarm ${memberId ?? nodeId} ${kind} ${raised}`);
      return Promise.resolve();
    },
    hash: (endpoint, { shardId, revision }) => {
      this.requests.push(`hash ${endpoint} ${shardId} ${revision}`);
      return Promise.resolve({
        hash: this.hashes.get(endpoint) ?? 7,
        revision,
        compactedRevision: 0,
        appliedRevision: this.revision,
      });
    },
    defragment: (endpoint) => {
      this.requests.push(`defragment ${endpoint}`);
      if (this.statuses.has(endpoint)) return Promise.resolve();
      return Promise.reject(new KvError("unavailable", "no answer", "notApplied"));
    },
    health: (endpoint) =>
      Promise.resolve(
        endpoint === "127.0.0.1:2379"
          ? { healthy: true, reasons: [] }
          : { healthy: false, reasons: ["shard 2 has no leader"] },
      ),
    createKeyspace: (options) => {
      this.created.push(options);
      return Promise.resolve({ ...KEYSPACE, keyspaceId: 7, kind: options.kind });
    },
    locate: () => Promise.resolve(MAP.shards[0]!),
    addMember: ({ name, peerAddress, learner }) => {
      this.requests.push(`addMember ${name} ${peerAddress} ${learner}`);
      return Promise.resolve({ ...MAP.nodes[0]!, nodeId: 0x4d, name, peerAddress, learner });
    },
    removeMember: (nodeId) => {
      this.requests.push(`removeMember ${nodeId}`);
      return Promise.resolve();
    },
    untilLeft: () => Promise.resolve(this.replicasLeft),
    promoteMember: (nodeId) => {
      this.requests.push(`promoteMember ${nodeId}`);
      return Promise.resolve();
    },
    updateMember: ({ nodeId, peerAddress }) => {
      this.requests.push(`updateMember ${nodeId} ${peerAddress}`);
      return Promise.resolve();
    },
    changeReplica: ({ shardId, action, nodeId }) => {
      this.requests.push(`changeReplica ${shardId} ${action} ${nodeId}`);
      return Promise.resolve();
    },
    moveLeader: (shardId, node) => {
      this.requests.push(`moveLeader ${shardId} ${node}`);
      return Promise.resolve();
    },
  };

  #header(level: ResponseHeader["level"] = "linearizable"): ResponseHeader {
    const ageMs = level === "stale" ? 120 : 0;
    return { revision: this.revision, shardId: 2, nodeId: 1, raftTerm: 5, level, ageMs };
  }

  /** Puts content in place without a request. */
  seed(entries: Readonly<Record<string, string>>): void {
    for (const [key, value] of Object.entries(entries)) this.#store(utf8(key), utf8(value));
  }

  #store(key: Uint8Array, value: Uint8Array, lease = 0n): KeyValue | undefined {
    const text = utf8Text(key);
    const before = this.entries.get(text);
    this.revision++;
    this.entries.set(text, {
      key,
      value,
      createRevision: before?.createRevision ?? this.revision,
      modRevision: this.revision,
      version: (before?.version ?? 0) + 1,
      lease,
    });
    return before;
  }

  async put(key: Uint8Array, value: Uint8Array, options: PutOptions = {}): Promise<PutResponse> {
    const lease = options.lease ?? 0n;
    this.requests.push(`put ${utf8Text(key)}${lease === 0n ? "" : ` ${lease}`}`);
    this.inFlight++;
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
    const fault = this.faults.get(utf8Text(key))?.shift();
    if (fault === undefined || fault.applied) {
      const prevKv = this.#store(key, value, options.lease);
      if (fault === undefined) {
        return { header: this.#header(), prevKv: options.prevKv === true ? prevKv : undefined };
      }
    }
    throw fault.error;
  }

  get(key: Uint8Array, options: GetOptions = {}): Promise<GetResponse> {
    this.requests.push(`get ${utf8Text(key)}`);
    const fault = this.faults.get(utf8Text(key))?.shift();
    if (fault !== undefined) return Promise.reject(fault.error);
    const kv = this.entries.get(utf8Text(key));
    return Promise.resolve({ header: this.#header(options.level), kv });
  }

  #select(options: ScanOptions): KeyValue[] {
    const { key, rangeEnd } = keySpan(options);
    const open = rangeEnd !== undefined && compareBytes(rangeEnd, OPEN_END) === 0;
    return [...this.entries.values()]
      .filter((kv) => {
        if (rangeEnd === undefined) return compareBytes(kv.key, key) === 0;
        return compareBytes(kv.key, key) >= 0 && (open || compareBytes(kv.key, rangeEnd) < 0);
      })
      .sort((a, b) => compareBytes(a.key, b.key));
  }

  range(options: RangeOptions): Promise<RangeResponse> {
    this.requests.push(`range ${options.limit ?? 0} ${options.sortOrder} ${options.sortTarget}`);
    const all = this.#select(options);
    const limit = options.limit ?? 0;
    const kvs = limit > 0 ? all.slice(0, limit) : all;
    return Promise.resolve({
      header: this.#header(options.level),
      kvs: options.countOnly === true ? [] : kvs,
      more: kvs.length < all.length,
      count: all.length,
    });
  }

  async *scan(options: ScanOptions): AsyncGenerator<KeyValue> {
    yield* this.#select(options);
  }

  delete(key: Uint8Array, options: DeleteOptions = {}): Promise<DeleteResponse> {
    const prevKvs = this.#select({ key, ...options });
    for (const kv of prevKvs) this.entries.delete(utf8Text(kv.key));
    this.revision++;
    return Promise.resolve({
      header: this.#header(),
      deleted: prevKvs.length,
      prevKvs: options.prevKv === true ? prevKvs : [],
    });
  }

  txn(transaction: Transaction): Promise<TransactionResponse> {
    this.transactions.push(transaction);
    return Promise.resolve({
      header: this.#header(),
      succeeded: true,
      results: [
        { kind: "put", prevKv: undefined },
        { kind: "range", kvs: [...this.entries.values()], more: false, count: this.entries.size },
      ],
    });
  }

  watch(options: WatchOptions): WatchStream {
    const span = keySpan(options);
    this.requests.push(`watch ${utf8Text(span.key)} ${options.startRevision}`);
    const items = this.watchItems;
    let cancel: () => void = () => undefined;
    const cancelled = new Promise<void>((resolve) => {
      cancel = resolve;
    });
    async function* stream(): AsyncGenerator<WatchItem> {
      yield* items;
      await cancelled;
    }
    return { [Symbol.asyncIterator]: stream, cancel: () => cancel() };
  }

  keepLease(): Promise<never> {
    return Promise.reject(new KvError("unsupported", "locks need real nodes", "notApplied"));
  }

  compact(revision: number): Promise<Headed> {
    this.requests.push(`compact ${revision}`);
    return Promise.resolve({ header: this.#header() });
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}
