/**
 * Reads intervals that need several answers: more than one shard, or more than one page. All of it
 * is read at one revision, which the first answer or the sequencer names.
 *
 *   1. one shard: ask; where several are concerned, first take the revision R that all will show
 *   2. walk each shard's piece page by page at R; a shard that split meanwhile makes two pieces
 *   3. merge: order, limit, count, more
 *
 * In another order than that of keys a shard answers at once where its rows fit one answer; else
 * they come in pages and are sorted here.
 *
 * In a hash keyspace keys have no order: every shard is read whole, and the rows that were meant
 * are picked and sorted here.
 */
import { must } from "../base/assert.js";
import { EMPTY_BYTES, compareBytes, keyAfter } from "../base/bytes.js";
import { rangeContains } from "../base/key-range.js";
import type { KeyRange } from "../base/key-range.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ReadOptions } from "../protocol/get-codec.js";
import { READ_LEVELS } from "../protocol/key-value.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import type { RangeOperation, RangeResult } from "../protocol/operations.js";
import { FirstRows } from "../route/first-rows.js";
import { isKeyOrder, mergeRangeResults, sortRows } from "../route/range-merge.js";
import { isOpenEnd, keyspaceRange, OPEN_END, storedKey, storedRange } from "../route/stored-key.js";
import { orderedScanRefused } from "../route/stored-transaction.js";
import { askRevision } from "./any-node.js";
import { READ_TXN_CALL } from "./call-kinds.js";
import type { RangeResponse } from "./client-types.js";
import type { KeySpan } from "./key-span.js";
import { RangeWalk } from "./range-walk.js";
import { routedCall } from "./routed-call.js";
import type { Session } from "./session.js";

/** What is asked of every shard; `operation` has user keys, and the limit of the whole. */
export interface RangeQuery {
  readonly operation: RangeOperation;
  readonly level: number;
  readonly maxStalenessMs: number;
  readonly minRevision: number;
  readonly fanOut: boolean;
}

/** Whether a page's rows, its count or both are looked at; counting walks on to the end. */
type PageWish = "counted" | "uncounted" | "countOnly";

/** How often a piece is cut anew because its shard changed, before the error is the user's. */
const CUTS_MAX = 16;
/** Rows of one page of a scan. */
const SCAN_PAGE_ROWS = 2000;

export class RangeReader {
  readonly #session: Session;
  readonly #keyspace: KeyspaceDescriptor;
  readonly #query: RangeQuery;
  readonly #interval: KeyRange;
  readonly #span: KeySpan;
  /** The revision that all answers show; 0 while it is open. */
  #revision = 0;
  /** The level's answers must reach this revision; 0 for none. */
  #floor = 0;
  #header: ResponseHeader | undefined;

  constructor(session: Session, keyspace: KeyspaceDescriptor, span: KeySpan, query: RangeQuery) {
    this.#session = session;
    this.#keyspace = keyspace;
    this.#span = span;
    this.#query = query;
    this.#interval = this.#storedInterval();
    this.#revision = query.operation.revision;
  }

  /** The whole answer. */
  async read(): Promise<RangeResponse> {
    const pieces = this.#pieces();
    const results: RangeResult[] = [];
    // A shard need not have seen a revision that others took: it is told that it exists.
    const elsewhere = this.#revision > 0 && !this.#keyspace.dense;
    if (pieces.length > 1 || elsewhere) await this.#pinRevision(pieces, results);
    const open = pieces.slice(results.length);
    results.push(...(await Promise.all(open.map((piece) => this.#readPiece(piece)))));
    const { kvs, more, count } = this.#finish(results);
    return { header: this.#headerOf(), kvs, more, count };
  }

  /** Rows in the order of stored keys, page by page, at one revision. */
  async *scan(): AsyncGenerator<KeyValue, void, undefined> {
    const stale = this.#query.level === READ_LEVELS.stale;
    // A stale scan goes by the revision that its first page shows.
    if (!stale && this.#pieces().length > 1) await this.#pinNewest();
    let left = this.#query.operation.limit;
    const walk = new RangeWalk(this.#interval);
    while (!walk.done) {
      const few = left > 0 && left < SCAN_PAGE_ROWS && !this.#isFanOut;
      const limit = few ? left : SCAN_PAGE_ROWS;
      const rows = await this.#page(walk, limit, "uncounted");
      for (const kv of rows.kvs) {
        if (!this.#means(kv)) continue;
        yield kv;
        if (--left === 0) return;
      }
    }
  }

  /** The stored keys to read: in a hash keyspace all of it, unless one key is meant. */
  #storedInterval(): KeyRange {
    const { key, rangeEnd } = this.#span;
    if (rangeEnd === undefined) {
      const start = storedKey(this.#keyspace, key);
      return { start, end: keyAfter(start) };
    }
    if (this.#keyspace.kind === "range") return storedRange(this.#keyspace, key, rangeEnd);
    if (!this.#query.fanOut) throw orderedScanRefused(this.#keyspace);
    return keyspaceRange(this.#keyspace.keyspaceId);
  }

  /** Whether every shard is read whole, so that answers hold rows that were not asked for. */
  get #isFanOut(): boolean {
    return this.#keyspace.kind === "hash" && this.#span.rangeEnd !== undefined;
  }

  /** Rows that are sorted by their values have to come with them. */
  get #asksKeysOnly(): boolean {
    const { keysOnly, sortTarget } = this.#query.operation;
    return keysOnly && sortTarget !== "value";
  }

  /** The interval, cut where shards begin; what no route covers stays with the piece before. */
  #pieces(): readonly KeyRange[] {
    const { start, end } = this.#interval;
    const cuts: Uint8Array[] = [start];
    for (const route of this.#session.map.routesOf(this.#interval)) {
      if (compareBytes(route.shard.range.start, start) > 0) cuts.push(route.shard.range.start);
    }
    return cuts.map((cut, i) => ({ start: cut, end: cuts[i + 1] ?? end }));
  }

  /**
   * Fixes the revision for all pieces: the sequencer's, or for a stale read the one that the first
   * piece shows. A revision that was asked for must exist in the keyspace, if not yet in a shard.
   */
  async #pinRevision(pieces: readonly KeyRange[], results: RangeResult[]): Promise<void> {
    if (this.#query.level === READ_LEVELS.stale && this.#revision === 0) {
      results.push(await this.#readPiece(must(pieces[0])));
      this.#floor = this.#headerOf().revision;
      return;
    }
    await this.#pinNewest();
  }

  async #pinNewest(): Promise<void> {
    const newest = await askRevision(this.#session, this.#keyspace.keyspaceId);
    if (this.#revision > newest) throw futureRevision(this.#revision, newest);
    this.#floor = this.#revision === 0 ? newest : this.#revision;
  }

  async #readPiece(piece: KeyRange): Promise<RangeResult> {
    const order = this.#query.operation;
    if (this.#isFanOut) return this.#walkPiece(piece, 0);
    if (isKeyOrder(order)) return this.#walkPiece(piece, order.limit);
    return (await this.#sortedPiece(piece)) ?? this.#sortPages(piece);
  }

  /** The first rows in another order than that of keys, if one answer holds them all. */
  async #sortedPiece(piece: KeyRange): Promise<RangeResult | undefined> {
    const operation = this.#query.operation;
    const walk = new RangeWalk(piece);
    try {
      const result = await this.#ask(walk, { ...operation, keysOnly: this.#asksKeysOnly });
      if (!walk.done) return undefined;
      const cutShort = operation.limit === 0 || result.kvs.length < operation.limit;
      return result.more && cutShort ? undefined : result;
    } catch (error) {
      // A shard sorts what one answer could carry; beyond that it is done here.
      if (error instanceof KvError && error.code === "limitExceeded") return undefined;
      throw error;
    }
  }

  /** The same from pages in the order of keys, of which no more is kept than what is asked for. */
  async #sortPages(piece: KeyRange): Promise<RangeResult> {
    const walk = new RangeWalk(piece);
    const first = new FirstRows(this.#query.operation);
    let count = 0;
    while (!walk.done) {
      const uncounted = walk.uncounted;
      const page = await this.#page(walk, 0, uncounted ? "counted" : "uncounted");
      for (const kv of page.kvs) first.add(kv);
      if (uncounted) count += page.count;
    }
    return { kind: "range", ...first.take(), count };
  }

  /** All of a piece in the order of its keys; beyond `limit` rows it only counts. */
  async #walkPiece(piece: KeyRange, limit: number): Promise<RangeResult> {
    const walk = new RangeWalk(piece);
    const kvs: KeyValue[] = [];
    let count = 0;
    let more = false;
    while (!walk.done) {
      const uncounted = walk.uncounted;
      const full = limit > 0 && kvs.length >= limit;
      const left = full ? 0 : limit - kvs.length;
      const wish = full ? "countOnly" : uncounted ? "counted" : "uncounted";
      const result = await this.#page(walk, limit === 0 ? 0 : left, wish);
      for (const kv of result.kvs) kvs.push(kv);
      if (uncounted) count += result.count;
      if (full) more ||= result.count > 0;
      else if (limit > 0 && kvs.length >= limit && result.more) {
        more = true;
        walk.skipPage();
      }
    }
    return { kind: "range", kvs, more, count };
  }

  /** One page of a walk, in the order of keys. */
  #page(walk: RangeWalk, limit: number, wish: PageWish): Promise<RangeResult> {
    const operation = this.#query.operation;
    const asked: RangeOperation = {
      ...operation,
      limit,
      sortOrder: "none",
      sortTarget: "key",
      countOnly: wish === "countOnly" || (operation.countOnly && !this.#isFanOut),
      keysOnly: this.#asksKeysOnly || operation.countOnly,
      skipCount: wish === "uncounted",
    };
    return this.#ask(walk, asked);
  }

  /** Asks for what lies at the walk's place, and moves the walk behind the answer. */
  async #ask(walk: RangeWalk, operation: RangeOperation): Promise<RangeResult> {
    for (let cuts = 0; ; cuts++) {
      const interval = this.#clip(walk.rest);
      try {
        const result = await this.#call(interval, operation);
        this.#advance(walk, interval, operation, result);
        return result;
      } catch (error) {
        const cutAgain = error instanceof KvError && error.code === "crossShard";
        if (!cutAgain || cuts >= CUTS_MAX) throw error;
      }
    }
  }

  async #call(interval: KeyRange, operation: RangeOperation): Promise<RangeResult> {
    const { level, maxStalenessMs, minRevision } = this.#query;
    const options: ReadOptions = {
      level,
      flags: 0,
      // A page after the first may be asked of a replica that is behind the first one's.
      revision: this.#header === undefined ? this.#floor : this.#revision,
      maxStalenessMs,
      minRevision,
    };
    // The last keyspace has no end.
    const end = this.#span.rangeEnd === undefined ? undefined : (interval.end ?? OPEN_END);
    const asked = { ...operation, key: interval.start, rangeEnd: end, revision: this.#revision };
    const answer = await routedCall(
      this.#session,
      READ_TXN_CALL,
      { key: interval.start, interval, level },
      { options, txn: { compares: [], success: [asked], failure: [] } },
    );
    const result = answer.results[0];
    if (result?.kind !== "range") throw notApplied("malformed", "the answer to a range is none");
    this.#header ??= answer.header;
    if (this.#revision === 0) this.#revision = this.#floor || answer.header.revision;
    return result;
  }

  #advance(
    walk: RangeWalk,
    interval: KeyRange,
    operation: RangeOperation,
    result: RangeResult,
  ): void {
    const last = result.kvs[result.kvs.length - 1];
    const pageEnded = result.more && last !== undefined && isKeyOrder(operation);
    if (pageEnded) walk.moveTo(keyAfter(storedKey(this.#keyspace, last.key)), interval.end);
    else walk.moveBehind(interval.end);
  }

  /** The part of `rest` that the shard at its start covers, as far as the map knows. */
  #clip(rest: KeyRange): KeyRange {
    const route = this.#session.map.routeOf(rest.start);
    const shardEnd = route?.shard.range.end;
    if (shardEnd === undefined) return rest;
    if (rest.end !== undefined && compareBytes(rest.end, shardEnd) <= 0) return rest;
    return { start: rest.start, end: shardEnd };
  }

  #finish(results: readonly RangeResult[]): RangeResult {
    const result = this.#merged(results);
    if (!this.#query.operation.keysOnly || this.#asksKeysOnly) return result;
    return { ...result, kvs: result.kvs.map((kv) => ({ ...kv, value: EMPTY_BYTES })) };
  }

  #merged(results: readonly RangeResult[]): RangeResult {
    const operation = this.#query.operation;
    if (!this.#isFanOut) return mergeRangeResults(results, operation);
    const kvs: KeyValue[] = [];
    for (const result of results) for (const kv of result.kvs) if (this.#means(kv)) kvs.push(kv);
    // Stored keys are ordered by bucket: even the order of keys has to be made here.
    sortRows(kvs, operation);
    const whole: RangeResult = { kind: "range", kvs, more: false, count: kvs.length };
    const merged = mergeRangeResults([whole], operation);
    return operation.countOnly ? { ...merged, kvs: [], more: false } : merged;
  }

  #means(kv: KeyValue): boolean {
    if (!this.#isFanOut) return true;
    return spanContains(this.#span, kv.key);
  }

  #headerOf(): ResponseHeader {
    const header = must(this.#header, "the header of an answered range");
    return this.#floor === 0 ? header : { ...header, revision: this.#floor };
  }
}

/** Whether a span of user keys holds a key. */
export function spanContains(span: KeySpan, key: Uint8Array): boolean {
  const { key: start, rangeEnd } = span;
  if (rangeEnd === undefined) return compareBytes(start, key) === 0;
  return rangeContains({ start, end: isOpenEnd(rangeEnd) ? undefined : rangeEnd }, key);
}

function futureRevision(asked: number, newest: number): KvError {
  const text = `revision ${asked} is in the future: the keyspace is at ${newest}`;
  return notApplied("futureRevision", text, { bound: newest });
}
