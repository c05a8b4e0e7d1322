/**
 * What a watch has to tell at once: the events of one revision or of several, and how far that
 * brings it. It is encoded when it is first wanted, and then for everybody.
 */
import type { WatchEvent } from "../protocol/key-value.js";
import type { WatchItem } from "./backend.js";
import { encodeEvents, eventHint } from "./watch-messages.js";

/** Events of several revisions are told together up to about this. */
const GATHERED_BYTES: number = 64 * 1024;

export class GatheredEvents {
  /** Nothing up to here is still to come. */
  toldRevision: number;
  /** What all its events take, about. */
  bytes = 0;
  readonly #events: WatchEvent[] = [];
  /** The oldest revision that has events here. */
  #firstRevision: number = Number.POSITIVE_INFINITY;
  #encoded: Uint8Array | undefined;

  constructor(toldRevision: number) {
    this.toldRevision = toldRevision;
  }

  get isLarge(): boolean {
    return this.bytes > GATHERED_BYTES;
  }

  add(item: WatchItem): void {
    const revision = "events" in item ? item.revision : item.progress;
    this.toldRevision = Math.max(this.toldRevision, revision);
    if (!("events" in item)) return;
    this.#firstRevision = Math.min(this.#firstRevision, revision);
    for (const event of item.events) {
      this.#events.push(event);
      this.bytes += eventHint(event);
    }
  }

  /** Events behind a revision; with those of one that was told already the rest is told apart. */
  after(revision: number): readonly WatchEvent[] {
    if (this.isAllAfter(revision)) return this.#events;
    return this.#events.filter(({ kv }) => kv.modRevision > revision);
  }

  isAllAfter(revision: number): boolean {
    return this.#firstRevision > revision;
  }

  /** All events, as they stand in a response. */
  encoded(): Uint8Array {
    this.#encoded ??= encodeEvents(this.#events, this.bytes);
    return this.#encoded;
  }
}
