/** The network port: byte streams between addresses of the form host:port. */
export interface SocketHandlers {
  /** `chunk` belongs to the receiver, who may keep it. */
  data(chunk: Uint8Array): void;
  /** Everything written has left the process's own buffers. */
  drain(): void;
  /** Called exactly once, last. */
  close(error: Error | undefined): void;
}

export interface Socket {
  readonly remoteAddress: string;
  /** Sets who receives; must be called in the turn in which the socket was handed over. */
  handle(handlers: SocketHandlers): void;
  /** Queues bytes, which must not change afterwards; false asks the writer to wait for `drain`. */
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
