/** etcd's Lock service. */
import { EMPTY_BYTES } from "../base/bytes.js";
import { KvError } from "../protocol/errors.js";
import type { LineBackend } from "./line-backend.js";
import type { Message } from "./message-codec.js";
import { lineError } from "./status.js";

export class LockService {
  readonly #backend: LineBackend;

  constructor(backend: LineBackend) {
    this.#backend = backend;
  }

  async lock(request: Message, signal: AbortSignal | undefined): Promise<Message> {
    const name = bytesIn(request, "name");
    const waiting = this.#backend.lock(name, leaseIn(request), signal);
    const { revision, key } = await inWords(waiting);
    return { revision: BigInt(revision), key };
  }

  async unlock(request: Message): Promise<Message> {
    return { revision: BigInt(await this.#backend.unlock(bytesIn(request, "key"))) };
  }
}

export function bytesIn(request: Message, name: string): Uint8Array {
  return (request[name] ?? EMPTY_BYTES) as Uint8Array;
}

export function leaseIn(request: Message): bigint {
  return BigInt.asUintN(64, (request["lease"] ?? 0n) as bigint);
}

/** Waiting in a line, with etcd's words for a place that was lost. */
export async function inWords<T>(waiting: Promise<T>): Promise<T> {
  try {
    return await waiting;
  } catch (error) {
    if (KvError.from(error).code !== "sessionExpired") throw error;
    throw lineError("mutex: session is expired");
  }
}
