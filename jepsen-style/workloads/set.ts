/**
 * Sets: elements are added, a key each, and read by ranges at the levels that promise the newest.
 * What was acknowledged is in every later read. A set is full after a while, and the next begins.
 */
import { utf8Text } from "../../src/base/bytes.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { checkSets } from "../checkers/sets.js";
import type { SetAnswer, SetRequest } from "../checkers/sets.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { someNewest } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const ELEMENTS_A_SET = 200;

class SetCourse implements Course {
  readonly #log: HistoryLog<SetRequest, SetAnswer>;
  readonly #prefix: string;
  #elements = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<SetRequest, SetAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    if (actor.prng.chance(0.6)) return this.#add(actor);
    const level = someNewest(actor.prng);
    const request: SetRequest = { type: "read", set: this.#set, level };
    await this.#log.run(actor, request, () => this.#read(actor, this.#set, level));
  }

  /** All sets once more, the older ones too. */
  async finish(actor: Actor): Promise<void> {
    for (let set = 0; set <= this.#set; set++) {
      const request: SetRequest = { type: "read", set, level: "linearizable" };
      await this.#log.must(actor, request, () => this.#read(actor, set, "linearizable"));
    }
  }

  judge(): readonly Finding[] {
    return [checkSets(this.#log.operations)];
  }

  get #set(): number {
    return Math.floor(this.#elements / ELEMENTS_A_SET);
  }

  async #add(actor: Actor): Promise<void> {
    const set = this.#set;
    const element = this.#elements++;
    await this.#log.run(actor, { type: "add", set, element }, async () => {
      await actor.store.put(`${this.#prefix}s${set}/${element}`, String(element));
      return { type: "add" };
    });
  }

  async #read(actor: Actor, set: number, level: ReadLevel): Promise<SetAnswer> {
    const key = `${this.#prefix}s${set}/`;
    const { kvs } = await actor.store.range({ key, prefix: true, level });
    return { type: "read", elements: kvs.map(({ value }) => Number(utf8Text(value))) };
  }
}

export const set: Workload = {
  name: "set",
  about: "elements are added and read by ranges: none is lost, none comes late",
  create: (surroundings) => new SetCourse(surroundings),
};
