/**
 * Watches of the same keys draw from one source: an event is fetched and encoded once, whoever is
 * told of it. A source tells its listeners in turn and waits for none of them while there are
 * several: who has no room leaves, and comes back behind what it was told when it has some. One
 * that is alone is waited for.
 *
 * Who comes back, or starts in the past, gets a source of its own until that has caught up with the
 * common one. Progress is asked for where nothing else would tell that it has.
 */
import { hex } from "../base/bytes.js";
import type { Backend, BackendWatch, WatchItem, WatchOptions } from "./backend.js";
import { GatheredEvents } from "./gathered-events.js";

/** One watch of a client. */
export interface WatchListener {
  /** Everything up to here was told. */
  readonly toldRevision: number;
  readonly isFull: boolean;
  /** Resolves when there is room, or when nobody listens any more. */
  room(): Promise<void>;
  told(batch: GatheredEvents): void;
  /** It has left its source, for want of room. */
  leftBehind(): void;
  /** It has left its source, which goes on elsewhere. */
  moved(to: WatchSource): void;
  /** The source has failed and is no more. */
  failed(error: unknown): void;
}

export type WatchKeys = Omit<WatchOptions, "startRevision">;

/** Sources of the same keys. */
interface Family {
  /** Whom the newcomers join. */
  common: WatchSource | undefined;
  /** Those that have not caught up. */
  readonly others: Set<WatchSource>;
}

/** All sources of a node. */
export class WatchSources {
  readonly #backend: Backend;
  readonly #families: Map<string, Family> = new Map();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** How far those who watch these keys together have come; 0 where nobody does. */
  toldRevision(keys: WatchKeys): number {
    return this.#families.get(nameOf(keys))?.common?.toldRevision ?? 0;
  }

  /**
   * The source that tells the listener what comes behind what it was told. `newest` is the newest
   * revision that is known: who is behind it starts in the past.
   */
  attach(keys: WatchKeys, listener: WatchListener, newest: number): WatchSource {
    const name = nameOf(keys);
    const family = this.#families.get(name) ?? { common: undefined, others: new Set() };
    const found = fittingIn(family, listener.toldRevision);
    if (found !== undefined) {
      found.join(listener);
      return found;
    }
    this.#families.set(name, family);
    const after = listener.toldRevision;
    const watch = this.#backend.watch({ ...keys, startRevision: after + 1 });
    // Who starts in the future has caught up when something is told from there.
    const reached = Math.max(newest, family.common?.toldRevision ?? 0);
    const isAhead = after > reached;
    const goal = isAhead ? after + 1 : reached;
    const source = new WatchSource(this, name, watch, { after, goal });
    if (!isAhead && goal > after) source.askProgress(goal);
    if (goal <= after && family.common === undefined) family.common = source;
    else family.others.add(source);
    source.join(listener);
    void source.run();
    return source;
  }

  /** From a source that has caught up: it is the common one now, or may go over to that. */
  settle(source: WatchSource): WatchSource | undefined {
    const family = this.#families.get(source.name);
    if (family === undefined || family.common === source) return undefined;
    const { common } = family;
    if (common !== undefined) {
      return common.toldRevision <= source.toldRevision ? common : undefined;
    }
    family.others.delete(source);
    family.common = source;
    return undefined;
  }

  forget(source: WatchSource): void {
    const family = this.#families.get(source.name);
    if (family === undefined) return;
    family.others.delete(source);
    if (family.common === source) family.common = undefined;
    if (family.common === undefined && family.others.size === 0) this.#families.delete(source.name);
  }
}

function fittingIn({ common, others }: Family, toldRevision: number): WatchSource | undefined {
  if (common !== undefined && common.toldRevision <= toldRevision) return common;
  for (const other of others) if (other.toldRevision === toldRevision) return other;
  return undefined;
}

export class WatchSource {
  readonly name: string;
  /** Everything up to here was told, to all who listen. */
  toldRevision: number;
  /** It has caught up once this is reached. */
  readonly #goal: number;
  readonly #sources: WatchSources;
  readonly #watch: BackendWatch;
  readonly #listeners: Set<WatchListener> = new Set();
  #isOver = false;
  #joined: () => void = nothing;

  constructor(
    sources: WatchSources,
    name: string,
    watch: BackendWatch,
    { after, goal }: { readonly after: number; readonly goal: number },
  ) {
    this.#sources = sources;
    this.name = name;
    this.#watch = watch;
    this.toldRevision = after;
    this.#goal = goal;
  }

  join(listener: WatchListener): void {
    this.#listeners.add(listener);
    this.#joined();
  }

  leave(listener: WatchListener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size === 0) this.#end();
  }

  /** An item that says that nothing up to `revision` is to come will follow. */
  askProgress(revision: number): void {
    this.#watch.askProgress(revision);
  }

  /** Draws from the backend until nobody listens any more. */
  async run(): Promise<void> {
    try {
      for (;;) {
        const item = await this.#watch.next();
        if (item === undefined || this.#isOver) return;
        this.#tell(item);
        await this.#room();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** This item, and those behind it that are here already, together while they are small. */
  #tell(first: WatchItem): void {
    const batch = new GatheredEvents(this.toldRevision);
    for (let item: WatchItem | undefined = first; item !== undefined; item = this.#watch.take()) {
      batch.add(item);
      if (batch.isLarge) break;
    }
    this.toldRevision = batch.toldRevision;
    const isAlone = this.#listeners.size === 1;
    for (const listener of this.#listeners) {
      if (isAlone || !listener.isFull) listener.told(batch);
      else this.#drop(listener);
    }
    if (this.toldRevision < this.#goal || this.#isOver) return;
    const common = this.#sources.settle(this);
    if (common !== undefined) this.#moveAll(common);
  }

  #drop(listener: WatchListener): void {
    this.leave(listener);
    listener.leftBehind();
  }

  #moveAll(common: WatchSource): void {
    for (const listener of this.#listeners) {
      common.join(listener);
      listener.moved(common);
    }
    this.#listeners.clear();
    this.#end();
  }

  /** Who is alone is waited for, until another one joins. */
  #room(): Promise<void> | undefined {
    if (this.#listeners.size !== 1) return undefined;
    for (const listener of this.#listeners) {
      if (!listener.isFull) return undefined;
      const joined = new Promise<void>((resolve) => (this.#joined = resolve));
      return Promise.race([listener.room(), joined]);
    }
    return undefined;
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.#end();
    for (const listener of listeners) listener.failed(error);
  }

  #end(): void {
    this.#isOver = true;
    this.#sources.forget(this);
    this.#watch.cancel();
  }
}

function nothing(): void {}

function nameOf({ key, rangeEnd, prevKv, noPut, noDelete }: WatchKeys): string {
  const flags = Number(prevKv) + 2 * Number(noPut) + 4 * Number(noDelete);
  return `${flags} ${hex(key)} ${rangeEnd === undefined ? "-" : hex(rangeEnd)}`;
}
