/**
 * Registers: put, delete, get and compare-and-set on a few keys at a time, reads at all levels that
 * promise the newest value, revisions and versions checked along. A key is given up after a number
 * of operations, so that what is unknown about it stays judgeable.
 */
import type { GetResponse } from "../../src/client/client-types.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { checkRegisters } from "../checkers/registers-by-revision.js";
import type { Finding } from "../checkers/finding.js";
import type { KeyValueAnswer, KeyValueRequest } from "../history.js";
import { hasEffect } from "../history.js";
import { valueText } from "../value-text.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, someNewest, unchanged } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

export type RegisterRequest = KeyValueRequest & { readonly level?: ReadLevel };
/** `header`: the keyspace's revision as the answer says it. */
export type RegisterAnswer = KeyValueAnswer & { readonly header: number };

const KEYS = 6;
const OPERATIONS_A_KEY = 150;
/** Of the long values; the limit of a request is not much more. */
const LENGTH_MAX = 1_000_000;
const LONG = 0.1;

class RegisterCourse implements Course {
  readonly #log: HistoryLog<RegisterRequest, RegisterAnswer>;
  readonly #prefix: string;
  readonly #uses: number[] = Array.from({ length: KEYS }, () => 0);
  /** Per key: the last modRevision that somebody heard of. */
  readonly #known = new Map<string, number>();
  /** Of some values; 0: none is long. */
  readonly #lengthMax: number;
  #values = 0;

  constructor({ clock, prefix }: Surroundings, lengthMax = 0) {
    this.#lengthMax = lengthMax;
    this.#log = new HistoryLog(clock, ({ type }) => type === "get");
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<RegisterRequest, RegisterAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const slot = actor.prng.between(0, KEYS - 1);
    const key = this.#key(slot, this.#uses[slot]!++);
    const draw = actor.prng.between(0, 99);
    if (draw < 45) await this.#get(actor, key);
    else if (draw < 70) await this.#put(actor, key);
    else if (draw < 94) await this.#compareAndSet(actor, key);
    else await this.#delete(actor, key);
  }

  /** Every key that is in use is read once more: what was acknowledged must be there. */
  async finish(actor: Actor): Promise<void> {
    for (let slot = 0; slot < KEYS; slot++) {
      const key = this.#key(slot, this.#uses[slot]!);
      await this.#log.must(actor, { type: "get", key }, async () =>
        heard(await actor.store.get(key)),
      );
    }
  }

  judge(): readonly Finding[] {
    return checkRegisters(this.#log.operations);
  }

  #key(slot: number, use: number): string {
    return `${this.#prefix}r${slot}.${Math.floor(use / OPERATIONS_A_KEY)}`;
  }

  async #get(actor: Actor, key: string): Promise<void> {
    const level = someNewest(actor.prng);
    const answer = await this.#log.run(actor, { type: "get", key, level }, async () =>
      heard(await actor.store.get(key, { level })),
    );
    if (answer?.type !== "get") return;
    this.#known.set(key, answer.found ? (answer.modRevision ?? 0) : 0);
  }

  async #put(actor: Actor, key: string): Promise<void> {
    const value = this.#value(actor);
    await this.#write(actor, { type: "put", key, value: valueText(value) }, async () => {
      const { revision } = (await actor.store.put(key, value)).header;
      return { type: "put", revision, header: revision };
    });
  }

  async #compareAndSet(actor: Actor, key: string): Promise<void> {
    const value = this.#value(actor);
    const equal = this.#known.get(key) ?? 0;
    const expected = { target: "modRevision", equal } as const;
    const text = valueText(value);
    await this.#write(actor, { type: "compareAndSet", key, expected, value: text }, async () => {
      const transaction = ifAll([unchanged(key, equal)], [putting(key, value)]);
      const { succeeded, header } = await actor.store.txn(transaction);
      const { revision } = header;
      const done = { type: "compareAndSet", succeeded, header: revision } as const;
      return succeeded ? { ...done, revision } : done;
    });
  }

  async #delete(actor: Actor, key: string): Promise<void> {
    await this.#write(actor, { type: "delete", key }, async () => {
      const { deleted, header } = await actor.store.delete(key);
      const { revision } = header;
      const done = { type: "delete", deleted: deleted > 0, header: revision } as const;
      return deleted > 0 ? { ...done, revision } : done;
    });
  }

  async #write(
    actor: Actor,
    request: KeyValueRequest,
    ask: () => Promise<RegisterAnswer>,
  ): Promise<void> {
    const answer = await this.#log.run(actor, request, ask);
    if (answer === undefined || answer.type === "get" || !hasEffect(answer)) return;
    this.#known.set(request.key, answer.type === "delete" ? 0 : (answer.revision ?? 0));
  }

  /** Every value is written once, so that a read tells which write it saw. */
  #value({ prng }: Actor): string {
    const name = `v${++this.#values}`;
    const isLong = this.#lengthMax > 0 && prng.chance(LONG);
    return isLong ? name.padEnd(prng.between(name.length, this.#lengthMax), "-") : name;
  }
}

function heard({ kv, header }: GetResponse): RegisterAnswer {
  if (kv === undefined) return { type: "get", found: false, header: header.revision };
  const { modRevision, version } = kv;
  const value = valueText(kv.value);
  return { type: "get", found: true, value, modRevision, version, header: header.revision };
}

export const register: Workload = {
  name: "register",
  about: "put, delete, get, compare-and-set on keys; linearizable, lease and follower reads",
  create: (surroundings) => new RegisterCourse(surroundings),
};

export const big: Workload = {
  name: "big",
  about: "as register, and a tenth of the values up to a million bytes long",
  fillsLogs: true,
  create: (surroundings) => new RegisterCourse(surroundings, LENGTH_MAX),
};
