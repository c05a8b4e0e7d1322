/**
 * The client: a view on one keyspace over a session that all views share. Requests go straight to
 * the shard that serves them, by a map that repairs itself from refusals. Every rejection is a
 * KvError that says whether the operation took effect; a write of unknown outcome is not retried.
 */
import { must } from "../base/assert.js";
import { REQUEST_SIZE_BYTES_MAX } from "../base/limits.js";
import { DEFAULT_KEYSPACE_NAME } from "../protocol/cluster.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { GET_FLAGS } from "../protocol/get-codec.js";
import type { ReadOptions as ReadOptionsOnWire } from "../protocol/get-codec.js";
import { leaseHigh, leaseLow } from "../protocol/key-value-codec.js";
import { READ_LEVELS } from "../protocol/key-value.js";
import type { KeyValue, ReadLevel } from "../protocol/key-value.js";
import type { Operation, Transaction } from "../protocol/operations.js";
import { PUT_FLAGS } from "../protocol/put-codec.js";
import { keyspaceRange, storedKey } from "../route/stored-key.js";
import { leasesRefused, storedTransaction } from "../route/stored-transaction.js";
import { Admin } from "./admin.js";
import {
  COMPACT_CALL,
  GET_CALL,
  GET_VIEW_CALL,
  PUT_CALL,
  READ_TXN_CALL,
  WRITE_TXN_CALL,
  isReadOnly,
} from "./call-kinds.js";
import type {
  BytesLike,
  CompactOptions,
  ConnectOptions,
  DeleteOptions,
  DeleteResponse,
  GetOptions,
  GetResponse,
  Headed,
  Leases,
  PutOptions,
  PutResponse,
  RangeOptions,
  RangeResponse,
  ReadOptions,
  ScanOptions,
  TransactionResponse,
  WatchOptions,
} from "./client-types.js";
import { giveBack } from "./give-back.js";
import { bytesFrom, checkedKey, keySpan } from "./key-span.js";
import { findKeyspace } from "./keyspace-lookup.js";
import { KeptLease } from "./kept-lease.js";
import { LeaseClient } from "./leases.js";
import type { ClientEnv } from "./node-link.js";
import { runTransaction } from "./large-transaction.js";
import { RangeReader } from "./range-reader.js";
import { routedCall } from "./routed-call.js";
import { Session } from "./session.js";
import { checkRequestSize, checkTransaction } from "./transaction-check.js";
import { Watch } from "./watch.js";

const REQUEST_TIMEOUT_MS = 5000;

/** Connects by an environment of the caller's; programs use `connect` of the package. */
export async function connectBy(env: ClientEnv, options: ConnectOptions): Promise<Client> {
  if (options.endpoints.length === 0) {
    throw notApplied("invalidArgument", "connect needs at least one endpoint");
  }
  const session = await Session.open(env, {
    endpoints: options.endpoints,
    requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    nearNodeId: options.nearNodeId ?? 0,
    connections: options.connections ?? 1,
    requestSizeBytesMax: options.requestSizeBytesMax ?? REQUEST_SIZE_BYTES_MAX,
  });
  const level = options.level ?? "linearizable";
  return new Client(session, options.keyspace ?? DEFAULT_KEYSPACE_NAME, level);
}

export class Client {
  readonly admin: Admin;
  readonly leases: Leases;
  readonly #session: Session;
  readonly #name: string;
  readonly #level: ReadLevel;

  constructor(session: Session, keyspaceName: string, level: ReadLevel) {
    this.#session = session;
    this.#name = keyspaceName;
    this.#level = level;
    this.admin = new Admin(session, () => this.#described());
    this.leases = new LeaseClient(session, () => this.#described());
  }

  /** A view on another keyspace over the same connections. */
  keyspace(name: string): Client {
    return new Client(this.#session, name, this.#level);
  }

  put(key: BytesLike, value: BytesLike, options?: PutOptions): Promise<PutResponse> {
    const keyspace = this.#session.map.keyspace(this.#name);
    if (keyspace === undefined) return this.#described().then(() => this.put(key, value, options));
    try {
      const userKey = checkedKey(key);
      const valueBytes = bytesFrom(value);
      const stored = storedKey(keyspace, userKey);
      checkRequestSize(stored.length, valueBytes.length, this.#session.options.requestSizeBytesMax);
      const lease = options?.lease ?? 0n;
      if (lease !== 0n && !keyspace.dense) throw leasesRefused(keyspace);
      const request = {
        key: stored,
        value: valueBytes,
        flags: options === undefined ? 0 : putFlags(options),
        leaseLow: leaseLow(lease),
        leaseHigh: leaseHigh(lease),
      };
      const target = { key: stored, interval: undefined, level: 0 };
      return routedCall(this.#session, PUT_CALL, target, request);
    } catch (error) {
      return Promise.reject(KvError.from(error));
    }
  }

  get(key: BytesLike, options?: GetOptions): Promise<GetResponse> {
    const keyspace = this.#session.map.keyspace(this.#name);
    if (keyspace === undefined) return this.#described().then(() => this.get(key, options));
    // A revision of many shards need not have been seen by this one: the reader sees to that.
    if (!keyspace.dense && (options?.revision ?? 0) > 0) return this.#getAt(key, options);
    try {
      const stored = storedKey(keyspace, checkedKey(key));
      const level = this.#levelOf(options);
      const readOptions = getOptions(level, options);
      const target = { key: stored, interval: undefined, level };
      const kind = options?.views === true ? GET_VIEW_CALL : GET_CALL;
      return routedCall(this.#session, kind, target, { key: stored, options: readOptions });
    } catch (error) {
      return Promise.reject(KvError.from(error));
    }
  }

  /** All matching keys at one revision, read in as many answers as it takes. */
  async range(options: RangeOptions): Promise<RangeResponse> {
    return (await this.#reader(options)).read();
  }

  /** As `range`, page by page while it is iterated; in a hash keyspace in no order of keys. */
  async *scan(options: ScanOptions): AsyncGenerator<KeyValue, void, undefined> {
    const reader = await this.#reader(options);
    yield* reader.scan();
  }

  /** One key, or with a span all its keys, which must lie in one shard. */
  async delete(key: BytesLike, options: DeleteOptions = {}): Promise<DeleteResponse> {
    const span = keySpan({ ...options, key });
    const operation: Operation = { kind: "delete", ...span, prevKv: options.prevKv === true };
    const answer = await this.txn({ compares: [], success: [operation], failure: [] });
    const result = must(answer.results[0], "the result of a delete");
    if (result.kind !== "delete") throw notMatching();
    return { header: answer.header, deleted: result.deleted, prevKvs: result.prevKvs };
  }

  /** A one-shot transaction in user keys; all of them must lie in one shard. */
  async txn(transaction: Transaction, options?: ReadOptions): Promise<TransactionResponse> {
    const keyspace = await this.#described();
    checkTransaction(transaction, this.#session.options.requestSizeBytesMax);
    const level = isReadOnly(transaction) ? this.#levelOf(options) : READ_LEVELS.linearizable;
    const maxStalenessMs = options?.maxStalenessMs ?? 0;
    const query = { level, maxStalenessMs, minRevision: 0, fanOut: false };
    return runTransaction(transaction, {
      send: (txn) => this.#send(keyspace, txn, options),
      range: (operation) => {
        return new RangeReader(this.#session, keyspace, operation, { ...query, operation }).read();
      },
    });
  }

  #send(
    keyspace: KeyspaceDescriptor,
    transaction: Transaction,
    options: ReadOptions | undefined,
  ): Promise<TransactionResponse> {
    const { txn, interval } = storedTransaction(keyspace, transaction);
    const readOnly = isReadOnly(txn);
    const level = readOnly ? this.#levelOf(options) : READ_LEVELS.linearizable;
    const readOptions = {
      level,
      flags: 0,
      revision: 0,
      maxStalenessMs: options?.maxStalenessMs ?? 0,
      minRevision: options?.minRevision ?? 0,
    };
    const kind = readOnly ? READ_TXN_CALL : WRITE_TXN_CALL;
    const target = { key: interval.start, interval, level };
    return routedCall(this.#session, kind, target, { options: readOptions, txn });
  }

  /** Events of the span's keys, revision by revision, until cancelled. */
  watch(options: WatchOptions): Watch {
    return new Watch(this.#session, this.#described(), options);
  }

  /** Forgets the history before `revision`, in every shard of the keyspace. */
  async compact(revision: number, options: CompactOptions = {}): Promise<Headed> {
    const keyspace = await this.#described();
    const routes = this.#session.map.routesOf(keyspaceRange(keyspace.keyspaceId));
    const answers = await Promise.allSettled(
      routes.map((route) => {
        const target = { key: route.shard.range.start, interval: undefined, level: 0 };
        return routedCall(this.#session, COMPACT_CALL, target, { revision });
      }),
    );
    let refusal = notApplied("shardNotFound", "no shards of the keyspace are known");
    for (const answer of answers) {
      // Where an earlier attempt reached some shards, those are compacted already.
      if (answer.status === "fulfilled") continue;
      refusal = KvError.from(answer.reason);
      if (refusal.code !== "compacted") throw refusal;
    }
    const done = answers.find((answer) => answer.status === "fulfilled");
    if (done === undefined) throw refusal;
    if (options.physical === true) {
      await giveBack(this.#session, this.admin, {
        shards: routes.map(({ shard }) => shard),
        revision,
      });
    }
    return { header: done.value };
  }

  /** A new lease that is kept alive until it is let go of; rejects as `leases.grant` does. */
  keepLease(ttlSeconds: number, id?: bigint): Promise<KeptLease> {
    return KeptLease.grant(this.#session.env, this.leases, ttlSeconds, id);
  }

  /** Ends all views of this client; open requests fail, watches end. */
  close(): Promise<void> {
    this.#session.close();
    return Promise.resolve();
  }

  async #getAt(key: BytesLike, options: GetOptions | undefined): Promise<GetResponse> {
    const { header, kvs } = await this.range({ ...options, key });
    return { header, kv: kvs[0] };
  }

  async #reader(options: RangeOptions): Promise<RangeReader> {
    const keyspace = await this.#described();
    const span = keySpan(options);
    return new RangeReader(this.#session, keyspace, span, {
      operation: {
        kind: "range",
        key: span.key,
        rangeEnd: span.rangeEnd,
        limit: options.limit ?? 0,
        revision: options.revision ?? 0,
        sortOrder: options.sortOrder ?? "none",
        sortTarget: options.sortTarget ?? "key",
        keysOnly: options.keysOnly === true,
        countOnly: options.countOnly === true,
        minModRevision: options.minModRevision ?? 0,
        maxModRevision: options.maxModRevision ?? 0,
        minCreateRevision: options.minCreateRevision ?? 0,
        maxCreateRevision: options.maxCreateRevision ?? 0,
      },
      level: this.#levelOf(options),
      maxStalenessMs: options.maxStalenessMs ?? 0,
      minRevision: options.minRevision ?? 0,
      fanOut: options.fanOut === true,
    });
  }

  /** The keyspace's descriptor, looked for anew where the map does not know it. */
  async #described(): Promise<KeyspaceDescriptor> {
    const known = this.#session.map.keyspace(this.#name);
    if (known !== undefined) return known;
    return findKeyspace(this.#session, this.#name);
  }

  #levelOf(options: ReadOptions | undefined): number {
    return READ_LEVELS[options?.level ?? this.#level];
  }
}

function getOptions(level: number, options: GetOptions | undefined): ReadOptionsOnWire {
  return {
    level,
    flags: options?.keysOnly === true ? GET_FLAGS.keysOnly : 0,
    revision: options?.revision ?? 0,
    maxStalenessMs: options?.maxStalenessMs ?? 0,
    minRevision: options?.minRevision ?? 0,
  };
}

function putFlags(options: PutOptions): number {
  return (
    (options.prevKv === true ? PUT_FLAGS.prevKv : 0) |
    (options.ignoreValue === true ? PUT_FLAGS.ignoreValue : 0) |
    (options.ignoreLease === true ? PUT_FLAGS.ignoreLease : 0)
  );
}

function notMatching(): KvError {
  return new KvError("malformed", "the answer does not match its request", "unknown");
}
