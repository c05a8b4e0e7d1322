/**
 * A lock by lease, with fencing: the revision at which a client took the lock is its token, and the
 * store takes a write to what the lock guards only while the lock has that token. A client that
 * lost its lease without knowing, however long it was held up, writes nothing any more.
 */
import { must } from "../../src/base/assert.js";
import type { Finding } from "../checkers/finding.js";
import { checkFencing } from "../checkers/fencing.js";
import type { LockAnswer, LockRequest } from "../checkers/fencing.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, unchanged } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const TTL_SECONDS = 2;
const WRITES_MAX = 4;
const PAUSE_MS = [0, 300] as const;
/** Now and then a client stands still for longer than its lease, as in a long collection. */
const HELD_UP = 0.1;
const HELD_UP_MS = [TTL_SECONDS * 1000, TTL_SECONDS * 2500] as const;

class LockCourse implements Course {
  readonly #log: HistoryLog<LockRequest, LockAnswer>;
  readonly #prefix: string;
  #values = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, () => false);
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<LockRequest, LockAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const id = await this.#granted(actor);
    if (id === undefined) return;
    const token = await this.#acquire(actor, id);
    if (token === undefined) return;
    const writes = actor.prng.between(1, WRITES_MAX);
    for (let i = 0; i < writes; i++) {
      const heldUp = actor.prng.chance(HELD_UP);
      await actor.pause(actor.prng.between(...(heldUp ? HELD_UP_MS : PAUSE_MS)));
      await this.#write(actor, token);
    }
    await this.#release(actor, id);
  }

  judge(): readonly Finding[] {
    return [checkFencing(this.#log.operations)];
  }

  async #granted(actor: Actor): Promise<bigint | undefined> {
    const leases = must(actor.store.leases, "leases");
    let id: bigint | undefined;
    await this.#log.run(actor, { type: "grant" }, async () => {
      const answer = await leases.grant(TTL_SECONDS);
      id = answer.id;
      return { type: "grant", revision: answer.header.revision };
    });
    return id;
  }

  /** Its token, where nobody else has the lock. */
  async #acquire(actor: Actor, id: bigint): Promise<number | undefined> {
    const name = `${actor.process}`;
    const put = putting(this.#lock, name);
    const taking = put.kind === "put" ? { ...put, lease: id } : put;
    const answer = await this.#log.run(actor, { type: "acquire" }, async () => {
      const transaction = ifAll([unchanged(this.#lock, 0)], [taking]);
      const { succeeded, header } = await actor.store.txn(transaction);
      return { type: "acquire", done: succeeded, revision: header.revision };
    });
    return answer?.type === "acquire" && answer.done ? answer.revision : undefined;
  }

  async #write(actor: Actor, token: number): Promise<void> {
    const value = ++this.#values;
    await this.#log.run(actor, { type: "write", token, value }, async () => {
      const put = putting(`${this.#prefix}guarded`, `${token} ${value}`);
      const transaction = ifAll([unchanged(this.#lock, token)], [put]);
      const { succeeded, header } = await actor.store.txn(transaction);
      return { type: "write", done: succeeded, revision: header.revision };
    });
  }

  /** Revoking the lease takes the lock with it; where that fails, time does. */
  async #release(actor: Actor, id: bigint): Promise<void> {
    const leases = must(actor.store.leases, "leases");
    await this.#log.run(actor, { type: "release" }, async () => {
      const { header } = await leases.revoke(id);
      return { type: "release", revision: header.revision };
    });
  }

  get #lock(): string {
    return `${this.#prefix}lock`;
  }
}

export const lock: Workload = {
  name: "lock",
  about: "a lock by lease with fencing tokens: no write of one that lost it gets through",
  create: (surroundings) => new LockCourse(surroundings),
};
