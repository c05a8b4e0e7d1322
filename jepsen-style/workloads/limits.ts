/**
 * Transactions near the limits: as many operations as one may have, with and without as many
 * compares, of a few bytes or of nearly as many as one request may have; and some beyond, which are
 * refused. Each writes its number to all keys of a group; readers look at the group by a range, by
 * a transaction of as many reads, or at an older revision, and find it whole.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { REQUEST_SIZE_BYTES_MAX, TRANSACTION_OPERATIONS_MAX } from "../../src/base/limits.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { checkGroups } from "../checkers/whole-groups.js";
import type {
  Beyond,
  GroupAnswer,
  GroupPart,
  GroupRead,
  GroupRequest,
  GroupWrite,
} from "../checkers/whole-groups.js";
import { HistoryLog, NotServed, refusalOf } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, reading, unchanged } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

/** How many keys each group has. */
const GROUPS: readonly number[] = [TRANSACTION_OPERATIONS_MAX, TRANSACTION_OPERATIONS_MAX, 16, 2];
const NEARLY_TOO_LARGE = 0.06;
const BEYOND: readonly Beyond[] = ["tooManyOperations", "requestTooLarge"];
const REFUSED = 0.08;
const CONDITIONAL = 0.3;
/** More than what key, compare and framing of one operation take. */
const OPERATION_BYTES = 512;
const SMALL_BYTES_MAX = 200;
/** How far the size stays below the limit at most, and goes beyond it. */
const BELOW_BYTES_MAX = 4096;
const ABOVE_BYTES_MAX: number = 256 * 1024;
const REVISIONS_BACK_MAX = 30;

class LimitsCourse implements Course {
  readonly #log: HistoryLog<GroupRequest, GroupAnswer>;
  readonly #prefix: string;
  /** By group: the last revision of it that somebody heard of. */
  readonly #known: number[] = GROUPS.map(() => 0);
  #begun = 0;
  #newest = 0;
  #numbers = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<GroupRequest, GroupAnswer>[] {
    return this.#log.operations;
  }

  /** Before that revision there may be none to be read. */
  async prepare(actor: Actor): Promise<void> {
    const request = this.#drawWrite(actor, "none");
    const answer = await this.#log.must(actor, request, () => this.#write(actor, request));
    this.#begun = answer.revision;
    this.#note(request.group, answer);
  }

  async step(actor: Actor): Promise<void> {
    if (actor.prng.chance(0.5)) {
      const request = this.#drawRead(actor);
      const answer = await this.#log.run(actor, request, () => this.#read(actor, request));
      if (answer !== undefined) this.#note(request.group, answer);
      return;
    }
    const isBeyond = actor.prng.chance(REFUSED);
    const beyond = isBeyond ? BEYOND[actor.prng.between(0, BEYOND.length - 1)]! : "none";
    const request = this.#drawWrite(actor, beyond);
    const answer = await this.#log.run(actor, request, () => this.#write(actor, request));
    if (answer !== undefined) this.#note(request.group, answer);
  }

  /** All groups are whole, and what is beyond a limit is refused by who serves. */
  async finish(actor: Actor): Promise<void> {
    for (const beyond of BEYOND) await this.#mustRefuse(actor, beyond);
    for (const group of GROUPS.keys()) {
      const request: GroupRead = { type: "read", group, revision: 0, how: "range" };
      await this.#log.must(actor, request, () => this.#read(actor, request));
    }
  }

  judge(): readonly Finding[] {
    return checkGroups(this.#log.operations);
  }

  async #mustRefuse(actor: Actor, beyond: Beyond): Promise<void> {
    const request = this.#drawWrite(actor, beyond);
    try {
      await this.#log.ask(actor, request, () => this.#write(actor, request));
    } catch (error) {
      const { code } = refusalOf(error);
      if (code !== beyond) throw new NotServed(`refused as ${code}, not as ${beyond}`);
    }
  }

  #drawWrite({ prng }: Actor, beyond: Beyond): GroupWrite {
    const group = prng.between(0, GROUPS.length - 1);
    const tooMany = beyond === "tooManyOperations";
    const operations = tooMany ? TRANSACTION_OPERATIONS_MAX + 1 : GROUPS[group]!;
    const number = ++this.#numbers;
    const isConditional = beyond === "none" && prng.chance(CONDITIONAL);
    const onRevision = isConditional ? this.#known[group]! : undefined;
    const bytes = this.#drawBytes(prng, operations, beyond);
    return { type: "write", group, number, beyond, operations, bytes, onRevision };
  }

  #drawBytes(prng: Actor["prng"], operations: number, beyond: Beyond): number {
    if (beyond === "requestTooLarge") {
      return REQUEST_SIZE_BYTES_MAX + prng.between(1, ABOVE_BYTES_MAX);
    }
    const isNear = beyond === "none" && prng.chance(NEARLY_TOO_LARGE);
    if (!isNear) return operations * prng.between(32, SMALL_BYTES_MAX);
    const most = REQUEST_SIZE_BYTES_MAX - operations * OPERATION_BYTES;
    return most - prng.between(0, BELOW_BYTES_MAX);
  }

  #drawRead({ prng }: Actor): GroupRead {
    const group = prng.between(0, GROUPS.length - 1);
    const isPast = prng.chance(0.3);
    const back = this.#newest - prng.between(0, REVISIONS_BACK_MAX);
    const revision = isPast ? Math.max(this.#begun, back) : 0;
    const how = !isPast && prng.chance(0.4) ? "transaction" : "range";
    return { type: "read", group, revision, how };
  }

  async #write(
    actor: Actor,
    request: GroupWrite,
  ): Promise<Extract<GroupAnswer, { readonly type: "write" }>> {
    const { group, number, operations, bytes, onRevision } = request;
    const each = Math.floor(bytes / operations);
    const puts = Array.from({ length: operations }, (_, at) => {
      const length = at === 0 ? bytes - each * (operations - 1) : each;
      return putting(this.#key(group, at), `${number} ${at} `.padEnd(length, "-"));
    });
    const compares = onRevision === undefined ? [] : this.#compares(group, onRevision);
    const { succeeded, header } = await actor.store.txn(ifAll(compares, puts));
    return { type: "write", done: succeeded, revision: header.revision };
  }

  #compares(group: number, revision: number): readonly ReturnType<typeof unchanged>[] {
    return this.#keys(group).map((key) => unchanged(key, revision));
  }

  async #read(actor: Actor, request: GroupRead): Promise<GroupAnswer> {
    const { group, revision, how } = request;
    if (how === "transaction") {
      const { header, results } = await actor.store.txn(ifAll([], this.#keys(group).map(reading)), {
        level: "linearizable",
      });
      const kvs = results.flatMap((result) => (result.kind === "range" ? result.kvs : []));
      return { type: "read", revision: header.revision, parts: partsOf(kvs) };
    }
    const range = { key: this.#key(group, ""), prefix: true, revision };
    const { header, kvs } = await actor.store.range(range);
    const shown = revision > 0 ? revision : header.revision;
    return { type: "read", revision: shown, parts: partsOf(kvs) };
  }

  #note(group: number, answer: GroupAnswer): void {
    this.#newest = Math.max(this.#newest, answer.revision);
    const known =
      answer.type === "read" ? answer.parts[0]?.modRevision : answer.done && answer.revision;
    this.#known[group] = Math.max(this.#known[group]!, Number(known ?? 0));
  }

  #keys(group: number): readonly string[] {
    return Array.from({ length: GROUPS[group]! }, (_, at) => this.#key(group, at));
  }

  #key(group: number, at: number | string): string {
    return `${this.#prefix}g${group}/${at}`;
  }
}

/** Rows that carry the same number and revision, together. */
function partsOf(kvs: readonly KeyValue[]): readonly GroupPart[] {
  const parts = new Map<string, GroupPart>();
  for (const { value, modRevision } of kvs) {
    const number = Number.parseInt(utf8Text(value.subarray(0, 16)), 10);
    const name = `${number} ${modRevision}`;
    const { keys, bytes } = parts.get(name) ?? { keys: 0, bytes: 0 };
    parts.set(name, { number, modRevision, keys: keys + 1, bytes: bytes + value.length });
  }
  return [...parts.values()];
}

export const limits: Workload = {
  name: "limits",
  about: "transactions as large as they may be, seen whole or not at all; beyond that, refused",
  fillsLogs: true,
  create: (surroundings) => new LimitsCourse(surroundings),
};
