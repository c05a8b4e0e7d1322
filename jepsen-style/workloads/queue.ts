/**
 * A queue: who puts something in writes a key of its own; who takes something out deletes the
 * oldest key if it is still what it was, and tries the next time if another was faster.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { notApplied } from "../../src/protocol/errors.js";
import { checkQueue } from "../checkers/queues.js";
import type { QueueAnswer, QueueRequest } from "../checkers/queues.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { deleting, ifAll, unchanged } from "./store.js";
import type { Store } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

/** Enough for a number to sort as a text. */
const DIGITS = 8;

class QueueCourse implements Course {
  readonly #log: HistoryLog<QueueRequest, QueueAnswer>;
  readonly #prefix: string;
  #elements = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "rest");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<QueueRequest, QueueAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const { store, prng } = actor;
    if (prng.chance(0.5)) {
      await this.#log.run(actor, { type: "dequeue" }, () => this.#take(store));
      return;
    }
    const element = String(this.#elements++).padStart(DIGITS, "0");
    await this.#log.run(actor, { type: "enqueue", element }, async () => {
      await store.put(`${this.#prefix}${element}`, element);
      return { elements: [] };
    });
  }

  /** By each client: the last one to ask sees what is left when all others are done. */
  async finish(actor: Actor): Promise<void> {
    await this.#log.must(actor, { type: "rest" }, async () => {
      const { kvs } = await actor.store.range({ key: this.#prefix, prefix: true });
      return { elements: kvs.map(({ value }) => utf8Text(value)) };
    });
  }

  judge(): readonly Finding[] {
    return [checkQueue(this.#log.operations)];
  }

  async #take(store: Store): Promise<QueueAnswer> {
    const { kvs } = await store.range({ key: this.#prefix, prefix: true, limit: 1 });
    const [oldest] = kvs;
    if (oldest === undefined) return { elements: [] };
    const key = utf8Text(oldest.key);
    const { succeeded } = await store.txn(
      ifAll([unchanged(key, oldest.modRevision)], [deleting(key)]),
    );
    if (!succeeded) throw notApplied("invalidArgument", "another was faster");
    return { elements: [utf8Text(oldest.value)] };
  }
}

export const queue: Workload = {
  name: "queue",
  about: "elements are put in and taken out by transactions: none lost, none taken twice",
  create: (surroundings) => new QueueCourse(surroundings),
};
