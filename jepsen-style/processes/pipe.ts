/**
 * One direction of one proxied connection. While its link is sound, bytes go through at once, with
 * the receiver's pressure handed back. On a bad link a chunk waits until its time and overtakes
 * none; on one that is cut nothing moves, the news that a side is gone included.
 */
import type { Socket } from "node:net";
import type { Prng } from "../../src/base/prng.js";
import type { LinkFault } from "./links.js";

/** Held here; beyond that the sender's own system holds it. */
const HELD_BYTES_MAX: number = 1024 * 1024;
/** What TCP waits before it sends again, at first. */
const RESEND_MS = 200;

interface Chunk {
  readonly bytes: Uint8Array;
  readonly dueMs: number;
}

export class Pipe {
  readonly #source: Socket;
  readonly #target: Socket;
  readonly #prng: Prng;
  #fault: LinkFault | undefined;
  #held: Chunk[] = [];
  #heldBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(source: Socket, target: Socket, prng: Prng) {
    this.#source = source;
    this.#target = target;
    this.#prng = prng;
    source.on("data", (bytes: Uint8Array) => this.#take(bytes));
    source.on("error", () => undefined);
    source.once("close", () => {
      this.#over = true;
      this.#move();
    });
    target.on("drain", () => this.#move());
  }

  setFault(fault: LinkFault | undefined): void {
    this.#fault = fault;
    this.#move();
  }

  #take(bytes: Uint8Array): void {
    const { bytesPerSecond = 0 } = this.#fault ?? {};
    const sendingMs = bytesPerSecond === 0 ? 0 : (bytes.length / bytesPerSecond) * 1000;
    const arrivesMs = Math.max(this.#lastDueMs, performance.now() + this.#waitMs());
    const dueMs = arrivesMs + sendingMs;
    this.#lastDueMs = dueMs;
    this.#held.push({ bytes, dueMs });
    this.#heldBytes += bytes.length;
    this.#move();
  }

  #waitMs(): number {
    const { delayMs = 0, jitterMs = 0, loss = 0 } = this.#fault ?? {};
    let waitMs = delayMs + jitterMs * this.#prng.fraction();
    for (let again = RESEND_MS; loss > 0 && this.#prng.chance(loss); again *= 2) waitMs += again;
    return waitMs;
  }

  /** Hands on what may go, and says when there is more to do. */
  #move(): void {
    clearTimeout(this.#timer);
    if (this.#fault?.cut !== true) this.#handOn();
    if (this.#heldBytes > HELD_BYTES_MAX) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }

  #handOn(): void {
    const nowMs = performance.now();
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      if (first.dueMs > nowMs) {
        this.#timer = setTimeout(() => this.#move(), first.dueMs - nowMs);
        return;
      }
      // A target that is still connecting takes bytes as well: they wait in it.
      if (this.#target.writableNeedDrain && !this.#target.destroyed) return;
      this.#held.shift();
      this.#heldBytes -= first.bytes.length;
      if (!this.#target.destroyed) this.#target.write(first.bytes);
    }
    if (this.#over) this.#target.end();
  }
}
