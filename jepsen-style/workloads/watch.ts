/**
 * Watches: some clients write, the others watch keys, prefixes and everything, from now on, from a
 * hundred revisions behind or ahead, for a while and then again. Each has to see what the history
 * says, once, in order, revision by revision; and so the same as all others.
 */
import { KvError } from "../../src/protocol/errors.js";
import type { WatchOptions } from "../../src/client/client-types.js";
import type { Finding } from "../checkers/finding.js";
import { checkWatches } from "../checkers/watches.js";
import type { Watched } from "../checkers/watches.js";
import { checkReplay } from "../checkers/writes.js";
import type { Replay } from "../checkers/writes.js";
import { unknown } from "../checkers/finding.js";
import type { Entry } from "./history-log.js";
import { readHistory } from "./replay.js";
import type { Watching } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";
import { followed } from "./watched.js";
import { Writer } from "./writer.js";

const KEYS = 8;
/** Every so manieth client watches. */
const WATCHERS = 3;
const BEHIND_MAX = 100;
const LASTS_MS = [200, 8000] as const;

class WatchCourse implements Course {
  readonly #writer: Writer;
  readonly #prefix: string;
  readonly #clock: Surroundings["clock"];
  readonly #watched: Watched[] = [];
  #begins = 1;
  #replay: Replay | undefined;

  constructor({ clock, prefix }: Surroundings) {
    this.#clock = clock;
    this.#prefix = `${prefix}w/`;
    const keys = Array.from({ length: KEYS }, (_, at) => `${this.#prefix}${at % 2}/${at}`);
    this.#writer = new Writer(clock, keys);
  }

  get operations(): readonly Entry<{ readonly type: string }, unknown>[] {
    return this.#writer.log.operations;
  }

  async prepare(actor: Actor): Promise<void> {
    const { header } = await actor.store.put(`${this.#prefix}~begin`, "begin");
    this.#begins = header.revision + 1;
  }

  step(actor: Actor): Promise<void> {
    return actor.number % WATCHERS === 0 ? this.#watch(actor) : this.#writer.step(actor);
  }

  async finish(actor: Actor): Promise<void> {
    await this.#writer.must(actor);
    if (actor.number > 0) return;
    this.#replay = await readHistory(actor.store, this.#prefix, this.#begins);
  }

  judge(): readonly Finding[] {
    if (this.#replay === undefined) return [unknown("watches", "the history could not be read")];
    const found = checkReplay(this.#replay, this.#writer.log.operations);
    return [found, ...checkWatches(this.#watched, this.#replay)];
  }

  async #watch(actor: Actor): Promise<void> {
    const options = this.#draw(actor);
    const watch = actor.store.watch(options);
    const seen: Watched = {
      process: actor.process,
      prefix: String(options.key),
      isPrefix: options.prefix === true,
      startRevision: options.startRevision ?? 0,
      prevKv: options.prevKv === true,
      noPut: options.noPut === true,
      noDelete: options.noDelete === true,
      begunAt: this.#clock.monotonicMs(),
      coversFrom: undefined,
      items: [],
    };
    this.#watched.push(seen);
    const following = this.#follow(watch, seen);
    await this.#last(actor);
    watch.cancel();
    await following;
  }

  #draw({ prng }: Actor): WatchOptions {
    const draw = prng.between(0, 9);
    const offset = prng.between(-BEHIND_MAX, BEHIND_MAX >> 2);
    const startRevision = draw < 4 ? 0 : Math.max(this.#begins, this.#writer.newest + offset);
    const side = prng.between(0, 1);
    const span =
      draw % 3 === 0
        ? { key: `${this.#prefix}${side}/${side}` }
        : { key: draw % 3 === 1 ? `${this.#prefix}${side}/` : this.#prefix, prefix: true };
    return {
      ...span,
      startRevision,
      prevKv: prng.chance(0.5),
      progress: prng.chance(0.5),
      noPut: prng.chance(0.1),
      noDelete: prng.chance(0.1),
    };
  }

  async #last(actor: Actor): Promise<void> {
    const end = this.#clock.monotonicMs() + actor.prng.between(...LASTS_MS);
    while (actor.working() && this.#clock.monotonicMs() < end) await actor.pause(50);
  }

  async #follow(watch: Watching, seen: Watched): Promise<void> {
    try {
      const items = followed(watch, seen, this.#clock, isCounted)[Symbol.asyncIterator]();
      while ((await items.next()).done !== true);
    } catch (error) {
      // It was overtaken by a compaction, or never reached anybody: what it has shown counts.
      if (!(error instanceof KvError)) throw error;
    }
  }
}

/** What the workload itself puts there, at the ends, is no part of the history. */
function isCounted(key: string): boolean {
  return !key.includes("~");
}

export const watch: Workload = {
  name: "watch",
  about: "watches of keys and prefixes, from now, behind and ahead: all see the one history",
  create: (surroundings) => new WatchCourse(surroundings),
};
