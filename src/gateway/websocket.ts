/**
 * A session of JSON over a WebSocket, which browsers have where they cannot send a body piece by
 * piece: what its messages say together is the body of the POST, and each line of the answer is a
 * message. As in etcd's gateway, anybody may open one, and an end of either side ends both.
 */
import { utf8 } from "../base/bytes.js";
import type { Timers } from "../env/timers.js";
import type { JsonOutput, JsonReply } from "./json-gateway.js";
import { hasRoom, roomIn } from "./stream-room.js";
import type { NodeStream } from "./stream-room.js";
import {
  CLOSE_CODES,
  closeFrame,
  frameOf,
  PONG,
  TEXT,
  WebSocketError,
  WebSocketReader,
} from "./websocket-frames.js";
import type { WebSocketFrame } from "./websocket-frames.js";

/** Who does not answer a close in this time is cut off. */
const CLOSE_MS = 5000;
const NEWLINE = 0x0a;

/** A connection of Node's that no server reads any more. */
export interface UpgradedSocket extends NodeStream {
  on(event: "data", run: (chunk: Uint8Array) => void): unknown;
  on(event: "drain" | "close" | "end" | "error", run: () => void): unknown;
  unshift(bytes: Uint8Array): void;
  pause(): unknown;
  resume(): unknown;
  write(bytes: Uint8Array): boolean;
  end(bytes: Uint8Array, done?: () => void): unknown;
  destroy(): unknown;
}

/** What the bytes of the client's messages are for. */
export interface MessageTaker {
  /** Resolves when more may come. */
  receive(bytes: Uint8Array): Promise<void>;
}

/** A connection that has been accepted as a WebSocket. */
export class WebSocketOutput implements JsonOutput {
  readonly #socket: UpgradedSocket;
  readonly #timers: Timers;
  readonly #listeners: (() => void)[] = [];
  #isClosed = false;

  constructor(socket: UpgradedSocket, timers: Timers) {
    this.#socket = socket;
    this.#timers = timers;
    socket.on("close", () => this.#tell());
    socket.on("end", () => this.close(CLOSE_CODES.normal));
  }

  /** Hands on what the client says, until either side has enough. */
  read(taker: MessageTaker, payloadBytesMax: number): void {
    const reader = new WebSocketReader(payloadBytesMax);
    this.#socket.on("data", (chunk: Uint8Array) => {
      if (this.#isClosed) return;
      this.#socket.pause();
      this.#take(reader, chunk, taker)
        .catch((error: unknown) => {
          this.close(error instanceof WebSocketError ? error.code : CLOSE_CODES.protocol);
        })
        .finally(() => this.#socket.resume());
    });
  }

  async #take(reader: WebSocketReader, chunk: Uint8Array, taker: MessageTaker): Promise<void> {
    for (const frame of reader.push(chunk)) {
      if (this.#isClosed) return;
      await this.#takeFrame(frame, taker);
    }
  }

  async #takeFrame({ kind, payload }: WebSocketFrame, taker: MessageTaker): Promise<void> {
    if (kind === "data") return taker.receive(payload);
    if (kind === "close") return this.close(CLOSE_CODES.normal);
    if (kind === "pong") return;
    this.#socket.write(frameOf(PONG, payload));
    await this.room();
  }

  /** A line, which is a message without its end. */
  write(bytes: Uint8Array): void {
    if (this.isOver) return;
    const isLine = bytes.at(-1) === NEWLINE;
    this.#socket.write(frameOf(TEXT, isLine ? bytes.subarray(0, -1) : bytes));
  }

  get hasRoom(): boolean {
    return hasRoom(this.#socket);
  }

  room(): Promise<void> {
    return roomIn(this.#socket);
  }

  end(): void {
    this.close(CLOSE_CODES.normal);
  }

  refuse({ body }: JsonReply): void {
    this.write(utf8(body));
    this.end();
  }

  get isOver(): boolean {
    return this.#isClosed || this.#socket.destroyed;
  }

  /** When nothing that is written would arrive any more. */
  onClose(run: () => void): void {
    this.#listeners.push(run);
  }

  /** Once: the client is asked to go, and goes. */
  close(code: number): void {
    if (this.isOver) return;
    this.#isClosed = true;
    this.#socket.end(closeFrame(code));
    // What still comes is read, so that the end of it is heard.
    this.#socket.resume();
    const timer = this.#timers.after(CLOSE_MS, () => this.#socket.destroy());
    this.#socket.on("close", () => timer.cancel());
    this.#tell();
  }

  #tell(): void {
    for (const run of this.#listeners.splice(0)) run();
  }
}
