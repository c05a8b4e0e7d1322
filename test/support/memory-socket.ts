/**
 * A network inside the process: listeners by address, pairs of sockets between them. Chunks travel
 * by reference and are copied only when they are delivered, a turn later, so that a writer who
 * changes what it handed over is found out. Tests cut connections, silence nodes and re-cut chunks.
 */
import type { Listener, Network, Socket, SocketHandlers } from "../../src/env/network.js";

export interface MemoryNetworkOptions {
  /** Cuts every delivered chunk into pieces of at most this many bytes. */
  readonly chunkBytes?: number;
  /** What a socket brings in one turn at most, as over a slow road. */
  readonly turnBytes?: number;
}

export class MemoryNetwork implements Network {
  readonly #options: MemoryNetworkOptions;
  readonly #listeners: Map<string, (socket: Socket) => void> = new Map();
  /** Addresses that accept connections and then neither hear nor say anything. */
  readonly silent: Set<string> = new Set();
  readonly sockets: MemorySocket[] = [];
  /** Attempts to connect, by address. */
  readonly dials: Map<string, number> = new Map();
  #nextPort = 1;

  constructor(options: MemoryNetworkOptions = {}) {
    this.#options = options;
  }

  listen(address: string, accept: (socket: Socket) => void): Promise<Listener> {
    const bound = address.endsWith(":0") ? `${address.slice(0, -1)}${this.#nextPort++}` : address;
    if (this.#listeners.has(bound)) return Promise.reject(new Error(`${bound} is in use`));
    this.#listeners.set(bound, accept);
    return Promise.resolve({
      address: bound,
      close: () => {
        this.#listeners.delete(bound);
        return Promise.resolve();
      },
    });
  }

  connect(address: string, _timeoutMs: number): Promise<Socket> {
    this.dials.set(address, (this.dials.get(address) ?? 0) + 1);
    const accept = this.#listeners.get(address);
    if (accept === undefined) return Promise.reject(new Error(`${address} refuses connections`));
    const [near, far] = this.pair(address, "client:0");
    if (!this.silent.has(address)) accept(far);
    return Promise.resolve(near);
  }

  /** Two ends of a new connection; the first one's remote address is `address`. */
  pair(address: string, from: string): readonly [MemorySocket, MemorySocket] {
    const near = new MemorySocket(this, address, address, this.#options);
    const far = new MemorySocket(this, from, address, this.#options);
    near.peer = far;
    far.peer = near;
    this.sockets.push(near, far);
    return [near, far];
  }

  /** Breaks every connection to `address` at once. */
  cut(address: string): void {
    for (const socket of this.sockets) if (socket.listener === address) socket.destroy();
  }
}

export class MemorySocket implements Socket {
  readonly remoteAddress: string;
  /** The address that was connected to. */
  readonly listener: string;
  peer: MemorySocket | undefined;
  /** Chunks handed over so far. */
  writes = 0;
  readonly #network: MemoryNetwork;
  readonly #chunkBytes: number;
  readonly #turnBytes: number;
  /** What is under way. */
  #road: Uint8Array[] = [];
  #handlers: SocketHandlers | undefined;
  #closed = false;

  constructor(
    network: MemoryNetwork,
    remoteAddress: string,
    listener: string,
    { chunkBytes, turnBytes }: MemoryNetworkOptions,
  ) {
    this.#network = network;
    this.remoteAddress = remoteAddress;
    this.listener = listener;
    this.#chunkBytes = chunkBytes ?? Number.POSITIVE_INFINITY;
    this.#turnBytes = turnBytes ?? Number.POSITIVE_INFINITY;
  }

  handle(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array): boolean {
    this.writes++;
    const peer = this.peer;
    if (this.#closed || peer === undefined) return true;
    this.#road.push(bytes);
    if (this.#road.length === 1) setImmediate(() => this.#carry(peer));
    return true;
  }

  bufferedBytes(): number {
    return 0;
  }

  end(): void {
    setImmediate(() => this.destroy());
  }

  destroy(): void {
    this.#close();
    const peer = this.peer;
    if (peer !== undefined) setImmediate(() => peer.#close());
  }

  /** Brings what is under way, or as much of it as a turn takes. */
  #carry(peer: MemorySocket): void {
    const rest: Uint8Array[] = [];
    let left = this.#turnBytes;
    for (const bytes of this.#road.splice(0)) {
      const size = Math.min(left, bytes.length);
      if (size > 0) peer.#deliver(bytes.subarray(0, size));
      if (size < bytes.length) rest.push(bytes.subarray(size));
      left -= size;
    }
    // Whoever wrote meanwhile has seen to the next turn.
    const isSeenTo = this.#road.length > 0;
    this.#road.unshift(...rest);
    if (rest.length > 0 && !isSeenTo) setImmediate(() => this.#carry(peer));
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#network.silent.has(this.listener)) return;
    for (let at = 0; at < bytes.length; at += this.#chunkBytes) {
      if (this.#closed) return;
      this.#handlers?.data(bytes.slice(at, Math.min(bytes.length, at + this.#chunkBytes)));
    }
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers?.close(undefined);
  }
}
