/**
 * A bank: transfers between accounts in one shard, by transactions that hold only while neither
 * account has changed; all accounts read at once, at every level. No reader sees money made or
 * lost.
 */
import { utf8Text } from "../../src/base/bytes.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { checkBank } from "../checkers/bank.js";
import type { BankAnswer, BankRequest } from "../checkers/bank.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, reading, unchanged } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const ACCOUNTS = 6;
const BALANCE = 100;
const LEVELS: readonly ReadLevel[] = ["linearizable", "lease", "follower", "stale"];

class BankCourse implements Course {
  readonly #log: HistoryLog<BankRequest, BankAnswer>;
  readonly #prefix: string;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "read");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<BankRequest, BankAnswer>[] {
    return this.#log.operations;
  }

  async prepare(actor: Actor): Promise<void> {
    const puts = this.#accounts().map((account) => putting(account, String(BALANCE)));
    await this.#log.must(actor, { type: "open", total: ACCOUNTS * BALANCE }, async () => {
      await actor.store.txn(ifAll([], puts));
      return { type: "open" };
    });
  }

  async step(actor: Actor): Promise<void> {
    if (actor.prng.chance(0.5)) await this.#transfer(actor);
    else await this.#read(actor, LEVELS[actor.prng.between(0, LEVELS.length - 1)]!);
  }

  async finish(actor: Actor): Promise<void> {
    const request: BankRequest = { type: "read", level: "linearizable" };
    await this.#log.must(actor, request, () => this.#balances(actor, "linearizable"));
  }

  judge(): readonly Finding[] {
    return [checkBank(this.#log.operations)];
  }

  #accounts(): readonly string[] {
    return Array.from({ length: ACCOUNTS }, (_, at) => `${this.#prefix}a${at}`);
  }

  async #transfer(actor: Actor): Promise<void> {
    const from = actor.prng.between(0, ACCOUNTS - 1);
    const to = (from + actor.prng.between(1, ACCOUNTS - 1)) % ACCOUNTS;
    const amount = actor.prng.between(1, 20);
    const keys = [from, to].map((at) => this.#accounts()[at]!);
    const request: BankRequest = { type: "transfer", from, to, amount };
    await this.#log.run(actor, request, async () => {
      const { results } = await actor.store.txn(ifAll([], keys.map(reading)));
      const rows = results.map((result) => (result.kind === "range" ? result.kvs[0] : undefined));
      const [payer = 0, payee = 0] = rows.map((kv) => Number(utf8Text(kv!.value)));
      if (payer < amount) return { type: "transfer", done: false };
      const compares = keys.map((key, at) => unchanged(key, rows[at]!.modRevision));
      const puts = [payer - amount, payee + amount].map((sum, at) => putting(keys[at]!, `${sum}`));
      const { succeeded } = await actor.store.txn(ifAll(compares, puts));
      return { type: "transfer", done: succeeded };
    });
  }

  async #read(actor: Actor, level: ReadLevel): Promise<void> {
    await this.#log.run(actor, { type: "read", level }, () => this.#balances(actor, level));
  }

  async #balances(actor: Actor, level: ReadLevel): Promise<BankAnswer> {
    const { kvs } = await actor.store.range({ key: `${this.#prefix}a`, prefix: true, level });
    return { type: "read", balances: kvs.map(({ value }) => Number(utf8Text(value))) };
  }
}

export const bank: Workload = {
  name: "bank",
  about: "transfers between accounts of one shard: the sum stays, at every level of reads",
  create: (surroundings) => new BankCourse(surroundings),
};
