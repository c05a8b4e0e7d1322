/**
 * Watches the room on the disk. With too little left, or when the log or a flush has met a full
 * disk, new writes are refused with a clear error while reads go on; when room comes back, so do
 * writes, by themselves. What was accepted before has its place already: log segments are
 * zero-filled ahead.
 *
 * Memory that is full says no for a moment, until a flush has ended. Where a flush is under way and
 * none ends any more, the disk hangs. Raft notices such a disk by what others commit without it; a
 * leader that refuses every write, or whose shard rests, has nothing of that kind, and still it
 * can neither write nor send a snapshot: so it is noticed here, for others to lead.
 */
import type { EntryRun } from "../base/entry-run.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Store } from "../store/store.js";
import type { NodeConfig } from "./config.js";

const CHECK_INTERVAL_MS = 500;
/** Room for what a turn may bring, in requests of the largest size. */
const ENTRY_ROOM_FACTOR = 8;
/** A flush takes less, also on a slow disk. */
const STUCK_AFTER_MS = 8000;

export interface DiskRoom {
  readonly freeBytes: number;
  /** What is kept back: with no more than this, writes are refused. */
  readonly reservedBytes: number;
}

export class RoomGuard implements DiskRoom {
  readonly #env: Env;
  readonly #store: Store;
  readonly #config: NodeConfig;
  readonly #checked: () => void;
  /** When a flush was last seen to have ended, or none was under way, and how many had. */
  #wentOnMs: number;
  #flushCount = 0;
  #isStuck = false;
  #timer: Timer | undefined;
  #refusal: KvError | undefined;
  #freeBytes = 0;

  /** `checked` is told after each look but the first. */
  constructor(env: Env, store: Store, config: NodeConfig, checked: () => void) {
    this.#env = env;
    this.#checked = checked;
    this.#wentOnMs = env.clock.monotonicMs();
    this.#store = store;
    this.#config = config;
    this.#measure();
    this.#checkLater();
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

  get freeBytes(): number {
    return this.#freeBytes;
  }

  get reservedBytes(): number {
    return this.#config.reservedBytes;
  }

  /** A flush has been under way for long, and none has ended. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /**
   * Whether these entries of another leader still fit. Those of a new one do for longer, up to its
   * first: without them it commits nothing and serves no reads.
   */
  takes(runs: readonly EntryRun[], isNewLeader: boolean): boolean {
    if (runs.length === 0 || this.takesEntries) return true;
    return isNewLeader && this.#store.log.hasRoomForElection(sizeOf(runs));
  }

  /** Whether entries of other leaders still fit. */
  get takesEntries(): boolean {
    return this.#store.log.hasRoom(ENTRY_ROOM_FACTOR * this.#config.requestSizeBytesMax);
  }

  close(): void {
    this.#timer?.cancel();
  }

  #checkLater(): void {
    this.#timer = this.#env.timers.after(CHECK_INTERVAL_MS, () => {
      this.#measure();
      this.#watchFlushes();
      this.#checked();
      this.#checkLater();
    });
  }

  #watchFlushes(): void {
    const nowMs = this.#env.clock.monotonicMs();
    const { flushCount } = this.#store;
    const goesOn = this.full || flushCount !== this.#flushCount || !this.#store.isFlushing;
    this.#flushCount = flushCount;
    if (goesOn) this.#wentOnMs = nowMs;
    const was = this.#isStuck;
    this.#isStuck = nowMs - this.#wentOnMs >= STUCK_AFTER_MS;
    if (was === this.#isStuck) return;
    const message = was ? "flushes end again" : "no flush ends any more: others have to lead";
    this.#env.tracer.trace(was ? "info" : "error", message, { flushes: flushCount });
  }

  #measure(): void {
    const { reservedBytes, dataDirectory } = this.#config;
    const free = this.#env.disk.freeBytes(dataDirectory);
    this.#freeBytes = free;
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

function sizeOf(runs: readonly EntryRun[]): number {
  return runs.reduce((sum, { bytes }) => sum + bytes.length, 0);
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
