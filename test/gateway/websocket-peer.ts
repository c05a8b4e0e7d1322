/** A client of WebSockets for tests, which says what a client should not say, too. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { concatBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import { eventually } from "../support/eventually.js";

/** That of RFC 6455, and what it is answered. */
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);

export interface Heard {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/** A frame as a client sends it: masked, and by itself a whole message. */
export function masked(opcode: number, text: string | Uint8Array, isFinal = true): Uint8Array {
  const payload = typeof text === "string" ? utf8(text) : text;
  const { length } = payload;
  const size =
    length <= 125
      ? [length]
      : length <= 0xffff
        ? [126, length >> 8, length & 0xff]
        : [127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (length >>> shift) & 0xff)];
  const head = Uint8Array.of((isFinal ? 0x80 : 0) | opcode, ...size);
  head[1]! |= 0x80;
  return concatBytes(
    head,
    MASK,
    Uint8Array.from(payload, (byte, i) => byte ^ MASK[i % 4]!),
  );
}

export function upgrade(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    host: "node",
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

export class WebSocketPeer {
  readonly socket: Socket;
  isClosed = false;
  #bytes: Uint8Array = new Uint8Array(0);

  /** Sends all of it at once. */
  static async open(address: string, opening: string | Uint8Array): Promise<WebSocketPeer> {
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port) });
    await once(socket, "connect");
    socket.write(opening);
    return new WebSocketPeer(socket);
  }

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => (this.#bytes = concatBytes(this.#bytes, bytes)));
    socket.on("close", () => (this.isClosed = true));
    socket.on("error", () => undefined);
  }

  send(...frames: readonly Uint8Array[]): void {
    this.socket.write(concatBytes(...frames));
  }

  /** What has come and was not taken. */
  get text(): string {
    return utf8Text(this.#bytes);
  }

  /** The head of the answer by HTTP. */
  async head(): Promise<string> {
    await eventually(() => this.text.includes("\r\n\r\n"));
    const end = this.text.indexOf("\r\n\r\n") + 4;
    const head = this.text.slice(0, end);
    this.#bytes = this.#bytes.slice(utf8(head).length);
    return head;
  }

  async frame(): Promise<Heard> {
    await eventually(() => this.#frameBytes() <= this.#bytes.length);
    const end = this.#frameBytes();
    const [first = 0] = this.#bytes;
    const payload = this.#bytes.slice(this.#headBytes, end);
    this.#bytes = this.#bytes.slice(end);
    return { opcode: first & 0x0f, payload };
  }

  /** A message, which has to be text, and JSON. */
  async json(): Promise<unknown> {
    const { opcode, payload } = await this.frame();
    if (opcode !== 1) throw new Error(`a frame of opcode ${opcode}`);
    return JSON.parse(utf8Text(payload));
  }

  /** The code of a close, which has to come now. */
  async closeCode(): Promise<number> {
    const { opcode, payload } = await this.frame();
    if (opcode !== 8) throw new Error(`a frame of opcode ${opcode}`);
    return payload[0]! * 256 + payload[1]!;
  }

  /** What a server sends is not masked. */
  get #headBytes(): number {
    const short = this.#bytes[1] ?? 0;
    return short === 127 ? 10 : short === 126 ? 4 : 2;
  }

  #frameBytes(): number {
    const bytes = this.#bytes;
    if (bytes.length < this.#headBytes || bytes.length < 2) return Infinity;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    if (this.#headBytes === 2) return 2 + bytes[1]!;
    return this.#headBytes === 4 ? 4 + view.getUint16(2) : 10 + view.getUint32(6);
  }
}
