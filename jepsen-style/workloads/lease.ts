/**
 * Leases: each client is granted one, attaches a key, renews it for a while, and lets it go or
 * revokes it, again and again, as the simulator's client does (lease-holder.ts). A key is there
 * until the time of its last answered renewal is over, and then not for ever.
 */
import { must } from "../../src/base/assert.js";
import type { Headed, Leases } from "../../src/client/client-types.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, valid } from "../checkers/finding.js";
import { LeaseHolder } from "../sim/lease-holder.js";
import type { HolderParts } from "../sim/lease-holder.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

interface Request {
  readonly type: "grant" | "renew" | "revoke" | "left" | "put" | "get";
  readonly key?: string;
  readonly lease?: string;
}

interface Answer {
  readonly revision: number;
}

class LeaseCourse implements Course {
  readonly #log: HistoryLog<Request, Answer>;
  readonly #clock: Surroundings["clock"];
  readonly #prefix: string;
  readonly #holders: LeaseHolder[] = [];

  constructor({ clock, prefix }: Surroundings) {
    this.#clock = clock;
    this.#prefix = prefix;
    this.#log = new HistoryLog(clock, ({ type }) => type === "get" || type === "left");
  }

  get operations(): readonly Entry<Request, Answer>[] {
    return this.#log.operations;
  }

  /** One lease after the other, until the workload is over and the last one is gone. */
  async step(actor: Actor): Promise<void> {
    const holder = new LeaseHolder({
      client: this.#recorded(actor),
      name: `${this.#prefix}${actor.number}`,
      prng: actor.prng.split(),
      nowMs: () => this.#clock.monotonicMs(),
      pause: (ms) => actor.pause(ms),
      isStopping: () => !actor.working(),
    });
    this.#holders.push(holder);
    await holder.run();
  }

  judge(): readonly Finding[] {
    const name = "leases last as long as they have to, and no more";
    const fault = this.#holders.find((holder) => holder.fault !== undefined)?.fault;
    return [fault === undefined ? valid(name) : invalid(name, fault)];
  }

  #recorded(actor: Actor): HolderParts["client"] {
    const { store } = actor;
    const leases = must(store.leases, "leases");
    const ask = async <T extends Headed>(request: Request, run: () => Promise<T>): Promise<T> => {
      let answer: T | undefined;
      await this.#log.ask(actor, request, async () => {
        answer = await run();
        return { revision: answer.header.revision };
      });
      return must(answer);
    };
    const recorded: Leases = {
      grant: (ttlSeconds, id) => ask({ type: "grant" }, () => leases.grant(ttlSeconds, id)),
      revoke: (id) => ask({ type: "revoke", lease: textOf(id) }, () => leases.revoke(id)),
      keepAlive: (id) => ask({ type: "renew", lease: textOf(id) }, () => leases.keepAlive(id)),
      timeToLive: (id, options) =>
        ask({ type: "left", lease: textOf(id) }, () => leases.timeToLive(id, options)),
      list: () => leases.list(),
    };
    return {
      leases: recorded,
      put: (key, value, options) =>
        ask({ type: "put", key: String(key) }, () => store.put(key, value, options)),
      get: (key, options) => ask({ type: "get", key: String(key) }, () => store.get(key, options)),
    };
  }
}

function textOf(id: bigint): string {
  return id.toString(16);
}

export const lease: Workload = {
  name: "lease",
  about: "keys of leases: there until the last answered renewal is over, and then gone",
  create: (surroundings) => new LeaseCourse(surroundings),
};
