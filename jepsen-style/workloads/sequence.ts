/**
 * Sequences: a client writes keys of three shards, one after the other; others read them the other
 * way round, each key by itself. Stale readers ask for what they have seen: a session keeps its
 * order over shards and nodes.
 */
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { checkSequences } from "../checkers/sequences.js";
import type { SequenceAnswer, SequenceRequest } from "../checkers/sequences.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import type { Store } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

/** As the harness founds it: cut at h and q. */
const KEYSPACE = "ordered";
const SHARDS = ["a", "h", "q"] as const;
const BACK_MAX = 6;
const LEVELS: readonly ReadLevel[] = ["linearizable", "lease", "follower", "stale", "stale"];

class SequenceCourse implements Course {
  readonly #log: HistoryLog<SequenceRequest, SequenceAnswer>;
  #numbers = 0;

  constructor({ clock }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
  }

  get operations(): readonly Entry<SequenceRequest, SequenceAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const { prng } = actor;
    const store = actor.store.keyspace(KEYSPACE);
    if (prng.chance(0.3)) {
      const number = this.#numbers++;
      await this.#log.run(actor, { type: "write", number }, () => writeAll(store, number));
      return;
    }
    const number = Math.max(0, this.#numbers - prng.between(0, BACK_MAX));
    const level = LEVELS[prng.between(0, LEVELS.length - 1)]!;
    await this.#log.run(actor, { type: "read", number, level }, () => {
      return readAll(store, number, level);
    });
  }

  async finish(actor: Actor): Promise<void> {
    const store = actor.store.keyspace(KEYSPACE);
    const request: SequenceRequest = { type: "read", number: 0, level: "linearizable" };
    await this.#log.must(actor, request, () => readAll(store, 0, "linearizable"));
  }

  judge(): readonly Finding[] {
    return [checkSequences(this.#log.operations)];
  }
}

async function writeAll(store: Store, number: number): Promise<SequenceAnswer> {
  for (const shard of SHARDS) await store.put(`${shard}${number}`, "there");
  return { seen: [] };
}

async function readAll(store: Store, number: number, level: ReadLevel): Promise<SequenceAnswer> {
  const seen: boolean[] = [];
  let newest = 0;
  for (const shard of SHARDS.toReversed()) {
    const session = level === "stale" ? { level, minRevision: newest } : { level };
    const { kv, header } = await store.get(`${shard}${number}`, session);
    newest = Math.max(newest, header.revision);
    seen.push(kv !== undefined);
  }
  return { seen };
}

export const sequence: Workload = {
  name: "sequence",
  about: "keys of three shards written one after the other, and read the other way round",
  sdkOnly: true,
  ownCluster: true,
  create: (surroundings) => new SequenceCourse(surroundings),
};
