/**
 * A session of JSON over a WebSocket, which browsers have where they cannot send a body piece by
 * piece: what its messages say together is the body of the POST, and each line of the answer is a
 * message. As in etcd's gateway, anybody may open one, and an end of either side ends both. The
 * protocol is a library's; nothing is negotiated, so there is no compression.
 */
import { WebSocket, WebSocketServer } from "ws";
import { utf8 } from "../base/bytes.js";
import type { JsonOutput, JsonReply } from "./json-gateway.js";
import { hasRoom, roomIn } from "./stream-room.js";

/** Who does not answer a close in this time is cut off. */
const CLOSE_MS = 5000;
const NORMAL = 1000;
const NEWLINE = 0x0a;
/** A browser's only way to hand over a token is a protocol of this name; etcd says yes to it. */
const TOKEN_PROTOCOL = "Bearer";

type Upgrade = Parameters<WebSocketServer["handleUpgrade"]>;
/** A connection of Node's that no server reads any more. */
export type UpgradedSocket = Upgrade[1];
/** What came behind the request. */
export type UpgradeHead = Upgrade[2];

/** What the bytes of the client's messages are for. */
export interface MessageTaker {
  /** Resolves when more may come. */
  receive(bytes: Uint8Array): Promise<void>;
}

/** Opens WebSockets on connections that others have accepted. */
export function webSocketServer(messageBytesMax: number): WebSocketServer {
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: messageBytesMax,
    // Not in the library's types.
    closeTimeout: CLOSE_MS,
    handleProtocols: (offered: Set<string>) => offered.has(TOKEN_PROTOCOL) && TOKEN_PROTOCOL,
  };
  return new WebSocketServer(options);
}

/** One that has just been opened. */
export class WebSocketOutput implements JsonOutput {
  readonly #webSocket: WebSocket;
  readonly #socket: UpgradedSocket;
  readonly #listeners: (() => void)[] = [];
  #messages: Uint8Array[] = [];

  /** Nothing is heard before `read`. The library shows no room, so the connection is asked. */
  constructor(webSocket: WebSocket, socket: UpgradedSocket) {
    this.#webSocket = webSocket;
    this.#socket = socket;
    webSocket.pause();
    webSocket.on("close", () => this.#tell());
    // The protocol is broken: it is closed with a code that says so.
    webSocket.on("error", () => this.#tell());
  }

  /** Hands on what the client says, until either side has enough. */
  read(taker: MessageTaker): void {
    this.#webSocket.on("message", (message) => {
      if (this.isOver) return;
      this.#messages.push(message as Uint8Array);
      if (this.#messages.length === 1) this.#handOn(taker).catch(() => this.end());
    });
    this.#webSocket.resume();
  }

  /** One after the other. Nothing is read meanwhile: no more wait than came in at once. */
  async #handOn(taker: MessageTaker): Promise<void> {
    this.#webSocket.pause();
    for (let at = 0; at < this.#messages.length && !this.isOver; at++) {
      await taker.receive(this.#messages[at]!);
    }
    this.#messages = [];
    this.#webSocket.resume();
  }

  /** A line, which is a message without its end. */
  write(bytes: Uint8Array): void {
    if (this.isOver) return;
    const isLine = bytes.at(-1) === NEWLINE;
    this.#webSocket.send(isLine ? bytes.subarray(0, -1) : bytes, { binary: false });
  }

  get hasRoom(): boolean {
    return hasRoom(this.#socket);
  }

  room(): Promise<void> {
    return roomIn(this.#socket);
  }

  /** Once: the client is asked to go, and goes. */
  end(): void {
    if (this.isOver) return;
    // What still comes is read, so that the end of it is heard.
    this.#webSocket.resume();
    this.#webSocket.close(NORMAL);
    this.#tell();
  }

  refuse({ body }: JsonReply): void {
    this.write(utf8(body));
    this.end();
  }

  get isOver(): boolean {
    return this.#webSocket.readyState !== WebSocket.OPEN || this.#socket.destroyed;
  }

  /** When nothing that is written would arrive any more. */
  onClose(run: () => void): void {
    this.#listeners.push(run);
  }

  #tell(): void {
    for (const run of this.#listeners.splice(0)) run();
  }
}
