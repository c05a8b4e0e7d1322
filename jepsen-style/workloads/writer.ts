/**
 * Writes for the workloads that look at histories: puts, deletes and transactions of several keys
 * on keys of one keyspace, every value written once, every write with the revision it was given.
 */
import type { Clock } from "../../src/env/clock.js";
import type { WriteAnswer, WriteRequest } from "../checkers/writes.js";
import { HistoryLog } from "./history-log.js";
import { deleting, ifAll, putting } from "./store.js";
import type { Actor } from "./workload.js";

const DELETES = 0.15;
const MULTIPLE = 0.25;
const KEYS_MAX = 3;

export class Writer {
  readonly log: HistoryLog<WriteRequest, WriteAnswer>;
  readonly #keys: readonly string[];
  #values = 0;
  /** The highest revision that a write was answered. */
  newest = 0;

  constructor(clock: Clock, keys: readonly string[]) {
    this.log = new HistoryLog(clock, () => false);
    this.#keys = keys;
  }

  /** A write, of its own outcome. */
  async step(actor: Actor): Promise<void> {
    const request = this.#draw(actor);
    await this.log.run(actor, request, () => this.#write(actor, request));
  }

  /** Until a write is served. */
  async must(actor: Actor): Promise<void> {
    const request = this.#draw(actor);
    await this.log.must(actor, request, () => this.#write(actor, request));
  }

  #draw({ prng }: Actor): WriteRequest {
    const count = prng.chance(MULTIPLE) ? prng.between(2, KEYS_MAX) : 1;
    const first = prng.between(0, this.#keys.length - 1);
    const keys = Array.from({ length: Math.min(count, this.#keys.length) }, (_, at) => {
      return this.#keys[(first + at) % this.#keys.length]!;
    });
    const changes = keys.map((key) => {
      const isDelete = prng.chance(DELETES);
      return { key, value: isDelete ? undefined : `v${++this.#values}` };
    });
    return { type: "write", changes };
  }

  async #write(actor: Actor, { changes }: WriteRequest): Promise<WriteAnswer> {
    const operations = changes.map(({ key, value }) =>
      value === undefined ? deleting(key) : putting(key, value),
    );
    const { header, results } = await actor.store.txn(ifAll([], operations));
    const { revision } = header;
    this.newest = Math.max(this.newest, revision);
    const deleted = results.map((result) =>
      result.kind === "delete" ? result.deleted : undefined,
    );
    // A transaction that only deletes what is not there changes nothing and gets no revision.
    const changed = deleted.some((count) => count === undefined || count > 0);
    return { revision, changed, deleted };
  }
}
