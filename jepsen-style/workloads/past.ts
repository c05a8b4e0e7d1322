/**
 * Reads of the past, while history is written and forgotten: ranges and scans page by page at
 * revisions up to a hundred behind, and compactions some way behind. What was compacted away is
 * refused, what was not is not; that what is shown is exact the nodes' logs say (exact-reads.ts).
 */
import { KvError } from "../../src/protocol/errors.js";
import { utf8Text } from "../../src/base/bytes.js";
import type { Finding } from "../checkers/finding.js";
import { checkPast } from "../checkers/past.js";
import type { PastAnswer, PastRequest } from "../checkers/past.js";
import { HistoryLog } from "./history-log.js";
import type { Recorded } from "./history-log.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";
import { Writer } from "./writer.js";

const KEYS = 12;
const BEHIND_MAX = 100;
const KEPT_REVISIONS = 60;
const PAGE = 3;

class PastCourse implements Course {
  readonly #log: HistoryLog<PastRequest, PastAnswer>;
  readonly #writer: Writer;
  readonly #prefix: string;

  constructor({ clock, prefix }: Surroundings) {
    this.#prefix = prefix;
    this.#log = new HistoryLog(clock, () => true);
    const keys = Array.from({ length: KEYS }, (_, at) => `${prefix}${at}`);
    this.#writer = new Writer(clock, keys);
  }

  get operations(): readonly Recorded[] {
    return [...this.#writer.log.operations, ...this.#log.operations];
  }

  async step(actor: Actor): Promise<void> {
    const { prng } = actor;
    const draw = prng.between(0, 99);
    if (draw < 45) return this.#writer.step(actor);
    const back = draw < 50 ? KEPT_REVISIONS : prng.between(0, BEHIND_MAX);
    const revision = this.#writer.newest - back;
    if (revision < 2) return;
    if (draw < 50) await this.#ask(actor, { type: "compact", revision });
    else await this.#ask(actor, { type: draw < 75 ? "range" : "pages", revision });
  }

  async finish(actor: Actor): Promise<void> {
    await this.#writer.must(actor);
  }

  judge(): readonly Finding[] {
    return [checkPast(this.#log.operations)];
  }

  /** A refusal for a compaction is an answer, too. */
  async #ask(actor: Actor, request: PastRequest): Promise<void> {
    await this.#log.run(actor, request, async () => {
      try {
        return await this.#execute(actor, request);
      } catch (error) {
        if (!(error instanceof KvError) || error.code !== "compacted") throw error;
        return { compacted: error.details.bound ?? 0, rows: 0 };
      }
    });
  }

  async #execute({ store }: Actor, { type, revision }: PastRequest): Promise<PastAnswer> {
    if (type === "compact") {
      await store.compact(revision);
      return { compacted: undefined, rows: 0 };
    }
    const key = this.#prefix;
    if (type === "range") {
      const { kvs } = await store.range({ key, prefix: true, revision });
      return { compacted: undefined, rows: kvs.length };
    }
    const rangeEnd = `${key}~`;
    let from = key;
    let rows = 0;
    for (;;) {
      const { kvs, more } = await store.range({ key: from, rangeEnd, revision, limit: PAGE });
      rows += kvs.length;
      const last = kvs.at(-1);
      if (!more || last === undefined) return { compacted: undefined, rows };
      from = `${utf8Text(last.key)}\0`;
    }
  }
}

export const past: Workload = {
  name: "past",
  about: "ranges and pages at past revisions, and compactions: exact, or refused",
  provenByLogs: true,
  create: (surroundings) => new PastCourse(surroundings),
};
