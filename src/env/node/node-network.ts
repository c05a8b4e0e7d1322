/**
 * TCP without delay, with the system's keep-alive. Addresses are host:port, IPv6 hosts in brackets.
 * It adds nothing to the stream: framing, quicker signs of life and reconnecting are the business
 * of those above.
 */
import net from "node:net";
import { assert, must } from "../../base/assert.js";
import type { Listener, Network, Socket, SocketHandlers } from "../network.js";
import { whenOpened } from "./http-opening.js";

/** A side that vanished without a word is found out by the system after about this and ten more. */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 10_000 };

export const nodeNetwork: Network = {
  listen: (address, accept) => listenRaw(address, (raw) => acceptSocket(raw, accept)),

  connect: (address, timeoutMs) =>
    new Promise((resolve, reject) => {
      const raw = net.connect({ ...KEEP_ALIVE, ...parseAddress(address), noDelay: true });
      const timer = setTimeout(() => {
        raw.destroy();
        reject(new Error(`connecting to ${address} took longer than ${timeoutMs} ms`));
      }, timeoutMs);
      raw.once("error", (error) => {
        clearTimeout(timer);
        reject(error);
      });
      raw.once("connect", () => {
        clearTimeout(timer);
        raw.removeAllListeners("error");
        // The connecting side sets its handlers a turn later, when its promise resolves.
        raw.pause();
        resolve(new NodeSocket(raw));
      });
    }),
};

/** Who takes over connections that speak HTTP. */
export interface HttpTakers {
  /** As it is, for Node's own server. */
  http1(connection: net.Socket): void;
  /** Sets its handlers at once. */
  http2(socket: Socket): void;
}

/** As nodeNetwork, but who speaks HTTP to this one address is handed to `takers`. */
export function networkWithHttp(httpAddress: string, takers: HttpTakers): Network {
  return {
    ...nodeNetwork,
    listen: (address, accept) => {
      if (address !== httpAddress) return nodeNetwork.listen(address, accept);
      return listenRaw(address, (raw) =>
        whenOpened(raw, (opening) => {
          if (opening === "frames") return acceptSocket(raw, accept);
          if (opening === "http2") return acceptSocket(raw, (socket) => takers.http2(socket));
          takers.http1(raw);
          raw.resume();
        }),
      );
    },
  };
}

/** The parts of host:port or [host]:port; an empty host means every interface. */
export function parseAddress(address: string): { readonly host?: string; readonly port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3] ?? Number.NaN);
  if (match === null || port > 65_535) throw new Error(`not an address host:port: ${address}`);
  const host = match[1] ?? match[2] ?? "";
  return host === "" ? { port } : { host, port };
}

export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function listenRaw(address: string, accept: (raw: net.Socket) => void): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ ...KEEP_ALIVE, noDelay: true }, accept);
    server.once("error", reject);
    server.listen(parseAddress(address), () => {
      server.off("error", reject);
      resolve(listenerOf(server));
    });
  });
}

function acceptSocket(raw: net.Socket, accept: (socket: Socket) => void): void {
  const socket = new NodeSocket(raw);
  accept(socket);
  socket.checkHandled();
}

function listenerOf(server: net.Server): Listener {
  const bound = server.address();
  assert(bound !== null && typeof bound === "object", "a TCP server has an address");
  return {
    address: formatAddress(bound.address, bound.port),
    close: () =>
      new Promise((resolve) => {
        server.close();
        // Connections live on; the port is free in the next turn.
        setImmediate(resolve);
      }),
  };
}

/** Not a Buffer, whose `slice` copies nothing and whose JSON is another one. */
function plainBytes(chunk: Uint8Array): Uint8Array {
  return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

class NodeSocket implements Socket {
  readonly remoteAddress: string;
  readonly #raw: net.Socket;
  #handlers: SocketHandlers | undefined;
  #error: Error | undefined;
  #closed = false;

  constructor(raw: net.Socket) {
    this.#raw = raw;
    this.remoteAddress = formatAddress(raw.remoteAddress ?? "", raw.remotePort ?? 0);
    raw.on("error", (error) => {
      this.#error = error;
    });
    raw.on("close", () => {
      this.#closed = true;
      this.#handlers?.close(this.#error);
    });
  }

  checkHandled(): void {
    assert(this.#handlers !== undefined, "an accepted socket gets its handlers at once");
  }

  handle(handlers: SocketHandlers): void {
    const first = this.#handlers === undefined;
    this.#handlers = handlers;
    if (!first) return;
    if (this.#closed) {
      handlers.close(this.#error);
      return;
    }
    this.#raw.on("data", (chunk: Uint8Array) => {
      must(this.#handlers).data(plainBytes(chunk));
    });
    this.#raw.on("drain", () => must(this.#handlers).drain());
    this.#raw.resume();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#raw.destroyed || this.#raw.writableEnded) return true;
    return this.#raw.write(bytes);
  }

  bufferedBytes(): number {
    return this.#raw.writableLength;
  }

  end(): void {
    this.#raw.end();
  }

  destroy(): void {
    this.#raw.destroy();
  }
}
