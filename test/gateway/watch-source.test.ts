/** Sources that watches share: whatever joins, leaves or has no room, each hears all and once. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import type { GatheredEvents } from "../../src/gateway/gathered-events.js";
import { WatchSources } from "../../src/gateway/watch-source.js";
import type { WatchListener, WatchSource } from "../../src/gateway/watch-source.js";
import type { BackendWatch, WatchItem } from "../../src/gateway/backend.js";
import { bytesOf } from "../support/bytes-of.js";
import { FakeBackend, putEvent } from "./fake-backend.js";

const KEYS = {
  key: bytesOf("k"),
  rangeEnd: undefined,
  prevKv: false,
  noPut: false,
  noDelete: false,
};

/** One event a revision, from 1 on, for as many watches as there are. */
class History {
  newest = 0;
  readonly open: Set<HistoryWatch> = new Set();

  grow(): void {
    this.newest++;
    for (const watch of this.open) watch.wake();
  }
}

class HistoryWatch implements BackendWatch {
  readonly #history: History;
  #next: number;
  #asked = 0;
  #wake: () => void = () => undefined;
  #isCancelled = false;

  constructor(history: History, startRevision: number) {
    this.#history = history;
    this.#next = startRevision;
    history.open.add(this);
  }

  take(): WatchItem | undefined {
    const { newest } = this.#history;
    if (this.#next <= newest) {
      const revision = this.#next++;
      return { revision, events: [putEvent("k", revision, bytesOf("v"))] };
    }
    if (this.#asked === 0 || this.#asked > newest) return undefined;
    this.#asked = 0;
    return { progress: newest };
  }

  async next(): Promise<WatchItem | undefined> {
    for (;;) {
      if (this.#isCancelled) return undefined;
      const item = this.take();
      if (item !== undefined) return item;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  askProgress(revision: number): void {
    this.#asked = revision;
    this.#wake();
  }

  wake(): void {
    this.#wake();
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#history.open.delete(this);
    this.#wake();
  }
}

class Listener implements WatchListener {
  toldRevision: number;
  isFull = false;
  readonly heard: number[] = [];
  readonly #sources: WatchSources;
  #source: WatchSource | undefined;
  #waiting: (() => void)[] = [];
  isGone = false;

  constructor(sources: WatchSources, after: number, newest: number) {
    this.#sources = sources;
    this.toldRevision = after;
    this.#source = sources.attach(KEYS, this, newest);
  }

  room(): Promise<void> {
    if (!this.isFull) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  told(batch: GatheredEvents): void {
    for (const { kv } of batch.after(this.toldRevision)) this.heard.push(kv.modRevision);
    this.toldRevision = Math.max(this.toldRevision, batch.toldRevision);
  }

  leftBehind(): void {
    this.#source = undefined;
    void this.room().then(() => {
      if (!this.isGone) this.#source = this.#sources.attach(KEYS, this, 0);
    });
  }

  moved(to: WatchSource): void {
    this.#source = to;
  }

  failed(error: unknown): void {
    throw error;
  }

  setFull(isFull: boolean): void {
    this.isFull = isFull;
    if (isFull) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  leave(): void {
    this.isGone = true;
    this.setFull(false);
    this.#source?.leave(this);
  }
}

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: "grow" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("join" as const), back: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("fill" as const), who: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("empty" as const), who: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leave" as const), who: fc.nat(5) }) },
  { weight: 3, arbitrary: fc.constant({ kind: "wait" as const }) },
);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("whoever listens", () => {
  test.prop([fc.array(step, { maxLength: 60 })])("hears all, once, in order", async (steps) => {
    const history = new History();
    const backend = Object.assign(new FakeBackend(), {
      watch: (options: { readonly startRevision: number }) =>
        new HistoryWatch(history, options.startRevision),
    });
    const sources = new WatchSources(backend);
    const joined: { readonly after: number; readonly listener: Listener }[] = [];
    for (const one of steps) {
      if (one.kind === "grow") history.grow();
      else if (one.kind === "wait") await settle();
      else if (one.kind === "join") {
        const after = Math.max(0, history.newest - one.back);
        joined.push({ after, listener: new Listener(sources, after, history.newest) });
      } else {
        const listener = joined[one.who]?.listener;
        if (one.kind === "leave") listener?.leave();
        else listener?.setFull(one.kind === "fill");
      }
    }
    for (const { listener } of joined) listener.setFull(false);
    history.grow();
    for (let i = 0; i < 5; i++) await settle();
    for (const { after, listener } of joined) {
      const last = listener.isGone ? listener.toldRevision : history.newest;
      const all = Array.from({ length: last - after }, (_, i) => after + 1 + i);
      expect(listener.heard).toEqual(all);
    }
    // All have caught up, and share one source; without listeners there is none.
    const isHeard = joined.some(({ listener }) => !listener.isGone);
    expect(history.open.size).toBe(isHeard ? 1 : 0);
  });

  test("and starts in the future, is not taken for how far the others have come", async () => {
    const history = new History();
    const backend = Object.assign(new FakeBackend(), {
      watch: (options: { readonly startRevision: number }) =>
        new HistoryWatch(history, options.startRevision),
    });
    const sources = new WatchSources(backend);
    const ahead = new Listener(sources, 3, history.newest);
    expect(sources.toldRevision(KEYS)).toBe(0);
    const now = new Listener(sources, 0, history.newest);
    for (let i = 0; i < 5; i++) history.grow();
    for (let i = 0; i < 5; i++) await settle();
    expect(now.heard).toEqual([1, 2, 3, 4, 5]);
    expect(ahead.heard).toEqual([4, 5]);
  });
});
