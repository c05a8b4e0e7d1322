/**
 * One watch of a key or a range on one shard: what it wants, where its answers go, and how far it
 * has come. The hub moves it; its owner can only cancel it.
 */
import type { KvError } from "../protocol/errors.js";

/** Keys are stored keys. */
export interface WatchSpec {
  readonly start: Uint8Array;
  /** undefined: the single key. */
  readonly end: Uint8Array | undefined;
  /** 0: from now on; a future revision waits. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** Tell the closed revision as it advances, not only when the watch first catches up. */
  readonly progress?: boolean | undefined;
}

export interface WatchSink {
  /**
   * The events of one revision that the watch wants, `count` of them encoded one after the other
   * with user keys. Where they take much it is called several times, at last with `isLast`, and
   * other calls than `failed` do not come in between. The bytes are valid during the call only.
   */
  events(revision: number, count: number, encodedEvents: Uint8Array, isLast: boolean): void;
  /** No event at or below this revision will come any more. */
  closed(revision: number): void;
  /** The watch has ended; nothing follows. */
  failed(error: KvError): void;
  /** Whether there is room; while there is none the watch keeps its place and reads it up later. */
  writable(): boolean;
}

export interface WatcherOwner {
  cancel(watcher: Watcher): void;
}

/**
 * live      is served as entries are applied
 * behind    reads history until it has caught up
 * ended     cancelled or failed
 */
export type WatcherState = "live" | "behind" | "ended";

export class Watcher {
  readonly spec: WatchSpec;
  readonly sink: WatchSink;
  readonly #owner: WatcherOwner;
  state: WatcherState = "behind";
  /** Every event below it was given or is not wanted. */
  nextRevision: number;
  /** What lies below it in the index of `nextRevision` was given too, with more to follow. */
  nextOrdinal = 0;
  /** Events of the entry being applied that match, by their place in it. */
  readonly matched: number[] = [];

  constructor(owner: WatcherOwner, spec: WatchSpec, sink: WatchSink, nextRevision: number) {
    this.#owner = owner;
    this.spec = spec;
    this.sink = sink;
    this.nextRevision = nextRevision;
  }

  wants(isDelete: boolean): boolean {
    return isDelete ? !this.spec.noDelete : !this.spec.noPut;
  }

  cancel(): void {
    this.#owner.cancel(this);
  }

  describe(): string {
    return `watcher ${this.state} at ${this.nextRevision}, ${this.nextOrdinal}`;
  }
}
