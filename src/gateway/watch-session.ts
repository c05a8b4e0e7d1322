/**
 * One watch stream of a client, with all its watches. It knows nothing of gRPC or JSON: frames go
 * to a sink.
 *
 * Requests are taken one after the other, and only while the sink has room. Watches are told of
 * events by sources that they share with those who watch the same keys (`watch-source.ts`), also
 * only while the sink has room: a client that does not read costs what the backend holds for it,
 * which is bounded, and what the sink has taken.
 */
import { compareBytes } from "../base/bytes.js";
import { FIRST_KEY } from "../base/key-range.js";
import type { Timer, Timers } from "../env/timers.js";
import { KvError } from "../protocol/errors.js";
import type { AnswerSink, CallSession } from "./answer-stream.js";
import type { Backend } from "./backend.js";
import type { GatheredEvents } from "./gathered-events.js";
import type { HeaderWriter } from "./kv-responses.js";
import { COMPACTED_TEXT, statusOf } from "./status.js";
import { encodedFrame, eventFrames, noteFrame, readWatchRequest } from "./watch-messages.js";
import type { WatchCreate, WatchNote } from "./watch-messages.js";
import type { WatchKeys, WatchListener, WatchSource, WatchSources } from "./watch-source.js";
import { WireReader } from "./wire.js";

/** How many are open at this node. */
export interface WatchCounts {
  watches: number;
  watchStreams: number;
}

export interface WatchHost {
  readonly backend: Backend;
  readonly header: HeaderWriter;
  readonly timers: Timers;
  readonly counts: WatchCounts;
  /** Responses with more are sent in parts to who asked for that. */
  readonly fragmentBytesMax: number;
  /** How often watches that want it hear how far they are. */
  readonly progressIntervalMs: number;
}

export class WatchSession implements CallSession {
  readonly #host: WatchHost;
  readonly #sources: WatchSources;
  readonly #sink: AnswerSink;
  readonly #watches: Map<bigint, OneWatch> = new Map();
  #nextId = 0n;
  /** The newest revision heard of. */
  #revision = 0;
  #requests: Promise<void> = Promise.resolve();
  /** Revisions that clients asked to hear of once all watches have reached them. */
  #progressAsked: number[] = [];
  #timer: Timer | undefined;
  #closed = false;

  constructor(host: WatchHost, sources: WatchSources, sink: AnswerSink) {
    this.#host = host;
    this.#sources = sources;
    this.#sink = sink;
    host.counts.watchStreams++;
  }

  /** A request's message; resolves when the next one may come. */
  request(message: Uint8Array): Promise<void> {
    this.#requests = this.#requests.then(async () => {
      if (this.#closed) return;
      try {
        await this.#serve(message);
        await this.#sink.room();
      } catch (error) {
        this.#fail(error);
      }
    });
    return this.#requests;
  }

  /** A client that has said all it wants to say may go on listening. */
  finish(): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { counts } = this.#host;
    counts.watchStreams--;
    counts.watches -= this.#watches.size;
    this.#timer?.cancel();
    for (const watch of this.#watches.values()) watch.end();
    this.#watches.clear();
  }

  async #serve(message: Uint8Array): Promise<void> {
    const request = readWatchRequest(new WireReader(message));
    if (request.kind === "create") return this.#create(request.create);
    if (request.kind === "cancel") return this.#cancel(request.watchId);
    if (request.kind === "progress") return this.#askProgress();
  }

  async #create(asked: WatchCreate): Promise<void> {
    const revision = await this.#askRevision();
    if (this.#closed) return;
    const create = asked.key.length === 0 ? { ...asked, key: FIRST_KEY } : asked;
    const refusal = this.#refusal(create);
    if (refusal !== undefined) {
      this.#note({ revision, watchId: -1n, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const watchId = this.#idFor(create);
    const keys = keysOf(create);
    // Who begins now can as well begin where others, who watch the same, have come to.
    const sources = this.#sources;
    const now = Math.max(revision, create.startRevision === 0 ? sources.toldRevision(keys) : 0);
    this.#note({ revision: now, watchId, created: true });
    const toldRevision = create.startRevision === 0 ? now : create.startRevision - 1;
    const watch = new OneWatch(this, sources, { create, watchId, after: toldRevision });
    this.#watches.set(watchId, watch);
    this.#host.counts.watches++;
    if (create.progressNotify) this.#keepTime();
    watch.attach(revision);
  }

  #refusal({ key, rangeEnd, watchId, startRevision }: WatchCreate): string | undefined {
    const isOpen = rangeEnd.length === 1 && rangeEnd[0] === 0;
    if (rangeEnd.length > 0 && !isOpen && compareBytes(key, rangeEnd) >= 0) {
      return "mvcc: watcher range is empty";
    }
    if (startRevision < 0) return COMPACTED_TEXT;
    if (watchId === 0n || !this.#watches.has(watchId)) return undefined;
    return "mvcc: duplicate watch ID provided on the WatchStream";
  }

  #idFor({ watchId }: WatchCreate): bigint {
    if (watchId !== 0n) return watchId;
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(watchId: bigint): void {
    const watch = this.#watches.get(watchId);
    if (watch === undefined) return;
    this.#drop(watch);
    this.#note({ revision: this.#revision, watchId, canceled: true });
    this.#tellProgress();
  }

  async #askRevision(): Promise<number> {
    const revision = await this.#host.backend.watchRevision();
    this.#revision = Math.max(this.#revision, revision);
    return revision;
  }

  async #askProgress(): Promise<void> {
    const revision = await this.#askRevision();
    if (this.#closed) return;
    this.#progressAsked.push(revision);
    for (const watch of this.#watches.values()) watch.askProgress(revision);
    this.#tellProgress();
  }

  /** Who asked for progress hears of it when every watch has told all that came before. */
  #tellProgress(): void {
    if (this.#closed || this.#progressAsked.length === 0) return;
    let told = Number.POSITIVE_INFINITY;
    for (const { toldRevision } of this.#watches.values()) told = Math.min(told, toldRevision);
    const due = this.#progressAsked.filter((revision) => revision <= told);
    this.#progressAsked = this.#progressAsked.filter((revision) => revision > told);
    for (const revision of due) this.#note({ revision, watchId: -1n });
  }

  /** From a watch: these events, if any, and how far it has come. */
  tell(watch: OneWatch, batch: GatheredEvents): void {
    const { watchId, create, toldRevision } = watch;
    const revision = Math.max(toldRevision, batch.toldRevision);
    const fragmentBytesMax = create.fragment ? this.#host.fragmentBytesMax : 0;
    const isWhole = batch.isAllAfter(toldRevision);
    if (batch.bytes > 0 && isWhole && (fragmentBytesMax === 0 || batch.bytes < fragmentBytesMax)) {
      this.#sink.write(encodedFrame(this.#host.header, { revision, watchId }, batch.encoded()));
      watch.spoke = true;
    } else if (batch.bytes > 0) {
      const plan = { revision, watchId, fragmentBytesMax };
      const events = batch.after(toldRevision);
      for (const frame of eventFrames(this.#host.header, plan, events)) this.#sink.write(frame);
      watch.spoke ||= events.length > 0;
    }
    watch.toldRevision = revision;
    this.#revision = Math.max(this.#revision, revision);
    if (watch.notifyRevision > 0 && revision >= watch.notifyRevision) this.#notify(watch);
    this.#tellProgress();
  }

  get isFull(): boolean {
    return !this.#sink.hasRoom;
  }

  room(): Promise<void> {
    return this.#sink.room();
  }

  /** A watch that starts in what was compacted is told so; all else ends the stream. */
  broken(watch: OneWatch, error: unknown): void {
    if (this.#watches.get(watch.watchId) !== watch) return;
    const { code, details } = KvError.from(error);
    if (code !== "compacted") return this.#fail(error);
    this.#drop(watch);
    const { watchId } = watch;
    const compactRevision = details.bound ?? 0;
    this.#note({ revision: 0, watchId, canceled: true, compactRevision });
    this.#tellProgress();
  }

  #drop(watch: OneWatch): void {
    if (this.#watches.delete(watch.watchId)) this.#host.counts.watches--;
    watch.end();
  }

  /** Notifications for watches that asked for them and had nothing else to tell. */
  #keepTime(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#host.timers.after(this.#host.progressIntervalMs, () => {
      this.#timer = undefined;
      const silent: OneWatch[] = [];
      for (const watch of this.#watches.values()) {
        if (!watch.create.progressNotify) continue;
        this.#keepTime();
        if (!watch.spoke) silent.push(watch);
        watch.spoke = false;
      }
      if (silent.length === 0) return;
      // How far they are is known when they have come to what is now the newest.
      this.#askRevision().then(
        (revision) => {
          for (const watch of silent) this.#notifyAt(watch, revision);
        },
        (error: unknown) => this.#fail(error),
      );
    });
  }

  #notifyAt(watch: OneWatch, revision: number): void {
    if (this.#watches.get(watch.watchId) !== watch) return;
    watch.notifyRevision = revision;
    if (watch.toldRevision >= revision) this.#notify(watch);
    else watch.askProgress(revision);
  }

  /** Unless it has told events meanwhile, which say as much. */
  #notify(watch: OneWatch): void {
    watch.notifyRevision = 0;
    if (!watch.spoke) this.#note({ revision: watch.toldRevision, watchId: watch.watchId });
    watch.spoke = false;
  }

  #note(note: WatchNote): void {
    this.#sink.write(noteFrame(this.#host.header, note));
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.close();
    this.#sink.fail(statusOf(error));
  }
}

/** One watch, as a listener of its source. */
class OneWatch implements WatchListener {
  readonly watchId: bigint;
  readonly create: WatchCreate;
  toldRevision: number;
  /** Something was told since the last progress notification was due. */
  spoke = false;
  /** A progress notification is due once this is reached; 0: none. */
  notifyRevision = 0;
  readonly #session: WatchSession;
  readonly #sources: WatchSources;
  #source: WatchSource | undefined;
  #askedRevision = 0;
  #isOver = false;

  constructor(
    session: WatchSession,
    sources: WatchSources,
    asked: { readonly create: WatchCreate; readonly watchId: bigint; readonly after: number },
  ) {
    this.#session = session;
    this.#sources = sources;
    this.create = asked.create;
    this.watchId = asked.watchId;
    this.toldRevision = asked.after;
  }

  get isFull(): boolean {
    return this.#session.isFull;
  }

  room(): Promise<void> {
    return this.#session.room();
  }

  /** `newest` is the newest revision that is known, 0 where none is. */
  attach(newest: number): void {
    this.moved(this.#sources.attach(keysOf(this.create), this, newest));
  }

  told(batch: GatheredEvents): void {
    this.#session.tell(this, batch);
  }

  leftBehind(): void {
    this.#source = undefined;
    void this.room().then(() => {
      if (!this.#isOver) this.attach(0);
    });
  }

  moved(to: WatchSource): void {
    this.#source = to;
    if (this.#askedRevision > this.toldRevision) to.askProgress(this.#askedRevision);
  }

  failed(error: unknown): void {
    this.#source = undefined;
    this.#session.broken(this, error);
  }

  /** Wants to be told, by events or without, when it has come to `revision`. */
  askProgress(revision: number): void {
    this.#askedRevision = revision;
    if (this.toldRevision < revision) this.#source?.askProgress(revision);
  }

  end(): void {
    this.#isOver = true;
    this.#source?.leave(this);
    this.#source = undefined;
  }
}

function keysOf({ key, rangeEnd, prevKv, noPut, noDelete }: WatchCreate): WatchKeys {
  const end = rangeEnd.length === 0 ? undefined : rangeEnd;
  return { key, rangeEnd: end, prevKv, noPut, noDelete };
}
