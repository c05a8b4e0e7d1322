/**
 * A cluster of three nodes for tests of clients: it speaks the wire protocol over a memory network,
 * keeps one history a keyspace in memory, and does what a test tells it: move leaders, split
 * shards, stop nodes, refuse, or swallow answers. It knows nothing of Raft, and a write is at once
 * visible at every node.
 */
import { bytesOf } from "./bytes-of.js";
import { clusterMap } from "./cluster-maps.js";
import type { KeyspacePlan } from "./cluster-maps.js";
import { FakeHistory } from "./fake-history.js";
import { MemoryNetwork } from "./memory-socket.js";
import { ByteReader } from "../../src/base/coding.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { Listener } from "../../src/env/network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { decodePlain, encodePlain } from "../../src/protocol/admin-codec.js";
import type { MapRequest, MapResponse } from "../../src/protocol/admin-messages.js";
import { AnswerHeader, encodeAnswerHeader } from "../../src/protocol/answer-header.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  ShardDescriptor,
} from "../../src/protocol/cluster.js";
import { encodeError } from "../../src/protocol/error-codec.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { GetView, decodeGet, decodeReadOptions } from "../../src/protocol/get-codec.js";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from "../../src/protocol/hello-codec.js";
import type { Hello } from "../../src/protocol/hello-codec.js";
import { READ_LEVELS } from "../../src/protocol/key-value.js";
import type { WatchEvent } from "../../src/protocol/key-value.js";
import { FRAME_FLAGS, MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { decodeTransactionView } from "../../src/protocol/operation-codec.js";
import { PutView, decodePut } from "../../src/protocol/put-codec.js";
import { decodeCompact } from "../../src/protocol/request-codec.js";
import {
  encodeOptionalKeyValue,
  encodeTransactionResult,
} from "../../src/protocol/result-codec.js";
import { RoutedHeader, decodeRoutedHeader } from "../../src/protocol/routed-header.js";
import {
  decodeWatchCreate,
  encodeClosedPart,
  encodeEventsHead,
  encodeWatchEvent,
} from "../../src/protocol/watch-codec.js";
import type { WatchCreate } from "../../src/protocol/watch-codec.js";
import { ByteWriter } from "../../src/base/coding.js";
import type { FrameConnection, FrameHandler } from "../../src/rpc/frame-connection.js";
import { listenFrames } from "../../src/rpc/handshake.js";

/** A request as a test sees it go by. */
export interface SeenRequest {
  readonly nodeId: number;
  readonly type: number;
  readonly shardId: number;
  readonly level: number;
}

/** What a test may do with a request: refuse it, swallow it, or swallow only its answer. */
export type Interference = KvError | "swallow" | "swallowAnswer" | undefined;

export class FakeCluster {
  readonly network: MemoryNetwork = new MemoryNetwork();
  readonly seen: SeenRequest[] = [];
  map: ClusterMap;
  interfere: (request: SeenRequest) => Interference = () => undefined;
  /** Nodes that are cut off from the others, and what each holds for the map. */
  readonly stale: Map<number, ClusterMap> = new Map();
  /** The newest revision that answers of nodes tell that lag. */
  readonly lagging: Map<number, number> = new Map();
  /** Events that a part of a watch carries at most, and how many parts are sent at all. */
  readonly watchParts: WatchParts = { eventsMax: Infinity, left: Infinity };
  /** Rows that one answer to a range carries at most. */
  pageRows = 1000;
  /** Rows that a shard sorts. */
  sortedRows = 1000;
  readonly #leaders: Map<number, number> = new Map();
  readonly #histories: Map<number, FakeHistory> = new Map();
  readonly #listeners: Map<number, Listener> = new Map();
  readonly #watches: Set<FakeWatch> = new Set();

  static async start(plans: readonly KeyspacePlan[]): Promise<FakeCluster> {
    const cluster = new FakeCluster(clusterMap(plans));
    for (const node of cluster.map.nodes) await cluster.startNode(node.nodeId);
    return cluster;
  }

  private constructor(map: ClusterMap) {
    this.map = map;
    for (const shard of map.shards) this.#leaders.set(shard.shardId, shard.preferredNodeId);
    for (const one of map.keyspaces) this.#histories.set(one.keyspaceId, new FakeHistory(one));
  }

  get endpoints(): readonly string[] {
    return this.map.nodes.map((node) => node.clientAddress);
  }

  async startNode(nodeId: number): Promise<void> {
    const env = { network: this.network, timers: nodeTimers };
    const listener = await listenFrames(env, this.addressOf(nodeId), {
      hello: () => this.#hello(nodeId),
      handshakeTimeoutMs: 1000,
      established: (connection) => new FakeNodeConnection(this, nodeId, connection),
      refused: () => undefined,
    });
    this.#listeners.set(nodeId, listener);
  }

  /** Stops a node as a killed process stops: its connections break, nobody listens. */
  async stopNode(nodeId: number): Promise<void> {
    await this.#listeners.get(nodeId)?.close();
    this.network.cut(this.addressOf(nodeId));
  }

  addressOf(nodeId: number): string {
    return this.map.nodes.find((node) => node.nodeId === nodeId)!.clientAddress;
  }

  keyspace(name: string): KeyspaceDescriptor {
    return this.map.keyspaces.find((one) => one.name === name)!;
  }

  history(name: string): FakeHistory {
    return this.#histories.get(this.keyspace(name).keyspaceId)!;
  }

  historyOf(keyspaceId: number): FakeHistory {
    return this.#histories.get(keyspaceId)!;
  }

  leaderOf(shardId: number): number {
    return this.#leaders.get(shardId)!;
  }

  /** 0: nobody leads. */
  moveLeader(shardId: number, nodeId: number): void {
    this.#leaders.set(shardId, nodeId);
  }

  shardOf(key: Uint8Array): ShardDescriptor {
    return this.map.shards.find((shard) => rangeContains(shard.range, key))!;
  }

  /** Splits a shard at a stored key; the new shard is led by the given node. */
  split(shardId: number, at: Uint8Array, childId: number, childLeader: number): void {
    const parent = this.map.shards.find((shard) => shard.shardId === shardId)!;
    const epoch = { ...parent.epoch, range: parent.epoch.range + 1 };
    const generation = parent.generation + 1;
    const halves: ShardDescriptor[] = [
      { ...parent, epoch, generation, range: { start: parent.range.start, end: at } },
      {
        ...parent,
        epoch,
        generation,
        shardId: childId,
        range: { start: at, end: parent.range.end },
      },
    ];
    const others = this.map.shards.filter((shard) => shard.shardId !== shardId);
    this.map = { ...this.map, version: this.map.version + 1, shards: [...others, ...halves] };
    this.#leaders.set(childId, childLeader);
    for (const watch of this.#watches) {
      if (watch.shardId === shardId) watch.fail(this.#stale(parent));
    }
  }

  mapResponse(nodeId = 0): MapResponse {
    const leaders = [...this.#leaders].map(([shardId, leader]) => ({
      shardId,
      nodeId: leader,
      term: 1,
    }));
    const stale = this.stale.get(nodeId);
    if (stale !== undefined) return { clusterMap: stale, leaders: [] };
    return { clusterMap: this.map, leaders };
  }

  /** What a node can do only with the others. */
  askOthers(nodeId: number): void {
    if (!this.stale.has(nodeId)) return;
    throw notApplied("unavailable", "the placement group has no leader now");
  }

  knowsKeyspace(nodeId: number, keyspaceId: number): boolean {
    const { keyspaces } = this.stale.get(nodeId) ?? this.map;
    return keyspaces.some((each) => each.keyspaceId === keyspaceId);
  }

  /** Whether this node may serve the request, as a KvError if not. */
  admit(nodeId: number, routed: RoutedHeader, level: number): KvError | undefined {
    const shard = this.map.shards.find((one) => one.shardId === routed.shardId);
    if (shard === undefined) return notApplied("shardNotFound", "no such shard", { shards: [] });
    const { configuration, range } = shard.epoch;
    if (configuration !== routed.configuration || range !== routed.range) return this.#stale(shard);
    const leader = this.leaderOf(shard.shardId);
    if (level >= READ_LEVELS.follower || leader === nodeId) return undefined;
    const leaderNodeId = leader === 0 ? undefined : leader;
    return notApplied("notLeader", `node ${nodeId} does not lead`, { leaderNodeId });
  }

  addWatch(watch: FakeWatch): void {
    this.#watches.add(watch);
  }

  removeWatch(watch: FakeWatch): void {
    this.#watches.delete(watch);
  }

  get watchCount(): number {
    return this.#watches.size;
  }

  /** Sends to every watch what has happened since. */
  pumpWatches(): void {
    for (const watch of this.#watches) watch.pump();
  }

  #stale(shard: ShardDescriptor): KvError {
    const current = this.map.shards.filter((one) => one.keyspaceId === shard.keyspaceId);
    return notApplied("staleEpoch", "another epoch", { shards: current });
  }

  #hello(nodeId: number): Hello {
    return {
      versionMin: PROTOCOL_VERSION_MIN,
      versionMax: PROTOCOL_VERSION_MAX,
      kind: "client",
      clusterId: this.map.clusterId,
      nodeId,
      incarnation: "fake",
      run: 1,
      features: 0,
    };
  }
}

interface WatchParts {
  eventsMax: number;
  left: number;
}

/** A watch stream at the server's end. */
class FakeWatch {
  readonly shardId: number;
  readonly #history: FakeHistory;
  readonly #create: WatchCreate;
  readonly #connection: FrameConnection;
  readonly #requestId: number;
  readonly #parts: WatchParts;
  #next: number;

  constructor(
    shardId: number,
    history: FakeHistory,
    create: WatchCreate,
    connection: FrameConnection,
    requestId: number,
    parts: WatchParts,
  ) {
    this.#parts = parts;
    this.shardId = shardId;
    this.#history = history;
    this.#create = create;
    this.#connection = connection;
    this.#requestId = requestId;
    this.#next = create.startRevision;
  }

  pump(): void {
    for (; this.#next <= this.#history.revision; this.#next++) {
      const events = this.#history.eventsAt(this.#next, this.#create);
      for (let at = 0; at < events.length && this.#parts.left > 0; this.#parts.left--) {
        const end = Math.min(events.length, at + this.#parts.eventsMax);
        this.#part(events.slice(at, end), end === events.length);
        at = end;
      }
    }
  }

  #part(events: readonly WatchEvent[], isLast: boolean): void {
    const encoded = new ByteWriter();
    for (const event of events) encodeWatchEvent(encoded, event);
    const out = this.#begin(FRAME_FLAGS.more);
    encodeEventsHead(out, this.#next, events.length, isLast);
    out.raw(encoded.view());
    this.#connection.end();
  }

  close(): void {
    this.pump();
    encodeClosedPart(this.#begin(FRAME_FLAGS.more), this.#history.revision);
    this.#connection.end();
  }

  fail(error: KvError): void {
    encodeError(this.#begin(FRAME_FLAGS.error), error);
    this.#connection.end();
  }

  #begin(flags: number): ByteWriter {
    const { watch } = MESSAGE_TYPES;
    return this.#connection.begin(watch, FRAME_FLAGS.response | flags, this.#requestId);
  }
}

class FakeNodeConnection implements FrameHandler {
  readonly #cluster: FakeCluster;
  readonly #nodeId: number;
  readonly #connection: FrameConnection;
  readonly #routed = new RoutedHeader();
  readonly #watches: Map<number, FakeWatch> = new Map();

  constructor(cluster: FakeCluster, nodeId: number, connection: FrameConnection) {
    this.#cluster = cluster;
    this.#nodeId = nodeId;
    this.#connection = connection;
  }

  frame(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    const open = this.#watches.get(requestId);
    if (type === MESSAGE_TYPES.watch && open !== undefined) {
      if ((flags & FRAME_FLAGS.end) === 0) open.close();
      else this.#drop(requestId, open);
      return;
    }
    try {
      this.#serve(type, requestId, bytes, offset, end);
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      const refused = FRAME_FLAGS.response | FRAME_FLAGS.error;
      encodeError(this.#connection.begin(type, refused, requestId), error);
      this.#connection.end();
    }
  }

  drain(): void {}

  closed(): void {
    for (const watch of this.#watches.values()) this.#cluster.removeWatch(watch);
  }

  #drop(requestId: number, watch: FakeWatch): void {
    this.#cluster.removeWatch(watch);
    this.#watches.delete(requestId);
  }

  #serve(type: number, requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const isData = type < MESSAGE_TYPES.sequence;
    const at = isData ? decodeRoutedHeader(bytes, offset, end, this.#routed) : offset;
    const shardId = isData ? this.#routed.shardId : 0;
    const level = this.#levelOf(type, bytes, at);
    const seen = { nodeId: this.#nodeId, type, shardId, level };
    this.#cluster.seen.push(seen);
    const interference = this.#cluster.interfere(seen);
    if (interference === "swallow") return;
    if (interference instanceof KvError) throw interference;
    if (isData) {
      const refusal = this.#cluster.admit(this.#nodeId, this.#routed, level);
      if (refusal !== undefined) throw refusal;
    }
    const out = new ByteWriter();
    if (isData) this.#serveData(type, requestId, bytes, at, end, out);
    else this.#serveOther(type, new ByteReader(bytes, at, end), out);
    if (interference === "swallowAnswer" || type === MESSAGE_TYPES.watch) return;
    this.#connection.begin(type, FRAME_FLAGS.response, requestId).raw(out.view());
    this.#connection.end();
    this.#cluster.pumpWatches();
  }

  #levelOf(type: number, bytes: Uint8Array, at: number): number {
    const reads = type === MESSAGE_TYPES.get || type === MESSAGE_TYPES.txn;
    if (type === MESSAGE_TYPES.watch) return READ_LEVELS.stale;
    return reads ? bytes[at]! : READ_LEVELS.linearizable;
  }

  #serveOther(type: number, reader: ByteReader, out: ByteWriter): void {
    const cluster = this.#cluster;
    if (type === MESSAGE_TYPES.map) {
      const isConfirmed =
        reader.remaining > 0 && decodePlain<MapRequest>(reader).confirmed === true;
      if (isConfirmed) cluster.askOthers(this.#nodeId);
      encodePlain(out, cluster.mapResponse(this.#nodeId));
    } else if (type === MESSAGE_TYPES.sequence) {
      this.#sequence(reader.u32(), out);
    } else if (type === MESSAGE_TYPES.replicaChange) {
      cluster.askOthers(this.#nodeId);
      encodePlain(out, { clusterMap: cluster.map });
    } else if (type === MESSAGE_TYPES.health) encodePlain(out, { healthy: true, reasons: [] });
    else if (type === MESSAGE_TYPES.status) {
      encodePlain(out, { nodeId: this.#nodeId, replicas: [], alarms: [] });
    } else throw notApplied("unsupported", `type ${type}`);
  }

  #sequence(keyspaceId: number, out: ByteWriter): void {
    if (!this.#cluster.knowsKeyspace(this.#nodeId, keyspaceId)) {
      throw notApplied("keyspaceNotFound", `there is no keyspace ${keyspaceId}`);
    }
    this.#cluster.askOthers(this.#nodeId);
    out.u53(this.#cluster.historyOf(keyspaceId).revision);
  }

  #serveData(
    type: number,
    requestId: number,
    bytes: Uint8Array,
    at: number,
    end: number,
    out: ByteWriter,
  ): void {
    const history = this.#cluster.historyOf(this.#routed.keyspaceId);
    if (type === MESSAGE_TYPES.put) this.#put(history, bytes, at, end, out);
    else if (type === MESSAGE_TYPES.get) this.#get(history, bytes, at, end, out);
    else if (type === MESSAGE_TYPES.txn) this.#transact(history, bytes, at, end, out);
    else if (type === MESSAGE_TYPES.compact) {
      history.compact(decodeCompact(new ByteReader(bytes, at, end)).revision);
      this.#header(history, 0, out);
    } else this.#watch(history, requestId, new ByteReader(bytes, at, end));
  }

  #put(history: FakeHistory, bytes: Uint8Array, at: number, end: number, out: ByteWriter): void {
    const view = new PutView();
    decodePut(bytes, at, end, view);
    const key = bytes.slice(view.keyOffset, view.keyOffset + view.keyLength);
    const value = bytes.slice(view.valueOffset, view.valueOffset + view.valueLength);
    const previous = history.get(key, 0);
    history.write([{ key, value }]);
    this.#header(history, 0, out);
    encodeOptionalKeyValue(out, (view.flags & 1) === 0 ? undefined : previous);
  }

  #get(history: FakeHistory, bytes: Uint8Array, at: number, end: number, out: ByteWriter): void {
    const view = new GetView();
    decodeGet(bytes, at, end, view);
    const key = bytes.slice(view.keyOffset, view.keyOffset + view.keyLength);
    history.checkReadable(view.revision);
    this.#header(history, view.level, out);
    encodeOptionalKeyValue(out, history.get(key, view.revision));
  }

  #transact(
    history: FakeHistory,
    bytes: Uint8Array,
    at: number,
    end: number,
    out: ByteWriter,
  ): void {
    const view = new GetView();
    const reader = new ByteReader(bytes, decodeReadOptions(bytes, at, end, view), end);
    const txn = decodeTransactionView(reader);
    const result = history.transact(txn, view.revision, this.#cluster);
    this.#header(history, view.level, out);
    encodeTransactionResult(out, result);
  }

  #watch(history: FakeHistory, requestId: number, reader: ByteReader): void {
    const create = decodeWatchCreate(reader);
    if (create.startRevision <= history.compacted) {
      throw notApplied("compacted", "compacted", { bound: history.compacted });
    }
    const { shardId } = this.#routed;
    const watch = new FakeWatch(
      shardId,
      history,
      create,
      this.#connection,
      requestId,
      this.#cluster.watchParts,
    );
    this.#watches.set(requestId, watch);
    this.#cluster.addWatch(watch);
    watch.close();
  }

  #header(history: FakeHistory, level: number, out: ByteWriter): void {
    const header = new AnswerHeader();
    header.revision = this.#cluster.lagging.get(this.#nodeId) ?? history.revision;
    header.shardId = this.#routed.shardId;
    header.nodeId = this.#nodeId;
    header.raftTerm = 1;
    header.level = level;
    encodeAnswerHeader(out, header);
  }
}

/** Puts `count` keys k000, k001, … with their own names as values, without a client. */
export function preload(cluster: FakeCluster, keyspace: string, keys: readonly string[]): void {
  const history = cluster.history(keyspace);
  for (const key of keys) history.writeUser(bytesOf(key), bytesOf(`value of ${key}`));
}
