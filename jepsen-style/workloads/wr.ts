/**
 * Registers that transactions read and write, several keys at a time, in one request: first its
 * reads, then its writes, nothing compared. Every value is written once.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { checkReadWrite } from "../checkers/read-write.js";
import type { ReadWriteAnswer, ReadWriteRequest } from "../checkers/read-write.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, reading, someNewest } from "./store.js";
import type { Store } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const KEYS = 4;
const READS_MAX = 3;
const WRITES_MAX = 2;
/** Then all keys make room for new ones. */
const WRITES_A_ROUND = 300;

class WrCourse implements Course {
  readonly #log: HistoryLog<ReadWriteRequest, ReadWriteAnswer>;
  readonly #prefix: string;
  #values = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ writes }) => writes.length === 0);
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<ReadWriteRequest, ReadWriteAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const request = this.#draw(actor);
    await this.#log.run(actor, request, () => execute(actor.store, request));
  }

  async finish(actor: Actor): Promise<void> {
    const reads = Array.from({ length: KEYS }, (_, at) => this.#key(at));
    const request: ReadWriteRequest = { type: "txn", reads, writes: [] };
    await this.#log.must(actor, request, () => execute(actor.store, request));
  }

  judge(): readonly Finding[] {
    return [checkReadWrite(this.#log.operations)];
  }

  #draw({ prng }: Actor): ReadWriteRequest {
    const some = (count: number): readonly string[] => {
      const first = prng.between(0, KEYS - 1);
      return Array.from({ length: count }, (_, at) => this.#key((first + at) % KEYS));
    };
    const reads = some(prng.between(0, READS_MAX));
    const keys = some(prng.between(reads.length === 0 ? 1 : 0, WRITES_MAX));
    const writes = keys.map((key) => ({ key, value: `${++this.#values}` }));
    if (writes.length > 0) return { type: "txn", reads, writes };
    return { type: "txn", reads, writes, level: someNewest(prng) };
  }

  #key(number: number): string {
    return `${this.#prefix}${Math.floor(this.#values / WRITES_A_ROUND)}/${number}`;
  }
}

async function execute(
  store: Store,
  { reads, writes, level }: ReadWriteRequest,
): Promise<ReadWriteAnswer> {
  const puts = writes.map(({ key, value }) => putting(key, value));
  const steps = [...reads.map(reading), ...puts];
  const { header, results } = await store.txn(ifAll([], steps), { level });
  const seen = reads.map((_, at) => {
    const result = results[at];
    const kv = result?.kind === "range" ? result.kvs[0] : undefined;
    if (kv === undefined) return undefined;
    return { value: utf8Text(kv.value), modRevision: kv.modRevision };
  });
  return { revision: header.revision, seen };
}

export const wr: Workload = {
  name: "wr",
  about: "transactions that read and write registers; cycles of dependencies are looked for",
  create: (surroundings) => new WrCourse(surroundings),
};
