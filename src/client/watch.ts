/**
 * A watch: an endless iteration over revisions, each with all its events, in order, none twice and
 * none missing. Behind it is one stream for each shard that holds watched keys, merged by revision.
 * A stream that breaks goes on at another replica behind the last revision it completed; where the
 * shards themselves changed, all streams start anew behind the last revision that was handed out.
 * Only `cancel`, or an error that no retry can help (compacted), ends it.
 *
 * Who reads slowly costs no memory without bound: beyond a number of waiting events the streams
 * are given up and started anew when the reader has caught up.
 */
import { compareBytes, keyAfter } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { KvError } from "../protocol/errors.js";
import { READ_LEVELS } from "../protocol/key-value.js";
import type { WatchEvent } from "../protocol/key-value.js";
import type { WatchPart } from "../protocol/watch-codec.js";
import { keyspaceRange, OPEN_END, storedKey, storedRange } from "../route/stored-key.js";
import { orderedScanRefused } from "../route/stored-transaction.js";
import { WatchMerger } from "../route/watch-merger.js";
import { askRevision } from "./any-node.js";
import { GET_CALL } from "./call-kinds.js";
import type { WatchItem, WatchOptions } from "./client-types.js";
import { keySpan } from "./key-span.js";
import type { KeySpan } from "./key-span.js";
import { spanContains } from "./range-reader.js";
import { bytesOf } from "./revision-parts.js";
import { routedCall } from "./routed-call.js";
import { closedError } from "./session.js";
import type { Session } from "./session.js";
import { WatchStream } from "./watch-stream.js";
import type { StreamOwner } from "./watch-stream.js";

/** Waiting events, and bytes of keys and values, beyond which the streams are given up. */
const WAITING_EVENTS_MAX = 50_000;
const WAITING_BYTES_MAX: number = 32 * 1024 * 1024;
const REPLAN_PAUSE_MS = 20;

interface Reader {
  resolve(result: IteratorResult<WatchItem, undefined>): void;
  reject(error: KvError): void;
}

export class Watch implements AsyncIterable<WatchItem>, StreamOwner {
  /** The first revision it covers, once that is settled: later writes will be seen. */
  readonly started: Promise<number>;
  readonly #session: Session;
  readonly #options: WatchOptions;
  #keyspace: KeyspaceDescriptor | undefined;
  #span: KeySpan | undefined;
  #streams: readonly WatchStream[] = [];
  #merger: WatchMerger | undefined;
  #items: WatchItem[] = [];
  #waitingEvents = 0;
  #waitingBytes = 0;
  #reader: Reader | undefined;
  #progressSaid = 0;
  /** Progress up to here is to be said once, whatever the options. */
  #progressAsked = 0;
  #paused = false;
  #ended = false;
  #error: KvError | undefined;

  constructor(session: Session, keyspace: Promise<KeyspaceDescriptor>, options: WatchOptions) {
    this.#session = session;
    this.#options = options;
    session.trackWatch(this);
    this.started = this.#start(keyspace);
    // Who does not ask for it learns of the failure from the iteration.
    this.started.catch((error: unknown) => this.failed(KvError.from(error)));
  }

  [Symbol.asyncIterator](): AsyncIterator<WatchItem, undefined> {
    return {
      next: () => this.next(),
      return: () => {
        this.cancel();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** The next revision; rejects once where the watch failed. One caller at a time. */
  next(): Promise<IteratorResult<WatchItem, undefined>> {
    const item = this.take();
    if (item !== undefined) return Promise.resolve({ done: false, value: item });
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) return Promise.reject(error);
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** The next revision if it is here already. */
  take(): WatchItem | undefined {
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    if ("events" in item) {
      this.#waitingEvents -= item.events.length;
      this.#waitingBytes -= bytesOf(item.events);
    }
    if (this.#paused && this.#items.length === 0) this.#resume();
    return item;
  }

  /** Has the progress told once it has come to `revision`, also where the options do not. */
  askProgress(revision: number): void {
    this.#progressAsked = Math.max(this.#progressAsked, revision);
    if (this.#merger === undefined || this.#ended) return;
    this.#sayProgress(this.#merger.emittedRevision);
    this.nudgeLaggards();
  }

  cancel(): void {
    this.#end();
    this.#items = [];
    this.#reader?.resolve({ done: true, value: undefined });
    this.#reader = undefined;
  }

  /** From a stream: its next part. */
  part(index: number, part: WatchPart): void {
    const merger = this.#merger;
    if (merger === undefined || this.#ended) return;
    if (part.kind === "closed") merger.closed(index, part.revision);
    else merger.events(index, part.revision, part.events);
    for (let next = merger.next(); next !== undefined; next = merger.next()) {
      this.#hand(next.revision, next.events);
    }
    this.#sayProgress(merger.emittedRevision);
    this.nudgeLaggards();
    const isFull =
      this.#waitingEvents > WAITING_EVENTS_MAX || this.#waitingBytes > WAITING_BYTES_MAX;
    if (isFull) this.#pause();
  }

  /** From a stream: behind which revision it has to start. */
  completeRevision(index: number): number {
    return this.#merger?.completeRevision(index) ?? 0;
  }

  /** From a stream too, after a nudge that did not help. */
  nudgeLaggards(): void {
    const merger = this.#merger;
    if (merger === undefined) return;
    if (this.#progressAsked > merger.emittedRevision) {
      for (const [i, stream] of this.#streams.entries()) {
        if (merger.completeRevision(i) < this.#progressAsked) stream.nudge();
      }
    }
    if (this.#streams.length < 2) return;
    for (const laggard of merger.laggards()) this.#streams[laggard]?.nudge();
  }

  /** From a stream: its interval is no longer one shard's. */
  replan(): void {
    if (this.#ended || this.#paused) return;
    this.#stopStreams();
    this.#session.env.timers.after(REPLAN_PAUSE_MS, () => {
      this.#session.refresh().then(
        () => this.#subscribe(),
        () => this.replan(),
      );
    });
  }

  /** From a stream, or the start: this cannot be mended. */
  failed(error: KvError): void {
    if (this.#ended) return;
    this.#end();
    if (this.#reader === undefined) {
      this.#error = error;
      return;
    }
    this.#reader.reject(error);
    this.#reader = undefined;
  }

  async #start(keyspace: Promise<KeyspaceDescriptor>): Promise<number> {
    this.#keyspace = await keyspace;
    this.#span = keySpan(this.#options);
    const interval = this.#interval(this.#keyspace, this.#span);
    const asked = this.#options.startRevision ?? 0;
    const first = asked === 0 ? (await this.#revisionNow(interval)) + 1 : asked;
    this.#merger = new WatchMerger(0, first - 1);
    this.#progressSaid = first - 1;
    this.#subscribe();
    return first;
  }

  #interval(keyspace: KeyspaceDescriptor, span: KeySpan): KeyRange {
    if (span.rangeEnd === undefined) {
      const start = storedKey(keyspace, span.key);
      return { start, end: keyAfter(start) };
    }
    if (keyspace.kind === "range") return storedRange(keyspace, span.key, span.rangeEnd);
    if (this.#options.fanOut !== true) throw orderedScanRefused(keyspace);
    return keyspaceRange(keyspace.keyspaceId);
  }

  /** The newest revision, as of after the call to `watch`. */
  async #revisionNow(interval: KeyRange): Promise<number> {
    const session = this.#session;
    if (session.map.routesOf(interval).length > 1) {
      return askRevision(session, this.#keyspace?.keyspaceId ?? 0);
    }
    const key = interval.start;
    const level = READ_LEVELS.linearizable;
    const options = { level, flags: 1, revision: 0, maxStalenessMs: 0, minRevision: 0 };
    const target = { key, interval: undefined, level };
    const answer = await routedCall(session, GET_CALL, target, { key, options });
    return answer.header.revision;
  }

  /** One stream a shard, behind what has been handed out. */
  #subscribe(): void {
    if (this.#ended || this.#keyspace === undefined || this.#span === undefined) return;
    this.#paused = false;
    const interval = this.#interval(this.#keyspace, this.#span);
    const pieces = this.#pieces(interval);
    const after = this.#merger?.emittedRevision ?? 0;
    this.#merger = new WatchMerger(pieces.length, after);
    const single = this.#span.rangeEnd === undefined;
    const streams = pieces.map((piece, index) => {
      const { prevKv = false, noPut = false, noDelete = false } = this.#options;
      const create = {
        key: piece.start,
        // The last keyspace has no end.
        rangeEnd: single ? undefined : (piece.end ?? OPEN_END),
        startRevision: 0,
        prevKv,
        noPut,
        noDelete,
        // One stream's events wait for nobody.
        progress: this.#options.progress === true || pieces.length > 1,
      };
      const plan = { interval: piece, create, isAlone: pieces.length === 1 };
      return new WatchStream(this.#session, this, index, plan);
    });
    this.#streams = streams;
    for (const stream of streams) stream.start();
  }

  /** The interval cut where shards begin; a hole in the map shows when the stream starts. */
  #pieces(interval: KeyRange): readonly KeyRange[] {
    const cuts: Uint8Array[] = [interval.start];
    for (const route of this.#session.map.routesOf(interval)) {
      const start = route.shard.range.start;
      if (compareBytes(start, interval.start) > 0) cuts.push(start);
    }
    return cuts.map((start, i) => ({ start, end: cuts[i + 1] ?? interval.end }));
  }

  #hand(revision: number, events: readonly WatchEvent[]): void {
    const span = this.#span;
    const fanOut = this.#keyspace?.kind === "hash" && span !== undefined;
    const meant = fanOut ? events.filter((event) => spanContains(span, event.kv.key)) : events;
    if (meant.length === 0) return;
    this.#progressSaid = revision;
    this.#push({ revision, events: meant });
  }

  #sayProgress(revision: number): void {
    const isAsked = this.#progressAsked > 0 && revision >= this.#progressAsked;
    if (isAsked) this.#progressAsked = 0;
    else if (this.#options.progress !== true || revision <= this.#progressSaid) return;
    this.#progressSaid = Math.max(this.#progressSaid, revision);
    this.#push({ progress: revision });
  }

  #push(item: WatchItem): void {
    const reader = this.#reader;
    if (reader === undefined) return this.#keep(item);
    this.#reader = undefined;
    reader.resolve({ done: false, value: item });
  }

  /** For a reader who is elsewhere: of what is only progress the last word is enough. */
  #keep(item: WatchItem): void {
    const last = this.#items[this.#items.length - 1];
    if ("events" in item) {
      this.#waitingEvents += item.events.length;
      this.#waitingBytes += bytesOf(item.events);
    } else if (last !== undefined && "progress" in last) this.#items.pop();
    this.#items.push(item);
  }

  #pause(): void {
    this.#paused = true;
    this.#stopStreams();
  }

  #resume(): void {
    this.#paused = false;
    this.#subscribe();
  }

  #stopStreams(): void {
    const streams = this.#streams;
    this.#streams = [];
    for (const stream of streams) stream.stop();
  }

  #end(): void {
    this.#ended = true;
    this.#stopStreams();
    this.#session.forgetWatch(this);
  }

  /** From the session: the client is closed. */
  closed(): void {
    this.failed(closedError());
  }
}
