/** The network port: byte streams between addresses of the form host:port. */
/** What may wait, at most, in the buffers of a socket whose last `write` returned true. */
export const SOCKET_WAITING_BYTES_MAX: number = 256 * 1024;

export interface SocketHandlers {
  /** `chunk` belongs to the receiver, who may keep it. */
  data(chunk: Uint8Array): void;
  /**
   * After a `write` that returned false, and only then: there is room again. Who waits for room for
   * another reason than such a write is told by nobody.
   */
  drain(): void;
  /** Called exactly once, last. */
  close(error: Error | undefined): void;
}

export interface Socket {
  readonly remoteAddress: string;
  /** Sets who receives; must be called in the turn in which the socket was handed over. */
  handle(handlers: SocketHandlers): void;
  /**
   * Queues bytes, which must not change afterwards; false asks the writer to wait for `drain`. True
   * is said of many bytes as well where the system took them at once: no `drain` follows.
   */
  write(bytes: Uint8Array): boolean;
  /** Bytes queued in this process and not yet taken by the system. */
  bufferedBytes(): number;
  /** Sends what is queued, then closes. */
  end(): void;
  /** Closes at once; what is queued is lost. */
  destroy(): void;
}

export interface Listener {
  /** The address listened on, with the true port where port 0 was asked for. */
  readonly address: string;
  close(): Promise<void>;
}

export interface Network {
  listen(address: string, accept: (socket: Socket) => void): Promise<Listener>;
  connect(address: string, timeoutMs: number): Promise<Socket>;
}
