/**
 * A network on which a process reaches itself without the system: connections to its own address
 * are two ends in memory, all others are made as before. What one end writes the other one gets
 * after the code that runs now, in one piece, so that neither is called from within the other.
 */
import { SOCKET_WAITING_BYTES_MAX } from "./network.js";
import type { Listener, Network, Socket, SocketHandlers } from "./network.js";

type Accept = (socket: Socket) => void;

/**
 * Who listens on `ownAddress` is reached in memory, by the address that was bound and by whatever
 * else `names` says that it goes by.
 */
export function withLocalPath(
  network: Network,
  ownAddress: string,
  names: (boundAddress: string) => readonly string[],
): Network {
  const own = new Map<string, Accept>();
  return {
    listen: async (address, accept): Promise<Listener> => {
      const listener = await network.listen(address, accept);
      if (address !== ownAddress) return listener;
      for (const name of [listener.address, ...names(listener.address)]) own.set(name, accept);
      const close = (): Promise<void> => {
        own.clear();
        return listener.close();
      };
      return { address: listener.address, close };
    },
    connect: (address, timeoutMs) => {
      const accept = own.get(address);
      if (accept === undefined) return network.connect(address, timeoutMs);
      const [near, far] = localPair();
      accept(far);
      return Promise.resolve(near);
    },
  };
}

/** Two ends of one connection. */
export function localPair(): readonly [Socket, Socket] {
  const near = new LocalSocket();
  const far = new LocalSocket();
  near.peer = far;
  far.peer = near;
  return [near, far];
}

class LocalSocket implements Socket {
  readonly remoteAddress = "local";
  peer: LocalSocket | undefined;
  #handlers: SocketHandlers | undefined;
  /** What was written for this end and not yet handed out. */
  #inbox: Uint8Array[] = [];
  #waitingBytes = 0;
  /** A write of this end was told to wait. */
  #wantsDrain = false;
  #isHandingOut = false;
  /** Nothing more is written for this end. */
  #isEnded = false;
  #isClosed = false;

  handle(handlers: SocketHandlers): void {
    this.#handlers = handlers;
    this.#handOutSoon();
  }

  write(bytes: Uint8Array): boolean {
    if (this.#isEnded || this.peer === undefined) return true;
    this.peer.#take(bytes);
    this.#wantsDrain ||= this.bufferedBytes() > SOCKET_WAITING_BYTES_MAX;
    return !this.#wantsDrain;
  }

  bufferedBytes(): number {
    return this.peer === undefined ? 0 : this.peer.#waitingBytes;
  }

  end(): void {
    if (this.peer !== undefined) this.peer.#end();
    this.#end();
  }

  destroy(): void {
    for (const one of [this.peer, this]) {
      if (one === undefined) continue;
      one.#inbox = [];
      one.#end();
    }
  }

  #take(bytes: Uint8Array): void {
    this.#inbox.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#handOutSoon();
  }

  /** The other end has got what waited. */
  #drain(): void {
    if (!this.#wantsDrain || this.#isEnded) return;
    this.#wantsDrain = false;
    this.#handlers?.drain();
  }

  #end(): void {
    this.#isEnded = true;
    this.#handOutSoon();
  }

  #handOutSoon(): void {
    if (this.#isHandingOut || this.#isClosed || this.#handlers === undefined) return;
    this.#isHandingOut = true;
    queueMicrotask(() => this.#handOut());
  }

  #handOut(): void {
    this.#isHandingOut = false;
    const inbox = this.#inbox;
    this.#inbox = [];
    this.#waitingBytes = 0;
    for (const bytes of inbox) this.#handlers?.data(bytes);
    if (this.peer !== undefined) this.peer.#drain();
    if (!this.#isEnded || this.#isClosed || this.#inbox.length > 0) return;
    this.#isClosed = true;
    this.#handlers?.close(undefined);
  }
}
