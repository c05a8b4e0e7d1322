/**
 * A counter with retries: each increment leaves a receipt in the same transaction, and whoever does
 * not hear the outcome looks for the receipt and tries again until it is known. So each increment
 * is made exactly once, and every one gets a number of its own.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import { checkCounter } from "../checkers/counter.js";
import type { CounterAnswer, CounterRequest } from "../checkers/counter.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, reading, unchanged } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const PAUSE_MS_MAX = 100;

class CounterCourse implements Course {
  readonly #log: HistoryLog<CounterRequest, CounterAnswer>;
  readonly #prefix: string;
  #increments = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<CounterRequest, CounterAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    if (actor.prng.chance(0.4)) {
      await this.#log.run(actor, { type: "read" }, () => this.#read(actor));
      return;
    }
    const increment = ++this.#increments;
    await this.#log.run(actor, { type: "increment", increment }, () =>
      this.#untilKnown(actor, increment),
    );
  }

  async finish(actor: Actor): Promise<void> {
    await this.#log.must(actor, { type: "read" }, () => this.#read(actor));
  }

  judge(): readonly Finding[] {
    return [checkCounter(this.#log.operations)];
  }

  async #read({ store }: Actor): Promise<CounterAnswer> {
    const { kv } = await store.get(this.#counter);
    return { type: "read", value: kv === undefined ? 0 : Number(utf8Text(kv.value)) };
  }

  /** While the workload lasts; then what is not known stays so. */
  async #untilKnown(actor: Actor, increment: number): Promise<CounterAnswer> {
    let isOpen = false;
    for (;;) {
      try {
        const value = await this.#attempt(actor, increment);
        if (value !== undefined) return { type: "increment", value };
      } catch (error) {
        const refusal = KvError.from(error);
        isOpen ||= refusal.outcome === "unknown";
        if (!actor.working()) throw isOpen ? unknownOf(refusal) : refusal;
      }
      if (!actor.working()) throw isOpen ? unknownOf() : notApplied("unavailable", "given up");
      await actor.pause(actor.prng.between(0, PAUSE_MS_MAX));
    }
  }

  /** The number it got, now or before; undefined where another came between. */
  async #attempt({ store }: Actor, increment: number): Promise<number | undefined> {
    const receipt = `${this.#prefix}receipts/${increment}`;
    const keys = [receipt, this.#counter];
    const { results } = await store.txn(ifAll([], keys.map(reading)));
    const [done, counter] = results.map((each) =>
      each.kind === "range" ? each.kvs[0] : undefined,
    );
    if (done !== undefined) return Number(utf8Text(done.value));
    const value = 1 + (counter === undefined ? 0 : Number(utf8Text(counter.value)));
    const compares = [unchanged(receipt, 0), unchanged(this.#counter, counter?.modRevision ?? 0)];
    const puts = [putting(receipt, `${value}`), putting(this.#counter, `${value}`)];
    const { succeeded } = await store.txn(ifAll(compares, puts));
    return succeeded ? value : undefined;
  }

  get #counter(): string {
    return `${this.#prefix}counter`;
  }
}

function unknownOf(cause?: KvError): KvError {
  return new KvError("timeout", cause?.message ?? "given up", "unknown");
}

export const counter: Workload = {
  name: "counter",
  about: "increments that are tried again until their outcome is known: each counts once",
  create: (surroundings) => new CounterCourse(surroundings),
};
