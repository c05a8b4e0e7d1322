/**
 * An election by the product's recipe: clients campaign for one name, proclaim, write what only a
 * leader may, resign, revoke their lease, or stand still until it has run out; others look who
 * leads, and observe. A leader's writes hold only while his place in line is the one he was elected
 * for. By etcd's API the recipe is the same, over its transactions, watches and leases.
 */
import { must } from "../../src/base/assert.js";
import { utf8Text } from "../../src/base/bytes.js";
import { campaign, leaderOf, LeaderWatch, proclaim, resign } from "../../src/client/index.js";
import type { Elected, KeyValue, Leadership } from "../../src/client/index.js";
import { createdAt } from "../../src/client/waiting-line.js";
import { checkElections } from "../checkers/elections.js";
import type { ElectionAnswer, ElectionRequest, Seen } from "../checkers/elections.js";
import type { Finding } from "../checkers/finding.js";
import { HistoryLog, refusalOf } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const TTL_SECONDS = 2;
const RENEWAL_MS = 500;
const PATIENCE_MS = [500, 5000] as const;
const DEEDS_MAX = 5;
const PAUSE_MS = [0, 200] as const;
/** Now and then a leader stands still for longer than his lease, as in a long collection. */
const HELD_UP = 0.1;
const HELD_UP_MS = [TTL_SECONDS * 1000, TTL_SECONDS * 2000] as const;
const OBSERVATION_MS = [200, 2500] as const;

class ElectionCourse implements Course {
  readonly #log: HistoryLog<ElectionRequest, ElectionAnswer>;
  readonly #name: string;
  readonly #prefix: string;
  #values = 0;

  constructor({ clock, prefix }: Surroundings) {
    const isRead = ({ type }: ElectionRequest): boolean => type === "look" || type === "observe";
    this.#log = new HistoryLog(clock, isRead);
    this.#prefix = prefix;
    this.#name = `${prefix}seat`;
  }

  get operations(): readonly Entry<ElectionRequest, ElectionAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const draw = actor.prng.between(0, 99);
    if (draw < 35) await this.#log.run(actor, { type: "look" }, () => this.#look(actor));
    else if (draw < 50) await this.#log.run(actor, { type: "observe" }, () => this.#observe(actor));
    else await this.#stand(actor);
  }

  async finish(actor: Actor): Promise<void> {
    await this.#log.must(actor, { type: "look" }, () => this.#look(actor));
  }

  judge(): readonly Finding[] {
    return checkElections(this.#log.operations);
  }

  async #look({ store }: Actor): Promise<ElectionAnswer> {
    const { header, kv } = await leaderOf(store, this.#name);
    return { type: "look", seen: [seenOf(header.revision, kv)] };
  }

  /** For a while, or until watching fails: what was seen until then counts. */
  async #observe(actor: Actor): Promise<ElectionAnswer> {
    const watch = new LeaderWatch(actor.store, this.#name);
    const over = actor.pause(actor.prng.between(...OBSERVATION_MS)).then(() => watch.cancel());
    const seen: Seen[] = [];
    try {
      for await (const { header, kv } of watch) seen.push(seenOf(header.revision, kv));
    } catch (error) {
      refusalOf(error);
    }
    await over;
    return { type: "observe", seen };
  }

  /** From being granted a lease to being rid of it, or leaving it to its end. */
  async #stand(actor: Actor): Promise<void> {
    const leases = must(actor.store.leases, "leases");
    let lease: bigint | undefined;
    await this.#log.run(actor, { type: "grant" }, async () => {
      const { id, header } = await leases.grant(TTL_SECONDS);
      lease = id;
      return { type: "grant", revision: header.revision };
    });
    if (lease === undefined) return;
    const candidacy = new Candidacy(actor, lease);
    const keeping = candidacy.keep();
    const elected = await this.#campaign(actor, lease, candidacy.signal);
    if (elected !== undefined) await this.#lead(actor, elected, candidacy);
    candidacy.end();
    await keeping;
  }

  async #campaign(actor: Actor, lease: bigint, signal: AbortSignal): Promise<Elected | undefined> {
    const value = `v${++this.#values}`;
    let elected: Elected | undefined;
    await this.#log.run(actor, { type: "campaign", value }, async () => {
      elected = await campaign(actor.store, { name: this.#name, lease, value, signal });
      const { header, createRevision } = elected;
      return { type: "campaign", revision: header.revision, term: createRevision };
    });
    return elected;
  }

  async #lead(actor: Actor, leadership: Leadership, candidacy: Candidacy): Promise<void> {
    const { prng } = actor;
    const deeds = prng.between(0, DEEDS_MAX);
    for (let i = 0; i < deeds && actor.working(); i++) {
      const isHeldUp = prng.chance(HELD_UP);
      if (isHeldUp) candidacy.end();
      await actor.pause(prng.between(...(isHeldUp ? HELD_UP_MS : PAUSE_MS)));
      // Who stood still writes on, as if he led: that must not hold.
      if (!isHeldUp && prng.chance(0.5)) await this.#proclaim(actor, leadership);
      else await this.#write(actor, leadership);
    }
    // Some leave it to time.
    if (prng.chance(0.8)) await this.#resign(actor, leadership);
  }

  async #proclaim(actor: Actor, leadership: Leadership): Promise<void> {
    const value = `v${++this.#values}`;
    const request = { type: "proclaim", term: leadership.createRevision, value } as const;
    await this.#log.run(actor, request, async () => {
      const { header, isLeader } = await proclaim(actor.store, leadership, value);
      return { type: "proclaim", revision: header.revision, done: isLeader };
    });
  }

  async #write(actor: Actor, leadership: Leadership): Promise<void> {
    const value = `v${++this.#values}`;
    const request = { type: "write", term: leadership.createRevision, value } as const;
    await this.#log.run(actor, request, async () => {
      const put = putting(`${this.#prefix}guarded`, value);
      const transaction = ifAll([createdAt(leadership)], [put]);
      const { header, succeeded } = await actor.store.txn(transaction);
      return { type: "write", revision: header.revision, done: succeeded };
    });
  }

  async #resign(actor: Actor, leadership: Leadership): Promise<void> {
    const request = { type: "resign", term: leadership.createRevision } as const;
    const leases = must(actor.store.leases, "leases");
    const revokes = actor.prng.chance(0.3);
    await this.#log.run(actor, request, async () => {
      const { header } = revokes
        ? await leases.revoke(leadership.lease)
        : await resign(actor.store, leadership);
      return { type: "resign", revision: header.revision };
    });
  }
}

/** Keeps a candidate's lease, and ends his waiting when his patience or the workload is over. */
class Candidacy {
  readonly #actor: Actor;
  readonly #lease: bigint;
  readonly #patience = new AbortController();
  #patienceMs: number;
  #isOver = false;

  constructor(actor: Actor, lease: bigint) {
    this.#actor = actor;
    this.#lease = lease;
    this.#patienceMs = actor.prng.between(...PATIENCE_MS);
  }

  /** Aborted: waits no longer. */
  get signal(): AbortSignal {
    return this.#patience.signal;
  }

  /** The lease is renewed no more. */
  end(): void {
    this.#isOver = true;
  }

  async keep(): Promise<void> {
    const actor = this.#actor;
    const leases = must(actor.store.leases, "leases");
    while (!this.#isOver) {
      await actor.pause(RENEWAL_MS);
      this.#patienceMs -= RENEWAL_MS;
      if (this.#patienceMs < 0 || !actor.working()) this.#patience.abort();
      // One that fails is made good by the next, or the lease ends.
      if (!this.#isOver) await leases.keepAlive(this.#lease).catch(refusalOf);
    }
  }
}

function seenOf(revision: number, kv: KeyValue | undefined): Seen {
  if (kv === undefined) return { revision, leader: undefined };
  const { createRevision, modRevision, value } = kv;
  return { revision, leader: { term: createRevision, value: utf8Text(value), modRevision } };
}

export const election: Workload = {
  name: "election",
  about: "an election by the recipe: one leads at a time, and observers see it in order",
  create: (surroundings) => new ElectionCourse(surroundings),
};
