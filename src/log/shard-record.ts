/**
 * What the log knows of one shard: its hard state, where its log starts, and where its entries lie
 * (spans, by segment and term). The same record is built live and at recovery. It holds no bytes.
 */
import { assert } from "../base/assert.js";
import type { EntryKind } from "../base/entry-run.js";
import type { LogHardState } from "./log-types.js";

/** The bytes of runs, one behind the other in a slab; kept at recovery only. */
export interface RunSource {
  readonly slab: Uint8Array;
  readonly position: number;
  length: number;
  readonly kind: EntryKind;
  readonly firstIndex: number;
  count: number;
}

/** Entries [firstIndex, lastIndex] of one term in one segment. */
export interface Span {
  readonly segment: number;
  firstIndex: number;
  lastIndex: number;
  readonly term: number;
  /** The bytes are lost; only position and term are known. */
  readonly lost: boolean;
  readonly source: RunSource | undefined;
}

/** A point of a log, for comparing how far two logs go: by term, then by index. */
export interface LogPoint {
  readonly index: number;
  readonly term: number;
}

/** The index of a floor where nobody knows how far the log went. */
export const UNKNOWN_INDEX: number = Number.MAX_SAFE_INTEGER;

export class ShardRecord {
  readonly shardId: number;
  readonly replicaId: number;
  hardState: LogHardState | undefined;
  hardStateLost = false;
  /** While recovering: entries may have followed, and nothing read so far says whether. */
  tailUnknown = false;
  /**
   * How far the log went before entries of it were lost, until it goes as far again: dropping what
   * is lost, to append it anew, must not make the log look as if it had always been short.
   */
  floor: LogPoint | undefined;
  baseIndex = 0;
  baseTerm = 0;
  /** Contiguous from baseIndex + 1; segments never fall along them. */
  readonly spans: Span[] = [];
  /** Whether any span was ever lost: a start has thousands of spans, and is asked at each. */
  #hasLost = false;

  constructor(shardId: number, replicaId: number) {
    this.shardId = shardId;
    this.replicaId = replicaId;
  }

  get lastIndex(): number {
    const last = this.spans.at(-1);
    return last === undefined ? this.baseIndex : last.lastIndex;
  }

  get lastTerm(): number {
    const last = this.spans.at(-1);
    return last === undefined ? this.baseTerm : last.term;
  }

  get firstLostIndex(): number | undefined {
    if (!this.#hasLost) return undefined;
    return this.spans.find((span) => span.lost)?.firstIndex;
  }

  get lastLostIndex(): number | undefined {
    if (!this.#hasLost) return undefined;
    return this.spans.findLast((span) => span.lost)?.lastIndex;
  }

  get corrupt(): boolean {
    return this.hardStateLost || this.floor !== undefined || this.firstLostIndex !== undefined;
  }

  /** The oldest segment that holds entries of this shard. */
  get oldestSegment(): number {
    const first = this.spans[0];
    return first === undefined ? Infinity : first.segment;
  }

  /** Where an entry lies; undefined outside the log. */
  spanOf(index: number): Span | undefined {
    return this.spans.find((span) => index >= span.firstIndex && index <= span.lastIndex);
  }

  /** The term of an entry between the base and the end. */
  termAt(index: number): number {
    const span = this.spanOf(index);
    if (span !== undefined) return span.term;
    assert(index === this.baseIndex, "an index outside the log has no term");
    return this.baseTerm;
  }

  /** Adds a span at its first index, replacing whatever the log held from there on. */
  append(span: Span): void {
    if (span.lost) this.#hasLost = true;
    assert(span.firstIndex > this.baseIndex, "an append below the start of the log");
    assert(span.firstIndex <= this.lastIndex + 1, "an append beyond the end of the log");
    this.#keepFloor(span.firstIndex);
    this.truncateFrom(span.firstIndex);
    this.tailUnknown = false;
    const last = this.spans.at(-1);
    const isJoined = last !== undefined && (canJoin(last, span) || joinSources(last, span));
    if (isJoined) last.lastIndex = span.lastIndex;
    else this.spans.push(span);
    this.#dropReachedFloor();
  }

  /** Drops the entries at `index` and after it. */
  truncateFrom(index: number): void {
    const spans = this.spans;
    while (spans.length > 0 && spans[spans.length - 1]!.firstIndex >= index) spans.pop();
    const last = spans[spans.length - 1];
    if (last !== undefined && last.lastIndex >= index) last.lastIndex = index - 1;
  }

  /** Moves the start of the log to `index`, whose entry has this term. */
  trimTo(index: number, term: number): void {
    if (index <= this.baseIndex) return;
    const spans = this.spans;
    let whole = 0;
    while (whole < spans.length && spans[whole]!.lastIndex <= index) whole++;
    if (whole > 0) spans.splice(0, whole);
    if (spans.length > 0 && spans[0]!.firstIndex <= index) spans[0]!.firstIndex = index + 1;
    this.baseIndex = index;
    this.baseTerm = term;
  }

  /** Empties the log: it goes on after `index`. */
  reset(index: number, term: number): void {
    this.#keepFloor(0);
    this.spans.length = 0;
    this.baseIndex = index;
    this.baseTerm = term;
    this.tailUnknown = false;
    this.#dropReachedFloor();
  }

  /** All was read: what is still unknown of the end stays so until the log goes beyond doubt. */
  settle(): void {
    if (!this.tailUnknown) return;
    this.tailUnknown = false;
    const term = Math.max(this.lastTerm, this.hardState?.term ?? 0);
    this.floor = { index: UNKNOWN_INDEX, term };
  }

  /** Marks what lies in [from, to] as lost, keeping its place and terms. */
  lose(from: number, to: number): void {
    this.#hasLost = true;
    for (const span of this.spans.splice(0)) {
      const { firstIndex, lastIndex } = span;
      const before = Math.min(lastIndex, from - 1);
      const after = Math.max(firstIndex, to + 1);
      if (firstIndex <= before) this.spans.push({ ...span, lastIndex: before });
      const first = Math.max(firstIndex, from);
      const last = Math.min(lastIndex, to);
      if (first <= last) {
        this.spans.push({ ...span, firstIndex: first, lastIndex: last, lost: true });
      }
      if (after <= lastIndex) this.spans.push({ ...span, firstIndex: after });
    }
  }

  /** Forgets the bytes of the runs and joins what can be joined: what live appending keeps. */
  compact(): void {
    const spans = this.spans.splice(0);
    for (const span of spans) {
      const bare: Span = { ...span, source: undefined };
      const last = this.spans.at(-1);
      if (last !== undefined && canJoin(last, bare)) last.lastIndex = bare.lastIndex;
      else this.spans.push(bare);
    }
  }

  /** Lost entries at `from` or after it are about to go: remembers where the log ended. */
  #keepFloor(from: number): void {
    if (!this.#hasLost) return;
    if ((this.lastLostIndex ?? -1) < from) return;
    const { lastIndex: index, lastTerm: term, floor } = this;
    if (floor === undefined || goesBeyond({ index, term }, floor)) this.floor = { index, term };
  }

  #dropReachedFloor(): void {
    if (this.floor === undefined) return;
    const { lastIndex: index, lastTerm: term } = this;
    if (!goesBeyond(this.floor, { index, term })) this.floor = undefined;
  }
}

function goesBeyond(one: LogPoint, other: LogPoint): boolean {
  return one.term === other.term ? one.index > other.index : one.term > other.term;
}

function canJoin(last: Span, next: Span): boolean {
  return (
    last.segment === next.segment &&
    last.term === next.term &&
    last.lost === next.lost &&
    last.source === undefined &&
    next.source === undefined
  );
}

/** Takes the bytes of `next` into the source of `last`, where they lie right behind those. */
function joinSources(last: Span, next: Span): boolean {
  const { source } = last;
  const added = next.source;
  if (source === undefined || added === undefined || source.slab !== added.slab) return false;
  const follows =
    !last.lost &&
    !next.lost &&
    last.segment === next.segment &&
    last.term === next.term &&
    source.kind === "command" &&
    added.kind === "command" &&
    source.position + source.length === added.position &&
    source.firstIndex + source.count === added.firstIndex &&
    last.lastIndex + 1 === next.firstIndex;
  if (!follows) return false;
  source.length += added.length;
  source.count += added.count;
  return true;
}
