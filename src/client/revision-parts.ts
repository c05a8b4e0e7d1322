/**
 * What has come of a revision whose events are too many for one part. Nobody sees any of them
 * before all are here: who starts anew gets the revision from its beginning again.
 */
import { WATCH_REVISION_BYTES_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { WatchEvent } from "../protocol/key-value.js";
import type { EventsPart } from "../protocol/watch-codec.js";

export class RevisionParts {
  readonly #bytesMax: number;
  #events: WatchEvent[] = [];
  #bytes = 0;

  constructor(bytesMax: number = WATCH_REVISION_BYTES_MAX) {
    this.#bytesMax = bytesMax;
  }

  /** The whole revision where this part was its last; throws where it becomes too large. */
  add(part: EventsPart): EventsPart | undefined {
    if (part.isLast && this.#events.length === 0) return part;
    this.#bytes += bytesOf(part.events);
    if (this.#bytes > this.#bytesMax) throw tooLarge(part.revision, this.#bytesMax);
    for (const event of part.events) this.#events.push(event);
    if (!part.isLast) return undefined;
    const whole = { ...part, events: this.#events };
    this.clear();
    return whole;
  }

  clear(): void {
    this.#events = [];
    this.#bytes = 0;
  }
}

/** Of keys and values. */
export function bytesOf(events: readonly WatchEvent[]): number {
  let bytes = 0;
  for (const { kv, prevKv } of events) {
    bytes += kv.key.length + kv.value.length + (prevKv?.value.length ?? 0);
  }
  return bytes;
}

function tooLarge(revision: number, bound: number): Error {
  const message = `the events of revision ${revision} exceed ${bound} bytes`;
  return notApplied("limitExceeded", message, { bound });
}
