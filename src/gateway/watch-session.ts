/**
 * One watch stream of a client, with all its watches. It knows nothing of gRPC or JSON: frames go
 * to a sink.
 *
 * Requests are taken one after the other, and only while the sink has room. Each watch draws from
 * the backend item by item, and only while the sink has room: a client that does not read costs
 * what the backend holds for it, which is bounded, and what the sink has taken.
 */
import { compareBytes } from "../base/bytes.js";
import type { Timer, Timers } from "../env/timers.js";
import { KvError } from "../protocol/errors.js";
import type { WatchEvent } from "../protocol/key-value.js";
import type { CallSession, FrameSink } from "./answer-stream.js";
import type { Backend, BackendWatch, WatchItem } from "./backend.js";
import type { HeaderWriter } from "./kv-responses.js";
import { COMPACTED_TEXT, statusOf } from "./status.js";
import { eventFrames, eventHint, noteFrame, readWatchRequest } from "./watch-messages.js";
import type { WatchCreate, WatchNote } from "./watch-messages.js";
import { WireReader } from "./wire.js";

export interface WatchHost {
  readonly backend: Backend;
  readonly header: HeaderWriter;
  readonly timers: Timers;
  /** Responses with more are sent in parts to who asked for that. */
  readonly fragmentBytesMax: number;
  /** How often watches that want it hear how far they are. */
  readonly progressIntervalMs: number;
}

interface OneWatch {
  readonly watchId: bigint;
  readonly create: WatchCreate;
  readonly source: BackendWatch;
  /** Everything up to here was told. */
  toldRevision: number;
  /** Something was told since the last progress notification was due. */
  spoke: boolean;
}

/** Events of several revisions are told together up to about this. */
const GATHERED_BYTES: number = 64 * 1024;
const FIRST_KEY: Uint8Array = new Uint8Array([0]);

export class WatchSession implements CallSession {
  readonly #host: WatchHost;
  readonly #sink: FrameSink;
  readonly #watches: Map<bigint, OneWatch> = new Map();
  #nextId = 0n;
  /** The newest revision heard of. */
  #revision = 0;
  #requests: Promise<void> = Promise.resolve();
  /** Revisions that clients asked to hear of once all watches have reached them. */
  #progressAsked: number[] = [];
  #timer: Timer | undefined;
  #closed = false;

  constructor(host: WatchHost, sink: FrameSink) {
    this.#host = host;
    this.#sink = sink;
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
    this.#closed = true;
    this.#timer?.cancel();
    for (const { source } of this.#watches.values()) source.cancel();
    this.#watches.clear();
  }

  async #serve(message: Uint8Array): Promise<void> {
    const request = readWatchRequest(new WireReader(message));
    if (request.kind === "create") return this.#create(request.create);
    if (request.kind === "cancel") return this.#cancel(request.watchId);
    if (request.kind === "progress") return this.#askProgress();
  }

  async #create(asked: WatchCreate): Promise<void> {
    const { backend } = this.#host;
    const revision = await this.#askRevision();
    if (this.#closed) return;
    const create = asked.key.length === 0 ? { ...asked, key: FIRST_KEY } : asked;
    const refusal = this.#refusal(create);
    if (refusal !== undefined) {
      this.#note({ revision, watchId: -1n, created: true, canceled: true, cancelReason: refusal });
      return;
    }
    const watchId = this.#idFor(create);
    this.#note({ revision, watchId, created: true });
    const startRevision = create.startRevision === 0 ? revision + 1 : create.startRevision;
    const { key, rangeEnd, prevKv, noPut, noDelete } = create;
    const end = rangeEnd.length === 0 ? undefined : rangeEnd;
    const options = { key, rangeEnd: end, startRevision, prevKv, noPut, noDelete };
    const source = backend.watch(options);
    const watch = { watchId, create, source, toldRevision: startRevision - 1, spoke: false };
    this.#watches.set(watchId, watch);
    if (create.progressNotify) this.#keepTime();
    void this.#pump(watch);
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
    const revision = await this.#host.backend.revision();
    this.#revision = Math.max(this.#revision, revision);
    return revision;
  }

  async #askProgress(): Promise<void> {
    const revision = await this.#askRevision();
    if (this.#closed) return;
    this.#progressAsked.push(revision);
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

  /** Draws one watch until it ends. */
  async #pump(watch: OneWatch): Promise<void> {
    try {
      for (;;) {
        const item = await watch.source.next();
        if (item === undefined || this.#watches.get(watch.watchId) !== watch) return;
        this.#tell(watch, item);
        this.#tellProgress();
        await this.#sink.room();
      }
    } catch (error) {
      if (this.#watches.get(watch.watchId) === watch) this.#broken(watch, error);
    }
  }

  /** This item, and those behind it that are here already, in one response while it is small. */
  #tell(watch: OneWatch, first: WatchItem): void {
    const events: WatchEvent[] = [];
    let bytes = 0;
    for (let item: WatchItem | undefined = first; item !== undefined; item = watch.source.take()) {
      watch.toldRevision = Math.max(watch.toldRevision, revisionOf(item));
      if (!("events" in item)) continue;
      for (const event of item.events) {
        events.push(event);
        bytes += eventHint(event);
      }
      if (bytes > GATHERED_BYTES) break;
    }
    if (events.length === 0) return;
    const { watchId, create, toldRevision } = watch;
    const fragmentBytesMax = create.fragment ? this.#host.fragmentBytesMax : 0;
    const plan = { revision: toldRevision, watchId, fragmentBytesMax };
    for (const frame of eventFrames(this.#host.header, plan, events)) this.#sink.write(frame);
    this.#revision = Math.max(this.#revision, toldRevision);
    watch.spoke = true;
  }

  /** A watch that starts in what was compacted is told so; all else ends the stream. */
  #broken(watch: OneWatch, error: unknown): void {
    const { code, details } = KvError.from(error);
    if (code !== "compacted") return this.#fail(error);
    this.#drop(watch);
    const { watchId } = watch;
    const compactRevision = details.bound ?? 0;
    this.#note({ revision: 0, watchId, canceled: true, compactRevision });
    this.#tellProgress();
  }

  #drop(watch: OneWatch): void {
    this.#watches.delete(watch.watchId);
    watch.source.cancel();
  }

  /** Notifications for watches that asked for them and had nothing else to tell. */
  #keepTime(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#host.timers.after(this.#host.progressIntervalMs, () => {
      this.#timer = undefined;
      let isWanted = false;
      for (const watch of this.#watches.values()) {
        if (!watch.create.progressNotify) continue;
        isWanted = true;
        if (!watch.spoke) this.#note({ revision: watch.toldRevision, watchId: watch.watchId });
        watch.spoke = false;
      }
      if (isWanted) this.#keepTime();
    });
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

function revisionOf(item: WatchItem): number {
  return "events" in item ? item.revision : item.progress;
}
