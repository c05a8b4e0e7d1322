/**
 * Long fork: keys are written once, each by itself, and read a group at a time, at every level. All
 * readers see the writes of a group come in one order.
 */
import { utf8Text } from "../../src/base/bytes.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { checkForks } from "../checkers/forks.js";
import type { ForkAnswer, ForkRequest } from "../checkers/forks.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const KEYS_A_GROUP = 4;
/** So many groups back somebody still reads. */
const GROUPS_BACK = 2;
const LEVELS: readonly ReadLevel[] = ["linearizable", "lease", "follower", "stale", "stale"];

class ForkCourse implements Course {
  readonly #log: HistoryLog<ForkRequest, ForkAnswer>;
  readonly #prefix: string;
  #keys = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<ForkRequest, ForkAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const newest = Math.floor(this.#keys / KEYS_A_GROUP);
    if (actor.prng.chance(0.4)) return this.#write(actor, newest);
    const group = Math.max(0, newest - actor.prng.between(0, GROUPS_BACK));
    const level = LEVELS[actor.prng.between(0, LEVELS.length - 1)]!;
    const request: ForkRequest = { type: "read", group, level };
    await this.#log.run(actor, request, () => this.#read(actor, group, level));
  }

  async finish(actor: Actor): Promise<void> {
    const group = Math.floor(this.#keys / KEYS_A_GROUP);
    const request: ForkRequest = { type: "read", group, level: "linearizable" };
    await this.#log.must(actor, request, () => this.#read(actor, group, "linearizable"));
  }

  judge(): readonly Finding[] {
    return [checkForks(this.#log.operations)];
  }

  async #write(actor: Actor, group: number): Promise<void> {
    const key = `${this.#prefix}${group}/${this.#keys++}`;
    await this.#log.run(actor, { type: "write", group, key }, async () => {
      await actor.store.put(key, "there");
      return { keys: [] };
    });
  }

  async #read(actor: Actor, group: number, level: ReadLevel): Promise<ForkAnswer> {
    const key = `${this.#prefix}${group}/`;
    const { kvs } = await actor.store.range({ key, prefix: true, level });
    return { keys: kvs.map((kv) => utf8Text(kv.key)) };
  }
}

export const fork: Workload = {
  name: "fork",
  about: "keys written once and read in groups, at every level: all see one order of the writes",
  create: (surroundings) => new ForkCourse(surroundings),
};
