/**
 * One watch over several shards. Each source delivers its events in revision order and says up to
 * which revision it is complete; revision r leaves once every source is complete up to r, with the
 * events of all sources for r together, in the order of the sources. With one source nothing waits.
 *
 * Events at r make a source complete up to r, for all its events of a revision come together.
 */
import type { WatchEvent } from "../protocol/key-value.js";

export interface MergedEvents {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

interface Source {
  /** No event at or below it is still to come from this source. */
  completeRevision: number;
  /** Waiting events, oldest first, from `head` on. */
  waiting: MergedEvents[];
  head: number;
}

export class WatchMerger {
  readonly #sources: Source[] = [];
  /** Everything up to here has left, or never concerned this watch. */
  #emittedRevision: number;

  /** Nothing at or below `afterRevision` is of interest. */
  constructor(sourceCount: number, afterRevision: number) {
    this.#emittedRevision = afterRevision;
    for (let i = 0; i < sourceCount; i++) {
      this.#sources.push({ completeRevision: afterRevision, waiting: [], head: 0 });
    }
  }

  /** Revision up to which this source is complete: where it goes on after an interruption. */
  completeRevision(source: number): number {
    return this.#sources[source]!.completeRevision;
  }

  /** The revision up to which everything is complete in all sources. */
  get mergedRevision(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const source of this.#sources) least = Math.min(least, source.completeRevision);
    return least;
  }

  get emittedRevision(): number {
    return this.#emittedRevision;
  }

  /** All events of one revision from a source; what it already delivered is dropped. */
  events(source: number, revision: number, events: readonly WatchEvent[]): void {
    const from = this.#sources[source]!;
    if (revision <= from.completeRevision) return;
    from.waiting.push({ revision, events });
    from.completeRevision = revision;
  }

  closed(source: number, revision: number): void {
    const from = this.#sources[source]!;
    if (revision > from.completeRevision) from.completeRevision = revision;
  }

  /** The next revision that may leave, or undefined while sources are awaited. */
  next(): MergedEvents | undefined {
    const merged = this.mergedRevision;
    let revision = Number.POSITIVE_INFINITY;
    for (const source of this.#sources) {
      const first = source.waiting[source.head];
      if (first !== undefined && first.revision < revision) revision = first.revision;
    }
    if (revision > merged) {
      // Nothing is left to say up to `merged`.
      this.#emittedRevision = Math.max(this.#emittedRevision, merged);
      return undefined;
    }
    this.#emittedRevision = revision;
    return { revision, events: this.#takeAt(revision) };
  }

  /** Sources that hold back events of others. */
  laggards(): readonly number[] {
    let newest = 0;
    for (const source of this.#sources) {
      const last = source.waiting[source.waiting.length - 1];
      if (last !== undefined && last.revision > newest) newest = last.revision;
    }
    const found: number[] = [];
    for (const [i, source] of this.#sources.entries()) {
      if (source.completeRevision < newest) found.push(i);
    }
    return found;
  }

  #takeAt(revision: number): readonly WatchEvent[] {
    let taken: readonly WatchEvent[] | undefined;
    for (const source of this.#sources) {
      const first = source.waiting[source.head];
      if (first === undefined || first.revision !== revision) continue;
      taken = taken === undefined ? first.events : taken.concat(first.events);
      dropFirst(source);
    }
    return taken ?? [];
  }
}

/** Moves the head on; the array is cut when half of it is behind the head. */
function dropFirst(source: Source): void {
  source.head++;
  if (source.head * 2 < source.waiting.length) return;
  source.waiting = source.waiting.slice(source.head);
  source.head = 0;
}
