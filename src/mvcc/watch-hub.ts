/**
 * The watches of one replica. A live watcher is given the events of an entry when it is applied;
 * one that starts in the past, or whose sink had no room, reads history through the revision index
 * in bounded slices until it has caught up. So apply never waits for a watcher, and a watcher gets
 * every event once, in order, all events of a revision together.
 *
 * It does nothing on its own: the replica calls `onApplied` for each entry and, while `hasWork`,
 * `pump` once a turn and when a sink has room again.
 */
import { AssertionError } from "../base/assert.js";
import { FRAME_SIZE_BYTES_MAX } from "../base/limits.js";
import type { Cursor, EntryView } from "../lsm/entry.js";
import { FAMILY } from "../lsm/families.js";
import { compareSlices } from "../base/bytes.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { EFFECT_TYPES, EffectReader } from "./effects-format.js";
import { EventBatch } from "./event-batch.js";
import { REVISION_KEY_BYTES, revisionOf, writeRevisionKey } from "./revision-index.js";
import { compactedRevision } from "./state-view.js";
import type { DataTree } from "./state-view.js";
import { WatchIndex } from "./watch-index.js";
import { Watcher } from "./watcher.js";
import type { WatchSink, WatchSpec } from "./watcher.js";

/** What the hub asks of its state machine. */
export interface WatchSource {
  readonly tree: DataTree;
  readonly revision: number;
  readonly compactedRevision: number;
  readonly closedRevision: number;
}

/** Entries of the revision index that one call of `pump` reads, and one watcher of it. */
const PUMP_ENTRIES = 2048;
const SLICE_ENTRIES = 512;
/** The events of a revision have to fit a frame. */
const EVENTS_SIZE_BYTES_MAX: number = FRAME_SIZE_BYTES_MAX - 64 * 1024;

export class WatchHub {
  readonly #source: WatchSource;
  /** Live watchers by what they watch. */
  readonly #index = new WatchIndex();
  readonly #live = new Set<Watcher>();
  /** Watchers that read history, the next to be served first. */
  #behind: Watcher[] = [];
  /** Live watchers that are to be told the closed revision when their sink has room. */
  readonly #arrived = new Set<Watcher>();
  /** Live watchers that are told the closed revision as it advances. */
  readonly #progress = new Set<Watcher>();
  /** The closed revision that those were last told. */
  #announced = 0;
  /** Live watchers were given everything up to here. */
  #served: number;
  readonly #batch: EventBatch;
  readonly #effect = new EffectReader();
  readonly #found: Watcher[] = [];
  readonly #touched: Watcher[] = [];

  constructor(source: WatchSource, prefixLength: number) {
    this.#source = source;
    this.#served = source.revision;
    this.#batch = new EventBatch(prefixLength);
  }

  get size(): number {
    return this.#live.size + this.#behind.length;
  }

  /** Whether a call of `pump` would get something done now. */
  get hasWork(): boolean {
    if (this.#behind.length > 0 && this.#behind.some(hasRoom)) return true;
    for (const watcher of this.#arrived) if (watcher.sink.writable()) return true;
    return this.#progress.size > 0 && this.#source.closedRevision > this.#announced;
  }

  /** Starts a watch. The sink is called from `pump` and `onApplied` only, never from here. */
  watch(spec: WatchSpec, sink: WatchSink): Watcher {
    const { revision, closedRevision } = this.#source;
    const next = Math.max(revision, closedRevision) + 1;
    const start = spec.startRevision === 0 ? next : spec.startRevision;
    const watcher = new Watcher(this, spec, sink, start);
    if (start > this.#served) this.#goLive(watcher);
    else this.#behind.push(watcher);
    return watcher;
  }

  cancel(watcher: Watcher): void {
    if (watcher.state === "ended") return;
    if (watcher.state === "live") this.#leaveLive(watcher);
    else this.#behind = this.#behind.filter((one) => one !== watcher);
    watcher.state = "ended";
  }

  /** The effects of an entry, payload bytes[offset, offset + length), were applied. */
  onApplied(revision: number, bytes: Uint8Array, offset: number, length: number): void {
    this.#served = revision;
    if (this.#index.size === 0) return;
    this.#batch.begin(this.#source.tree, revision, this.#source.compactedRevision);
    this.#matchEffects(revision, bytes, offset, length);
    const touched = this.#touched;
    for (const watcher of touched) {
      if (watcher.state === "live") this.#serveLive(watcher, revision);
      watcher.matched.length = 0;
    }
    touched.length = 0;
  }

  /** Another state took the place of this one: everybody reads on from where they are. */
  rereadAll(): void {
    for (const watcher of this.#live) {
      watcher.nextRevision = Math.max(watcher.nextRevision, this.#served + 1);
      this.#fallBehind(watcher);
    }
    this.#served = this.#source.revision;
  }

  /** A bounded step for those who are behind, and news of the closed revision. Throws at damage. */
  pump(): void {
    this.#catchUpSome();
    this.#greetArrived();
    this.#announceClosed();
  }

  describe(): string {
    return `watches ${this.#live.size} live, ${this.#behind.length} behind, to ${this.#served}`;
  }

  #matchEffects(revision: number, bytes: Uint8Array, offset: number, length: number): void {
    const effect = this.#effect;
    const found = this.#found;
    const batch = this.#batch;
    effect.open(bytes, offset, length);
    while (effect.next()) {
      const { type, keyOffset, keyLength } = effect;
      const ordinal = batch.count;
      batch.add(type, bytes, keyOffset, keyLength, effect.storedLength);
      found.length = 0;
      this.#index.match(bytes, keyOffset, keyLength, found);
      for (const watcher of found) {
        if (watcher.nextRevision > revision) continue;
        if (!watcher.wants(type === EFFECT_TYPES.tombstone)) continue;
        if (watcher.matched.length === 0) this.#touched.push(watcher);
        watcher.matched.push(ordinal);
      }
    }
  }

  #serveLive(watcher: Watcher, revision: number): void {
    watcher.nextRevision = revision;
    const events = watcher.sink.writable() ? this.#readable(watcher) : undefined;
    if (events === undefined) this.#fallBehind(watcher);
    else this.#give(watcher, revision, events);
  }

  /**
   * The matched events of the batch; undefined where they need what cannot be read. That is no
   * matter of the entry that is being applied: `pump` meets it again, and throws.
   */
  #readable(watcher: Watcher): Uint8Array | undefined {
    try {
      return this.#batch.encodedView(watcher.matched, watcher.spec.prevKv);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      return undefined;
    }
  }

  #give(watcher: Watcher, revision: number, events: Uint8Array): void {
    const { matched } = watcher;
    if (events.length > EVENTS_SIZE_BYTES_MAX) {
      this.#fail(watcher, eventsTooLarge(revision));
      return;
    }
    watcher.nextRevision = revision + 1;
    watcher.sink.events(revision, matched.length, events);
  }

  #catchUpSome(): void {
    let budget = PUMP_ENTRIES;
    for (let turns = this.#behind.length; turns > 0 && budget > 0; turns--) {
      const watcher = this.#behind.shift();
      if (watcher === undefined) return;
      this.#behind.push(watcher);
      if (watcher.sink.writable()) budget -= this.#catchUp(watcher);
    }
  }

  /** Reads a slice of history for one watcher; returns how many entries that took. */
  #catchUp(watcher: Watcher): number {
    const { tree, revision, compactedRevision: compacted } = this.#source;
    if (watcher.nextRevision < compacted) {
      this.#fail(watcher, compactedRevision(watcher.nextRevision, compacted));
      return 1;
    }
    const cursor = openIndex(tree, watcher.nextRevision);
    let read: number;
    try {
      read = this.#readSlice(watcher, cursor);
    } finally {
      watcher.matched.length = 0;
      cursor.close();
    }
    if (watcher.state === "behind" && watcher.nextRevision > revision) {
      this.#behind = this.#behind.filter((one) => one !== watcher);
      this.#goLive(watcher);
    }
    return read;
  }

  /** Gives revision after revision until history, the slice or the room in the sink ends. */
  #readSlice(watcher: Watcher, cursor: Cursor): number {
    const { tree, revision: newest, compactedRevision: compacted } = this.#source;
    let read = 0;
    let current = -1;
    while (cursor.next()) {
      const revision = revisionOf(cursor.entry);
      if (revision !== current) {
        this.#giveMatched(watcher, current);
        if (watcher.state === "ended") return read + 1;
        watcher.nextRevision = revision;
        if (read >= SLICE_ENTRIES || !watcher.sink.writable()) return read;
        this.#batch.begin(tree, revision, compacted);
        current = revision;
      }
      this.#matchHistory(watcher, cursor.entry);
      read++;
    }
    this.#giveMatched(watcher, current);
    if (watcher.state === "behind") {
      watcher.nextRevision = Math.max(watcher.nextRevision, newest + 1);
    }
    return read + 1;
  }

  #giveMatched(watcher: Watcher, revision: number): void {
    const { matched, spec } = watcher;
    if (matched.length === 0) return;
    this.#give(watcher, revision, this.#batch.encodedView(matched, spec.prevKv));
    matched.length = 0;
  }

  /** Adds an entry of the revision index (u8 type, stored key) to the batch if it is wanted. */
  #matchHistory(watcher: Watcher, entry: EntryView): void {
    const bytes = entry.valueBytes;
    const offset = entry.valueOffset;
    const keyLength = entry.valueLength - 1;
    const type = bytes[offset]!;
    if (!watcher.wants(type === EFFECT_TYPES.tombstone)) return;
    if (!isWatched(watcher.spec, bytes, offset + 1, keyLength)) return;
    watcher.matched.push(this.#batch.count);
    const key = bytes.slice(offset + 1, offset + 1 + keyLength);
    this.#batch.add(type, key, 0, keyLength, -1);
  }

  #greetArrived(): void {
    for (const watcher of this.#arrived) {
      if (!watcher.sink.writable()) continue;
      this.#arrived.delete(watcher);
      watcher.sink.closed(this.#source.closedRevision);
    }
  }

  #announceClosed(): void {
    const closed = this.#source.closedRevision;
    if (closed <= this.#announced) return;
    this.#announced = closed;
    for (const watcher of this.#progress) {
      if (watcher.sink.writable()) watcher.sink.closed(closed);
      else this.#arrived.add(watcher);
    }
  }

  #goLive(watcher: Watcher): void {
    watcher.state = "live";
    this.#live.add(watcher);
    this.#index.add(watcher);
    this.#arrived.add(watcher);
    if (watcher.spec.progress === true) this.#progress.add(watcher);
  }

  #leaveLive(watcher: Watcher): void {
    this.#live.delete(watcher);
    this.#index.remove(watcher);
    this.#progress.delete(watcher);
    this.#arrived.delete(watcher);
  }

  #fallBehind(watcher: Watcher): void {
    this.#leaveLive(watcher);
    watcher.state = "behind";
    this.#behind.push(watcher);
  }

  #fail(watcher: Watcher, error: KvError): void {
    this.cancel(watcher);
    watcher.sink.failed(error);
  }
}

function openIndex(tree: DataTree, fromRevision: number): Cursor {
  const start = new Uint8Array(REVISION_KEY_BYTES);
  writeRevisionKey(start, fromRevision, 0);
  const range = { start, end: undefined };
  return tree.cursor(FAMILY.revisionIndex, range, Number.MAX_SAFE_INTEGER, "newest");
}

function isWatched(spec: WatchSpec, bytes: Uint8Array, offset: number, length: number): boolean {
  const { start, end } = spec;
  const order = compareSlices(bytes, offset, length, start, 0, start.length);
  if (end === undefined) return order === 0;
  return order >= 0 && compareSlices(bytes, offset, length, end, 0, end.length) < 0;
}

function hasRoom(watcher: Watcher): boolean {
  return watcher.sink.writable();
}

function eventsTooLarge(revision: number): KvError {
  const bound = EVENTS_SIZE_BYTES_MAX;
  const message = `the events of revision ${revision} exceed ${bound} bytes`;
  return notApplied("limitExceeded", message, { bound });
}
