/**
 * All other nodes: a link to each, the connections they dialled to us, and the transport of the
 * replicas over both. A node whose data directory is not the one it is registered with is refused,
 * also where that was registered after it had connected; and so is an older run of a node that has
 * started again.
 */
import { ByteReader, DecodeError } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { Env } from "../env/env.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import { encodeError } from "../protocol/error-codec.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN } from "../protocol/hello-codec.js";
import type { Hello } from "../protocol/hello-codec.js";
import { FRAME_FLAGS, MESSAGE_TYPES } from "../protocol/message-types.js";
import type { NodeDescriptor } from "../protocol/cluster.js";
import type { Message } from "../raft/message.js";
import { DeadlineWheel } from "../rpc/deadline-wheel.js";
import type { FrameConnection, FrameHandler } from "../rpc/frame-connection.js";
import type { ReplicaTransport } from "../shard/replica-host.js";
import type { SnapshotAnswer, SnapshotBegin, SnapshotEnd } from "../shard/snapshot-messages.js";
import { PeerLink } from "./peer-link.js";
import type { Channel } from "./peer-link.js";

const SNAPSHOT_TIMEOUT_MS = 30_000;
/** What a node that does not know yet who it is says; all it may do is ask. */
const STRANGER = 0;

export interface PeerIdentity {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly incarnation: string;
  readonly run: number;
  /** A connection whose other side answers nothing for this long is given up. */
  readonly silentMs: number;
}

/** What other nodes may ask of this one. */
export interface PeerService {
  raft(nodeId: number, bytes: Uint8Array, offset: number, end: number): void;
  /** Answers now or later, through `answer` or `refuse`, once. */
  request(request: PeerRequest): void;
  nodeLost(nodeId: number): void;
  /** It owes an answer for a while; it may be lost. */
  nodeSilent(nodeId: number): void;
  nodeUp(nodeId: number): void;
  /** Why a node that says this of itself is not who the map knows; undefined where it is. */
  refuseNode(hello: Hello): KvError | undefined;
  /** Another node says that this one is not who it says it is: it cannot go on. */
  refusedBy(nodeId: number, error: KvError): void;
}

export interface PeerRequest {
  readonly type: number;
  readonly fromNodeId: number;
  /** Stands at the body; valid in this call only. */
  readonly reader: ByteReader;
  answer(encode: (out: ByteWriter) => void): void;
  refuse(error: KvError): void;
}

export class Peers implements ReplicaTransport {
  readonly wheel: DeadlineWheel;
  readonly #env: Env;
  readonly #identity: PeerIdentity;
  readonly #service: PeerService;
  readonly #links: Map<number, PeerLink> = new Map();
  readonly #sessions: Set<PeerSession> = new Set();
  readonly #runs: Map<number, number> = new Map();
  #closed = false;

  constructor(env: Env, identity: PeerIdentity, service: PeerService) {
    this.#env = env;
    this.#identity = identity;
    this.#service = service;
    this.wheel = new DeadlineWheel(env.clock, env.timers);
  }

  /** Opens a link to a node, or notes its address. */
  know(nodeId: number, address: string): void {
    if (nodeId === this.#identity.nodeId || address === "" || this.#closed) return;
    const link = this.#links.get(nodeId);
    if (link === undefined) {
      this.#links.set(nodeId, new PeerLink(this.#env, this, nodeId, address));
    } else {
      link.address = address;
    }
  }

  knowAll(nodes: readonly NodeDescriptor[]): void {
    for (const node of nodes) this.know(node.nodeId, node.peerAddress);
  }

  /** These nodes are gone for ever. */
  forget(nodeIds: readonly number[]): void {
    for (const nodeId of nodeIds) {
      this.#links.get(nodeId)?.close();
      this.#links.delete(nodeId);
      for (const other of this.#sessions) {
        if (other.nodeId === nodeId) other.connection.destroy();
      }
    }
  }

  /** The map is new: lets go of who is connected and not whom it knows by the name. */
  checkAll(): void {
    for (const session of this.#sessions) {
      const { hello, connection } = session;
      if (hello.nodeId === STRANGER) continue;
      if (this.#service.refuseNode(hello) !== undefined) connection.destroy();
    }
    for (const link of this.#links.values()) link.dropRefused();
  }

  /** The nodes to which control messages get through, as far as is known. */
  connected(): readonly number[] {
    return [...this.#links.values()].filter((link) => link.connected).map((link) => link.nodeId);
  }

  /** Tells all nodes something that carries no more than its type; who misses it hears it later. */
  tellAll(type: number): void {
    const sink = { answered: () => undefined, failed: () => undefined };
    for (const link of this.#links.values()) {
      if (link.connected) link.request(type, () => undefined, sink, SNAPSHOT_TIMEOUT_MS);
    }
  }

  link(nodeId: number): PeerLink | undefined {
    return this.#links.get(nodeId);
  }

  isConnected(nodeId: number): boolean {
    return this.#links.get(nodeId)?.connected === true;
  }

  send(nodeId: number, shardId: number, message: Message): void {
    this.#links.get(nodeId)?.send(shardId, message);
  }

  nudge(nodeId: number, shardId: number): void {
    this.#links
      .get(nodeId)
      ?.request(
        MESSAGE_TYPES.nudge,
        (out) => out.u32(shardId),
        { answered: () => undefined, failed: () => undefined },
        SNAPSHOT_TIMEOUT_MS,
      );
  }

  snapshotBegin(nodeId: number, begin: SnapshotBegin): Promise<SnapshotAnswer> {
    return this.#bulk(nodeId, MESSAGE_TYPES.snapshotBegin, (out) => encodePlain(out, begin));
  }

  snapshotChunk(nodeId: number, encode: (out: ByteWriter) => void): Promise<SnapshotAnswer> {
    return this.#bulk(nodeId, MESSAGE_TYPES.snapshotChunk, encode);
  }

  snapshotEnd(nodeId: number, end: SnapshotEnd): Promise<SnapshotAnswer> {
    return this.#bulk(nodeId, MESSAGE_TYPES.snapshotEnd, (out) => encodePlain(out, end));
  }

  /** A plain request to a node and its plain answer. */
  async ask<T extends object>(
    nodeId: number,
    type: number,
    body: object,
    timeoutMs: number,
  ): Promise<T> {
    const link = this.#links.get(nodeId);
    if (link === undefined) throw notApplied("unavailable", `node ${nodeId} is not known here`);
    const coding = {
      encode: (out: ByteWriter) => encodePlain(out, body),
      decode: (reader: ByteReader) => decodePlain<T>(reader),
    };
    return link.ask("control", type, coding, timeoutMs);
  }

  flush(): void {
    for (const link of this.#links.values()) link.flush();
  }

  hello(kind: Channel): Hello {
    return {
      versionMin: PROTOCOL_VERSION_MIN,
      versionMax: PROTOCOL_VERSION_MAX,
      kind,
      clusterId: this.#identity.clusterId,
      nodeId: this.#identity.nodeId,
      incarnation: this.#identity.incarnation,
      run: this.#identity.run,
      features: 0,
    };
  }

  /** A node dialled us. */
  accept(connection: FrameConnection, hello: Hello): FrameHandler {
    const session = new PeerSession(this, connection, hello, this.#service);
    const refusal = this.#refusal(hello);
    if (refusal !== undefined) {
      this.#env.tracer.trace("warn", "a node was refused", {
        nodeId: hello.nodeId,
        remote: connection.remoteAddress,
        reason: refusal,
      });
      connection.destroy();
      return session;
    }
    this.#sessions.add(session);
    if (hello.nodeId === STRANGER) return session;
    this.runSeen(hello.nodeId, hello.run);
    this.#links.get(hello.nodeId)?.wake();
    return session;
  }

  /** A node says which run it is in: whatever is connected to an older one is dead. */
  runSeen(nodeId: number, run: number): void {
    if (run <= (this.#runs.get(nodeId) ?? 0)) return;
    this.#runs.set(nodeId, run);
    for (const other of this.#sessions) {
      if (other.nodeId === nodeId && other.run < run) other.connection.destroy();
    }
    this.#links.get(nodeId)?.dropOlder(run);
  }

  get silentMs(): number {
    return this.#identity.silentMs;
  }

  sessionClosed(session: PeerSession): void {
    if (!this.#sessions.delete(session) || this.#closed) return;
    if (session.nodeId === STRANGER) return;
    if (session.channel === "control") this.#service.nodeLost(session.nodeId);
  }

  linkLost(nodeId: number): void {
    if (!this.#closed) this.#service.nodeLost(nodeId);
  }

  linkSilent(nodeId: number): void {
    if (!this.#closed) this.#service.nodeSilent(nodeId);
  }

  refuses(nodeId: number, peer: Hello): boolean {
    return peer.nodeId !== nodeId || this.#service.refuseNode(peer) !== undefined;
  }

  refusedBy(nodeId: number, error: KvError): void {
    if (!this.#closed) this.#service.refusedBy(nodeId, error);
  }

  linkUp(nodeId: number): void {
    this.#env.tracer.trace("debug", "connected to a node", { nodeId });
    this.#service.nodeUp(nodeId);
  }

  close(): void {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    for (const session of this.#sessions) session.connection.close();
  }

  #refusal(hello: Hello): string | undefined {
    if (hello.kind === "client") return "clients are served at another address";
    if (hello.nodeId === STRANGER) return undefined;
    if (hello.clusterId !== this.#identity.clusterId) return "it belongs to another cluster";
    if (hello.run < (this.#runs.get(hello.nodeId) ?? 0)) return "it is an older run of the node";
    return this.#service.refuseNode(hello)?.message;
  }

  async #bulk(
    nodeId: number,
    type: number,
    encode: (out: ByteWriter) => void,
  ): Promise<SnapshotAnswer> {
    const link = this.#links.get(nodeId);
    if (link === undefined) throw notApplied("unavailable", `node ${nodeId} is not known here`);
    const decode = (reader: ByteReader): SnapshotAnswer => decodePlain<SnapshotAnswer>(reader);
    return link.ask("bulk", type, { encode, decode }, SNAPSHOT_TIMEOUT_MS);
  }
}

/** One connection that another node dialled to us. */
export class PeerSession implements FrameHandler {
  readonly connection: FrameConnection;
  readonly hello: Hello;
  readonly nodeId: number;
  readonly run: number;
  readonly channel: string;
  readonly #peers: Peers;
  readonly #service: PeerService;
  readonly #reader = new ByteReader();

  constructor(peers: Peers, connection: FrameConnection, hello: Hello, service: PeerService) {
    this.#peers = peers;
    this.connection = connection;
    this.hello = hello;
    this.nodeId = hello.nodeId;
    this.run = hello.run;
    this.channel = hello.kind;
    this.#service = service;
  }

  frame(
    type: number,
    _flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    if (this.nodeId === STRANGER && type !== MESSAGE_TYPES.join) {
      this.connection.destroy();
      return;
    }
    if (type === MESSAGE_TYPES.raft) {
      this.#service.raft(this.nodeId, bytes, offset, end);
      return;
    }
    this.#reader.open(bytes, offset, end);
    const { connection } = this;
    const answer = (encode: (out: ByteWriter) => void): void => {
      if (!connection.open) return;
      encode(connection.begin(type, FRAME_FLAGS.response, requestId));
      connection.end();
    };
    const refuse = (error: KvError): void => {
      if (!connection.open) return;
      const flags = FRAME_FLAGS.response | FRAME_FLAGS.error;
      encodeError(connection.begin(type, flags, requestId), error);
      connection.end();
    };
    try {
      const fromNodeId = this.nodeId;
      this.#service.request({ type, fromNodeId, reader: this.#reader, answer, refuse });
    } catch (error) {
      // Fields that are missing or of another type are a malformed request like any other.
      if (error instanceof TypeError) throw new DecodeError(`malformed request: ${error.message}`);
      if (!(error instanceof KvError)) throw error;
      refuse(error);
    }
  }

  drain(): void {}

  closed(): void {
    this.#peers.sessionClosed(this);
  }
}
