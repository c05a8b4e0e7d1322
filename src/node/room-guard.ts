/**
 * Watches the room on the disk. With too little left, or when the log or a flush has met a full
 * disk, new writes are refused with a clear error while reads go on; when room comes back, so do
 * writes, by themselves. What was accepted before has its place already: log segments are
 * zero-filled ahead.
 */
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Store } from "../store/store.js";
import type { NodeConfig } from "./config.js";

const CHECK_INTERVAL_MS = 500;
/** Room for what a turn may bring, in requests of the largest size. */
const ENTRY_ROOM_FACTOR = 8;

export class RoomGuard {
  readonly #env: Env;
  readonly #store: Store;
  readonly #config: NodeConfig;
  readonly #filled: () => void;
  #timer: Timer | undefined;
  #refusal: KvError | undefined;

  /** `filled` is told again and again while the disk is full. */
  constructor(env: Env, store: Store, config: NodeConfig, filled: () => void) {
    this.#env = env;
    this.#filled = filled;
    this.#store = store;
    this.#config = config;
    this.#check();
  }

  /** Why a write is refused now. */
  get refusal(): KvError | undefined {
    const bytes = ENTRY_ROOM_FACTOR * this.#config.requestSizeBytesMax;
    if (this.#refusal === undefined && this.#store.hasRoom(bytes)) return undefined;
    this.#measure();
    return this.#refusal ?? (this.#store.hasRoom(bytes) ? undefined : overloaded());
  }

  get full(): boolean {
    return this.#refusal !== undefined;
  }

  /** Whether entries of other leaders still fit. */
  get takesEntries(): boolean {
    return this.#store.log.hasRoom(ENTRY_ROOM_FACTOR * this.#config.requestSizeBytesMax);
  }

  close(): void {
    this.#timer?.cancel();
  }

  #check(): void {
    this.#measure();
    if (this.full) this.#filled();
    this.#timer = this.#env.timers.after(CHECK_INTERVAL_MS, () => this.#check());
  }

  #measure(): void {
    const { reservedBytes, dataDirectory } = this.#config;
    const free = this.#env.disk.freeBytes(dataDirectory);
    const roomy = free > reservedBytes && !this.#store.full;
    const was = this.#refusal !== undefined;
    this.#refusal = roomy && this.takesEntries ? undefined : full(free, reservedBytes);
    const is = this.#refusal !== undefined;
    if (was !== is) {
      const message = is ? "the disk is full: writes are refused" : "the disk has room again";
      this.#env.tracer.trace(is ? "error" : "info", message, { free, reservedBytes });
    }
  }
}

function overloaded(): KvError {
  return notApplied("overloaded", "the disk does not keep up with the writes; try again");
}

function full(free: number, reserved: number): KvError {
  const mebibytes = (bytes: number): string => `${Math.floor(bytes / (1024 * 1024))} MiB`;
  const text =
    `the disk of this node is full (${mebibytes(free)} free, ${mebibytes(reserved)} kept back); ` +
    "writes are refused until there is room, reads go on";
  return notApplied("noSpace", text);
}
