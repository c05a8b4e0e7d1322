/**
 * Weaker reads with the guarantees they have: `stale` shows the state at the revision it names,
 * exactly; not older than was asked for; and within a session that asks for what it has seen, never
 * back, its own writes included. Key by key, and ranges.
 */
import { utf8Text } from "../../src/base/bytes.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { unknown } from "../checkers/finding.js";
import { checkStaleReads } from "../checkers/stale-reads.js";
import type { StaleAnswer, StaleRequest } from "../checkers/stale-reads.js";
import { checkReplay } from "../checkers/writes.js";
import type { Replay } from "../checkers/writes.js";
import { HistoryLog } from "./history-log.js";
import type { Recorded } from "./history-log.js";
import { readHistory } from "./replay.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";
import { Writer } from "./writer.js";

const KEYS = 6;
const BOUNDS_MS = [50, 200, 1000] as const;

class StaleCourse implements Course {
  readonly #log: HistoryLog<StaleRequest, StaleAnswer>;
  readonly #writer: Writer;
  readonly #prefix: string;
  /** By client: the highest revision that it has seen. */
  readonly #seen: number[] = [];
  #begins = 1;
  #replay: Replay | undefined;

  constructor({ clock, prefix }: Surroundings) {
    this.#prefix = `${prefix}t/`;
    this.#log = new HistoryLog(clock, () => true);
    const keys = Array.from({ length: KEYS }, (_, at) => `${this.#prefix}${at}`);
    this.#writer = new Writer(clock, keys);
  }

  get operations(): readonly Recorded[] {
    return [...this.#writer.log.operations, ...this.#log.operations];
  }

  async prepare(actor: Actor): Promise<void> {
    const { header } = await actor.store.put(`${this.#prefix}~begin`, "begin");
    this.#begins = header.revision + 1;
  }

  async step(actor: Actor): Promise<void> {
    if (actor.prng.chance(0.35)) return this.#write(actor);
    const bound = actor.prng.chance(0.3) ? BOUNDS_MS[actor.prng.between(0, 2)]! : 0;
    const isSession = actor.prng.chance(0.5);
    const minRevision = isSession ? (this.#seen[actor.number] ?? 0) : 0;
    const key = actor.prng.chance(0.3)
      ? undefined
      : `${this.#prefix}${actor.prng.between(0, KEYS - 1)}`;
    const request: StaleRequest = { type: "stale", key, maxStalenessMs: bound, minRevision };
    const answer = await this.#log.run(actor, request, () => this.#read(actor, request));
    if (answer !== undefined) this.#note(actor, answer.revision);
  }

  async finish(actor: Actor): Promise<void> {
    await this.#writer.must(actor);
    if (actor.number > 0) return;
    this.#replay = await readHistory(actor.store, this.#prefix, this.#begins);
  }

  judge(): readonly Finding[] {
    if (this.#replay === undefined) return [unknown("stale", "the history could not be read")];
    const writes = this.#writer.log.operations;
    const found = checkReplay(this.#replay, writes);
    return [found, ...checkStaleReads(this.#log.operations, writes, this.#replay)];
  }

  async #write(actor: Actor): Promise<void> {
    const before = this.#writer.log.operations.length;
    await this.#writer.step(actor);
    const own = this.#writer.log.operations.slice(before).find((each) => {
      return each.process === actor.process;
    });
    if (own?.kind === "ok") this.#note(actor, own.answer.revision);
  }

  #note(actor: Actor, revision: number): void {
    this.#seen[actor.number] = Math.max(this.#seen[actor.number] ?? 0, revision);
  }

  async #read(actor: Actor, request: StaleRequest): Promise<StaleAnswer> {
    const { key, maxStalenessMs, minRevision } = request;
    const options = { level: "stale", maxStalenessMs, minRevision } as const;
    if (key !== undefined) {
      const { header, kv } = await actor.store.get(key, options);
      const rows = kv === undefined ? [] : [rowOf(kv)];
      return { revision: header.revision, ageMs: header.ageMs, rows };
    }
    const { header, kvs } = await actor.store.range({
      key: this.#prefix,
      prefix: true,
      ...options,
    });
    const rows = kvs.map(rowOf).filter((row) => !row.key.includes("~"));
    return { revision: header.revision, ageMs: header.ageMs, rows };
  }
}

function rowOf(kv: KeyValue): StaleAnswer["rows"][number] {
  return { key: utf8Text(kv.key), value: utf8Text(kv.value), modRevision: kv.modRevision };
}

export const stale: Workload = {
  name: "stale",
  about: "stale reads: exact at their revision, within their bound, monotonic in a session",
  sdkOnly: true,
  create: (surroundings) => new StaleCourse(surroundings),
};
