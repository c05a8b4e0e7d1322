/**
 * The first exchange on a connection. The dialling side says its hello, the accepting side checks
 * it and says its own; whoever is refused gets an error frame, and a stranger gets nothing. Until
 * then frames are held to the size of a hello, and the whole exchange to a time.
 */
import { ByteReader, DecodeError } from "../base/coding.js";
import { FRAME_SIZE_BYTES_MAX } from "../base/limits.js";
import type { Listener, Network, Socket } from "../env/network.js";
import type { Timer, Timers } from "../env/timers.js";
import { decodeError, encodeError } from "../protocol/error-codec.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { HELLO_SIZE_BYTES_MAX } from "../protocol/hello-codec.js";
import { decodeHello, encodeHello, versionsOverlap } from "../protocol/hello-codec.js";
import type { Hello } from "../protocol/hello-codec.js";
import { FRAME_FLAGS, MESSAGE_TYPES } from "../protocol/message-types.js";
import { FrameConnection } from "./frame-connection.js";
import type { FrameHandler } from "./frame-connection.js";

/** Called once both sides agreed; what it returns receives all further frames. */
export type Established = (connection: FrameConnection, peer: Hello) => FrameHandler;

export interface AcceptOptions {
  /** What this node says of itself now. */
  readonly hello: () => Hello;
  readonly handshakeTimeoutMs: number;
  /** Why whoever says this of itself is not let in; it is told. */
  readonly refuse?: ((peer: Hello) => KvError | undefined) | undefined;
  readonly established: Established;
  /** Where connections that came to nothing are told of; for traces. */
  readonly refused: (remoteAddress: string, error: Error) => void;
}

/** Listens, and shakes hands with whoever comes. */
export function listenFrames(
  env: { readonly network: Network; readonly timers: Timers },
  address: string,
  options: AcceptOptions,
): Promise<Listener> {
  return env.network.listen(address, (socket) => acceptFrames(socket, env.timers, options));
}

/** The accepting side on one socket, in the turn in which it was handed over. */
export function acceptFrames(socket: Socket, timers: Timers, options: AcceptOptions): void {
  const connection = new FrameConnection(socket, timers, HELLO_SIZE_BYTES_MAX);
  connection.handle(new Accepting(connection, timers, options));
}

export interface DialOptions {
  readonly hello: Hello;
  /** For connecting and the handshake together. */
  readonly timeoutMs: number;
  readonly established: Established;
}

/** Connects and shakes hands. Rejects with KvError, of outcome notApplied. */
export async function dialFrames(
  env: { readonly network: Network; readonly timers: Timers },
  address: string,
  options: DialOptions,
): Promise<FrameConnection> {
  let socket: Socket;
  try {
    socket = await env.network.connect(address, options.timeoutMs);
  } catch (error) {
    throw unreachableNode(address, error);
  }
  return new Promise((resolve, reject) => {
    const connection = new FrameConnection(socket, env.timers, HELLO_SIZE_BYTES_MAX);
    connection.handle(new Dialling(connection, env.timers, options, { address, resolve, reject }));
    sayHello(connection, options.hello);
  });
}

/** Waits for the hello of whoever connected. */
class Accepting implements FrameHandler {
  readonly #connection: FrameConnection;
  readonly #options: AcceptOptions;
  readonly #timer: Timer;
  #error: Error | undefined;

  constructor(connection: FrameConnection, timers: Timers, options: AcceptOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#timer = timers.after(options.handshakeTimeoutMs, () => {
      this.#error = new Error("no hello in time");
      connection.destroy();
    });
  }

  frame(
    type: number,
    _flags: number,
    _requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    if (this.#error !== undefined) return;
    if (type !== MESSAGE_TYPES.hello) throw new DecodeError("the first frame is no hello");
    const peer = decodeHello(bytes, offset, end);
    const own = this.#options.hello();
    const refusal = refuse(own, peer) ?? this.#options.refuse?.(peer);
    this.#timer.cancel();
    if (refusal !== undefined) {
      this.#error = refusal;
      sayError(this.#connection, refusal);
      return;
    }
    sayHello(this.#connection, own);
    this.#connection.frameSizeMax = FRAME_SIZE_BYTES_MAX;
    this.#connection.handle(this.#options.established(this.#connection, peer));
  }

  drain(): void {}

  closed(error: Error | undefined): void {
    this.#timer.cancel();
    const reason = this.#error ?? error ?? new Error("closed before its hello");
    this.#options.refused(this.#connection.remoteAddress, reason);
  }
}

interface Outcome {
  readonly address: string;
  readonly resolve: (connection: FrameConnection) => void;
  readonly reject: (error: KvError) => void;
}

/** Waits for the answer to our hello. */
class Dialling implements FrameHandler {
  readonly #connection: FrameConnection;
  readonly #options: DialOptions;
  readonly #outcome: Outcome;
  readonly #timer: Timer;

  constructor(connection: FrameConnection, timers: Timers, options: DialOptions, outcome: Outcome) {
    this.#connection = connection;
    this.#options = options;
    this.#outcome = outcome;
    this.#timer = timers.after(options.timeoutMs, () => {
      this.#fail(unreachableNode(outcome.address, new Error("no hello in time")));
    });
  }

  frame(
    type: number,
    flags: number,
    _requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    if (type !== MESSAGE_TYPES.hello) throw new DecodeError("the first frame is no hello");
    if ((flags & FRAME_FLAGS.error) !== 0) {
      this.#fail(decodeError(new ByteReader(bytes, offset, end)));
      return;
    }
    const peer = decodeHello(bytes, offset, end);
    const refusal = refuse(this.#options.hello, peer);
    if (refusal !== undefined) {
      this.#fail(refusal);
      return;
    }
    this.#timer.cancel();
    this.#connection.frameSizeMax = FRAME_SIZE_BYTES_MAX;
    this.#connection.handle(this.#options.established(this.#connection, peer));
    this.#outcome.resolve(this.#connection);
  }

  drain(): void {}

  closed(error: Error | undefined): void {
    this.#timer.cancel();
    this.#outcome.reject(unreachableNode(this.#outcome.address, error));
  }

  #fail(error: KvError): void {
    this.#timer.cancel();
    this.#outcome.reject(error);
    this.#connection.destroy();
  }
}

function refuse(own: Hello, peer: Hello): KvError | undefined {
  if (!versionsOverlap(own, peer)) {
    const theirs = `${peer.versionMin} to ${peer.versionMax}`;
    const ours = `${own.versionMin} to ${own.versionMax}`;
    return notApplied("unsupported", `protocol versions ${theirs} meet ${ours}`);
  }
  const known = own.clusterId !== "" && peer.clusterId !== "";
  if (!known || own.clusterId === peer.clusterId) return undefined;
  return notApplied("wrongCluster", `cluster ${peer.clusterId} meets cluster ${own.clusterId}`);
}

function sayHello(connection: FrameConnection, hello: Hello): void {
  encodeHello(connection.begin(MESSAGE_TYPES.hello, 0, 0), hello);
  connection.end();
}

function sayError(connection: FrameConnection, error: KvError): void {
  const flags = FRAME_FLAGS.response | FRAME_FLAGS.error | FRAME_FLAGS.end;
  encodeError(connection.begin(MESSAGE_TYPES.hello, flags, 0), error);
  connection.end();
  connection.close();
}

function unreachableNode(address: string, error: unknown): KvError {
  const reason = error instanceof Error ? error.message : "closed before its hello";
  return notApplied("unavailable", `node at ${address} cannot be reached: ${reason}`);
}
