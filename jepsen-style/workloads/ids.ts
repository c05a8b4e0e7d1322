/**
 * Unique ids, made in the two ways in which the store gives them out: the revision of a write to
 * one key, and, where the API has leases, the id of one that it chooses itself.
 */
import { checkIds } from "../checkers/unique-ids.js";
import type { IdAnswer, IdRequest } from "../checkers/unique-ids.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const LEASES = 0.15;
/** They are left to run out. */
const TTL_SECONDS = 5;

class IdsCourse implements Course {
  readonly #log: HistoryLog<IdRequest, IdAnswer>;
  readonly #prefix: string;
  #values = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, () => false);
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<IdRequest, IdAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const { leases } = actor.store;
    if (leases !== undefined && actor.prng.chance(LEASES)) {
      await this.#log.run(actor, { type: "lease" }, async () => {
        return { id: `${(await leases.grant(TTL_SECONDS)).id}` };
      });
      return;
    }
    await this.#log.run(actor, { type: "revision" }, () => this.#revision(actor));
  }

  async finish(actor: Actor): Promise<void> {
    await this.#log.must(actor, { type: "revision" }, () => this.#revision(actor));
  }

  judge(): readonly Finding[] {
    return checkIds(this.#log.operations);
  }

  async #revision({ store }: Actor): Promise<IdAnswer> {
    const { header } = await store.put(`${this.#prefix}id`, `${++this.#values}`);
    return { id: `${header.revision}` };
  }
}

export const ids: Workload = {
  name: "ids",
  about: "ids from revisions and from leases: no two the same, revisions rise in time",
  create: (surroundings) => new IdsCourse(surroundings),
};
