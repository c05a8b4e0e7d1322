/**
 * One client's connection. Data requests are read by offset, checked, and handed to the replica
 * of their shard; answers are written straight into the connection. Whatever a client sends, the
 * worst it gets is an error that says what is wrong, or, for bytes that are no frame, a closed
 * connection.
 */
import { ByteReader, ByteWriter, DecodeError } from "../base/coding.js";
import { compareSlices } from "../base/bytes.js";
import { KEY_SIZE_BYTES_MAX, REQUEST_FRAMING_BYTES } from "../base/limits.js";
import { AnswerHeader, encodeAnswerHeader } from "../protocol/answer-header.js";
import { levelName } from "../protocol/answer-header.js";
import { encodeError } from "../protocol/error-codec.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { GET_FLAGS, GetView, decodeGet, decodeReadOptions } from "../protocol/get-codec.js";
import { FEATURES } from "../protocol/hello-codec.js";
import { READ_LEVELS } from "../protocol/key-value.js";
import { FRAME_FLAGS, MESSAGE_TYPES } from "../protocol/message-types.js";
import { decodeTransactionView } from "../protocol/operation-codec.js";
import { decodeLeaseRequest } from "../protocol/lease-codec.js";
import { leaseRead, leaseWrite } from "./lease-requests.js";
import { PutView, decodePut } from "../protocol/put-codec.js";
import { decodeCompact } from "../protocol/request-codec.js";
import { RoutedHeader, decodeRoutedHeader } from "../protocol/routed-header.js";
import type { FrameConnection, FrameHandler } from "../rpc/frame-connection.js";
import type { Replica } from "../shard/replica.js";
import type { ReadRequest } from "../shard/requests.js";
import type { AnswerFacts, Responder } from "../shard/responder.js";
import { putSizeFault, requestTooLarge, transactionSizeFault } from "./request-size.js";
import { keysFault, putsAnything, writesAnything } from "./transaction-keys.js";
import { decodeWatchCreate } from "../protocol/watch-codec.js";
import { FREES } from "./quota.js";
import { WatchStream } from "./watch-stream.js";
import type { WatchOwner } from "./watch-stream.js";

/** What a session needs of its node. */
export interface SessionHost {
  readonly nodeId: number;
  readonly requestSizeBytesMax: number;
  /** The replica that a request means, or why there is none to serve it here. */
  resolve(header: RoutedHeader): Replica | KvError;
  prefixLengthOf(replica: Replica): number;
  /** Why a write may not be now that may add so many bytes; FREES: one that makes room. */
  refusalOf(replica: Replica, bytes: number): KvError | undefined;
  /** Requests that are not hot; answers through `answer` or `refuse`. */
  admin(request: AdminRequest): void;
  sessionDirty(session: ClientSession): void;
  sessionClosed(session: ClientSession): void;
}

export interface AdminRequest {
  readonly type: number;
  readonly reader: ByteReader;
  answer(encode: (out: ByteWriter) => void): void;
  refuse(error: KvError): void;
}

/** Answers that wait for a client to read them. */
const BUFFERED_BYTES_MAX: number = 128 * 1024 * 1024;
const TYPE_ANSWER = 0;
const ERROR_FLAGS: number = FRAME_FLAGS.response | FRAME_FLAGS.error;

export class ClientSession implements Responder, FrameHandler, WatchOwner {
  readonly connection: FrameConnection;
  readonly takesParts: boolean;
  /** Set while the session is in the node's list of those with output. */
  dirty = false;
  readonly #host: SessionHost;
  readonly #routed = new RoutedHeader();
  readonly #put = new PutView();
  readonly #get = new GetView();
  readonly #reader = new ByteReader();
  readonly #answer = new AnswerHeader();
  readonly #sink = new ByteWriter(256);
  readonly #watches: Map<number, WatchStream> = new Map();
  #answering = false;

  /** `features` are those of the client's hello. */
  constructor(host: SessionHost, connection: FrameConnection, features: number) {
    this.#host = host;
    this.connection = connection;
    this.takesParts = (features & FEATURES.revisionParts) !== 0;
    this.#answer.nodeId = host.nodeId;
  }

  frame(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    try {
      this.#dispatch(type, flags, requestId, bytes, offset, end);
    } catch (error) {
      if (error instanceof KvError) this.failed(requestId, error);
      else if (error instanceof DecodeError) this.failed(requestId, malformed(error));
      else throw error;
    }
  }

  drain(): void {
    for (const watch of this.#watches.values()) watch.drained();
  }

  closed(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    this.#host.sessionClosed(this);
  }

  beginAnswer(requestId: number, facts: AnswerFacts): ByteWriter {
    if (!this.connection.open) {
      this.#sink.reset();
      return this.#sink;
    }
    const out = this.connection.begin(TYPE_ANSWER, FRAME_FLAGS.response, requestId);
    this.#answering = true;
    const header = this.#answer;
    header.revision = facts.revision;
    header.shardId = facts.shardId;
    header.raftTerm = facts.raftTerm;
    header.level = READ_LEVELS[facts.level];
    header.ageMs = facts.ageMs;
    encodeAnswerHeader(out, header);
    return out;
  }

  endAnswer(): void {
    if (!this.#answering) return;
    this.#answering = false;
    this.connection.end();
    this.touch();
    // Who asks and does not read is let go before the answers fill the memory.
    if (this.connection.bufferedBytes > BUFFERED_BYTES_MAX) this.connection.destroy();
  }

  failed(requestId: number, error: KvError): void {
    if (this.#answering) {
      this.#answering = false;
      this.connection.abandon();
    }
    if (!this.connection.open) return;
    encodeError(this.connection.begin(TYPE_ANSWER, ERROR_FLAGS, requestId), error);
    this.connection.end();
    this.touch();
  }

  /** Output has gathered: it leaves at the end of the turn. */
  touch(): void {
    if (!this.dirty) this.#host.sessionDirty(this);
  }

  watchEnded(requestId: number): void {
    this.#watches.delete(requestId);
  }

  describe(): string {
    return `client ${this.connection.describe()}, ${this.#watches.size} watches`;
  }

  #dispatch(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    const bound = this.#host.requestSizeBytesMax;
    if (end - offset > bound + REQUEST_FRAMING_BYTES) throw requestTooLarge(end - offset, bound);
    switch (type) {
      case MESSAGE_TYPES.put:
        return this.#onPut(requestId, bytes, offset, end);
      case MESSAGE_TYPES.get:
        return this.#onGet(requestId, bytes, offset, end);
      case MESSAGE_TYPES.txn:
        return this.#onTransaction(requestId, bytes, offset, end);
      case MESSAGE_TYPES.compact:
        return this.#onCompact(requestId, bytes, offset, end);
      case MESSAGE_TYPES.lease:
        return this.#onLease(requestId, bytes, offset, end);
      case MESSAGE_TYPES.watch:
        return this.#onWatch(flags, requestId, bytes, offset, end);
      default:
        return this.#onAdmin(type, requestId, bytes, offset, end);
    }
  }

  #onPut(requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    const put = this.#put;
    decodePut(bytes, body, end, put);
    const fault =
      putSizeFault(put, this.#host.requestSizeBytesMax) ??
      this.#writeRefusal(replica, end - body) ??
      this.#keyFault(replica, bytes, put.keyOffset, put.keyLength);
    if (fault !== undefined) return this.failed(requestId, fault);
    replica.writes.submitPut(this, requestId, put);
  }

  #onGet(requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    const get = this.#get;
    decodeGet(bytes, body, end, get);
    const fault = this.#keyFault(replica, bytes, get.keyOffset, get.keyLength);
    if (fault !== undefined) return this.failed(requestId, fault);
    replica.reads.submit({
      responder: this,
      requestId,
      transaction: undefined,
      bytes,
      keyOffset: get.keyOffset,
      keyLength: get.keyLength,
      keysOnly: (get.flags & GET_FLAGS.keysOnly) !== 0,
      revision: get.revision,
      floorRevision: 0,
      level: levelName(get.level),
      maxStalenessMs: get.maxStalenessMs,
      minRevision: get.minRevision,
      minIndex: 0,
    });
  }

  #onTransaction(requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    const options = this.#get;
    const reader = this.#reader;
    reader.open(bytes, decodeReadOptions(bytes, body, end, options), end);
    const transaction = decodeTransactionView(reader);
    const prefixLength = this.#host.prefixLengthOf(replica);
    const bound = this.#host.requestSizeBytesMax;
    const fault =
      transactionSizeFault(transaction, end - body, bound, prefixLength) ??
      keysFault(transaction, replica.descriptor.range, prefixLength);
    if (fault !== undefined) return this.failed(requestId, fault);
    if (writesAnything(transaction)) {
      const refusal = this.#writeRefusal(replica, putsAnything(transaction) ? end - body : 0);
      if (refusal !== undefined) return this.failed(requestId, refusal);
      replica.writes.submitTransaction(this, requestId, transaction);
      return;
    }
    this.#submitRead(replica, {
      responder: this,
      requestId,
      transaction,
      bytes,
      keyOffset: 0,
      keyLength: 0,
      keysOnly: false,
      revision: 0,
      floorRevision: options.revision,
      level: levelName(options.level),
      maxStalenessMs: options.maxStalenessMs,
      minRevision: options.minRevision,
      minIndex: 0,
    });
  }

  #submitRead(replica: Replica, request: ReadRequest): void {
    const { reads, writes } = replica;
    if (request.floorRevision === 0 || request.level === "stale") reads.submit(request);
    else reads.submitAtFloor(request, writes.allocationsBegun);
  }

  #onCompact(requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    this.#reader.open(bytes, body, end);
    const { revision } = decodeCompact(this.#reader);
    const refusal = this.#writeRefusal(replica, FREES);
    if (refusal !== undefined) return this.failed(requestId, refusal);
    replica.writes.submitCompact(this, requestId, revision);
  }

  #onLease(requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    this.#reader.open(bytes, body, end);
    const request = decodeLeaseRequest(this.#reader);
    const { kind } = request;
    if (kind === "timeToLive" || kind === "list") {
      replica.reads.submit(leaseRead(this, requestId, request));
      return;
    }
    // A renewal keeps alive what is there, and an end makes room: a full disk takes both.
    const refusal = kind === "grant" ? this.#writeRefusal(replica, end - body) : undefined;
    if (refusal !== undefined) return this.failed(requestId, refusal);
    replica.writes.submitLease(this, requestId, leaseWrite(request));
  }

  #onWatch(flags: number, requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    const running = this.#watches.get(requestId);
    if (running !== undefined) {
      if ((flags & FRAME_FLAGS.end) !== 0) {
        this.#watches.delete(requestId);
        running.close();
      } else {
        running.nudged();
      }
      return;
    }
    if ((flags & FRAME_FLAGS.end) !== 0) return;
    const body = decodeRoutedHeader(bytes, offset, end, this.#routed);
    const replica = this.#host.resolve(this.#routed);
    if (replica instanceof KvError) return this.failed(requestId, replica);
    this.#reader.open(bytes, body, end);
    const create = decodeWatchCreate(this.#reader);
    const watch = new WatchStream(this, requestId, replica);
    this.#watches.set(requestId, watch);
    watch.start(create);
  }

  #onAdmin(type: number, requestId: number, bytes: Uint8Array, offset: number, end: number): void {
    this.#host.admin({
      type,
      reader: new ByteReader(bytes, offset, end),
      answer: (encode) => {
        if (!this.connection.open) return;
        encode(this.connection.begin(type, FRAME_FLAGS.response, requestId));
        this.connection.end();
        this.touch();
      },
      refuse: (error) => this.failed(requestId, error),
    });
  }

  /** Who does not lead says who does, whatever the state of its own disk. */
  #writeRefusal(replica: Replica, bytes: number): KvError | undefined {
    return replica.raft.role === "leader" ? this.#host.refusalOf(replica, bytes) : undefined;
  }

  #keyFault(
    replica: Replica,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): KvError | undefined {
    const userLength = length - this.#host.prefixLengthOf(replica);
    if (userLength <= 0) return notApplied("keyEmpty", "the key is empty");
    if (userLength > KEY_SIZE_BYTES_MAX) {
      const text = `the key has ${userLength} bytes; at most ${KEY_SIZE_BYTES_MAX} are accepted`;
      return notApplied("keyTooLarge", text, { bound: KEY_SIZE_BYTES_MAX });
    }
    const { start, end } = replica.descriptor.range;
    const below = compareSlices(bytes, offset, length, start, 0, start.length) < 0;
    if (
      below ||
      (end !== undefined && compareSlices(bytes, offset, length, end, 0, end.length) >= 0)
    ) {
      const details = { shards: [replica.descriptor] };
      return notApplied("staleEpoch", "the key does not belong to this shard", details);
    }
    return undefined;
  }
}

function malformed(error: DecodeError): KvError {
  return notApplied("malformed", `the request cannot be read: ${error.message}`);
}
