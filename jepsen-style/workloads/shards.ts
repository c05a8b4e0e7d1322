/**
 * Several shards: puts, deletes, compare-and-set, gets at all levels, ranges and watches over
 * keyspaces that are cut into shards, by range and by hash. Judged as the simulator judges its own
 * clients: key by key for an order, and every range and watch against the writes by revision.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { KvError } from "../../src/protocol/errors.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, valid } from "../checkers/finding.js";
import { checkHistory } from "../sim/judge.js";
import type { History, Operation as SimOperation } from "../sim/load.js";
import { nothingObserved, observeWatch } from "../sim/observe-watch.js";
import { HistoryLog } from "./history-log.js";
import type { Recorded } from "./history-log.js";
import { ifAll, putting, unchanged } from "./store.js";
import type { Store } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

/** As the harness founds them; ranges over a hash keyspace ask all its shards. */
const KEYSPACES = ["spread", "hashed"] as const;
const KEYS = 9;
const LEVELS: readonly ReadLevel[] = ["linearizable", "linearizable", "lease", "follower", "stale"];
const RANGE_LEVELS = ["linearizable", "linearizable", "stale"] as const;

type Kind = SimOperation["kind"];

/** What is asked; the simulator's form is made of it at the end. */
interface Request {
  readonly type: Kind | "range";
  readonly keyspace: string;
  readonly key: string;
  readonly value?: string;
  readonly expected?: number;
  readonly level?: ReadLevel;
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly mod: number;
  readonly version: number;
}

interface Answer {
  readonly revision: number;
  readonly deleted?: number;
  readonly succeeded?: boolean;
  readonly rows?: readonly Row[];
}

class ShardsCourse implements Course {
  readonly #log: HistoryLog<Request, Answer>;
  readonly #watches: History["watches"] = [];
  readonly #known = new Map<string, number>();
  #values = 0;

  constructor({ clock }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ type }) => type === "get" || type === "range");
  }

  get operations(): readonly Recorded[] {
    return this.#log.operations;
  }

  prepare(actor: Actor): Promise<void> {
    for (const keyspace of KEYSPACES) void this.#follow(actor, keyspace);
    return Promise.resolve();
  }

  async step(actor: Actor): Promise<void> {
    const { prng } = actor;
    const keyspace = KEYSPACES[prng.between(0, 1)]!;
    const key = `k${prng.between(0, KEYS - 1)}`;
    const draw = prng.between(0, 99);
    if (draw < 35) return this.#ask(actor, this.#put(keyspace, key));
    if (draw < 43) return this.#ask(actor, { type: "delete", keyspace, key });
    if (draw < 58) return this.#ask(actor, this.#compareAndSet(keyspace, key));
    const isRange = draw >= 85;
    const levels = isRange ? RANGE_LEVELS : LEVELS;
    const level = levels[prng.between(0, levels.length - 1)]!;
    return this.#ask(actor, { type: isRange ? "range" : "get", keyspace, key, level });
  }

  async finish(actor: Actor): Promise<void> {
    for (const keyspace of KEYSPACES) {
      const request: Request = { type: "range", keyspace, key: "", level: "linearizable" };
      await this.#log.must(actor, request, () => execute(actor.store, request));
    }
  }

  judge(): readonly Finding[] {
    const name = "shards: order, ranges and watches";
    const fault = checkHistory(this.#history());
    return [fault === undefined ? valid(name) : invalid(name, `${fault.by}: ${fault.text}`)];
  }

  #put(keyspace: string, key: string): Request {
    return { type: "put", keyspace, key, value: `v${++this.#values}` };
  }

  #compareAndSet(keyspace: string, key: string): Request {
    const expected = this.#known.get(`${keyspace}/${key}`) ?? 0;
    return { type: "cas", keyspace, key, value: `v${++this.#values}`, expected };
  }

  async #ask(actor: Actor, request: Request): Promise<void> {
    const answer = await this.#log.run(actor, request, () => execute(actor.store, request));
    if (answer === undefined || request.type === "range") return;
    const place = `${request.keyspace}/${request.key}`;
    if (request.type === "get") this.#known.set(place, answer.rows?.[0]?.mod ?? 0);
    else if (answer.succeeded !== false) this.#known.set(place, answer.revision);
  }

  /** From the beginning to the end of the run. */
  async #follow({ store }: Actor, keyspace: string): Promise<void> {
    const seen = nothingObserved(keyspace, 1);
    this.#watches.push(seen);
    const options = { key: "", prefix: true, startRevision: 1, progress: true };
    try {
      const fanOut = keyspace === "hashed";
      await observeWatch(store.keyspace(keyspace).watch({ ...options, fanOut }), seen);
    } catch (error) {
      // What it has shown up to then counts.
      if (!(error instanceof KvError)) throw error;
    }
  }

  #history(): History {
    const operations: SimOperation[] = [];
    const ranges: History["ranges"] = [];
    for (const entry of this.#log.operations) {
      const { request } = entry;
      if (request.type !== "range") operations.push(simOperation(entry));
      else if (entry.kind === "ok") {
        const { keyspace, level = "linearizable" } = request;
        const { revision, rows = [] } = entry.answer;
        ranges.push({ keyspace, level, callMs: entry.calledAt, revision, rows });
      }
    }
    return { operations, ranges, watches: this.#watches, leases: [] };
  }
}

function simOperation(entry: HistoryLog<Request, Answer>["operations"][number]): SimOperation {
  const { request, calledAt, process, kind } = entry;
  const { type, keyspace, key, value = "", expected = 0, level = "linearizable" } = request;
  const answer = entry.kind === "ok" ? entry.answer : { revision: 0 };
  const { revision, deleted = 0, succeeded = false, rows = [] } = answer;
  const returnMs = entry.kind === "info" ? Infinity : entry.completedAt;
  const asked = { client: process, keyspace, key, callMs: calledAt };
  const common = { ...asked, returnMs, outcome: kind, revision };
  switch (type) {
    case "put":
      return { ...common, kind: "put", value };
    case "delete":
      return { ...common, kind: "delete", deleted };
    case "cas":
      return { ...common, kind: "cas", value, expected, succeeded };
    case "get":
    case "range": {
      const row = rows[0];
      const numbers = { modRevision: row?.mod ?? 0, version: row?.version ?? 0 };
      return { ...common, kind: "get", level, value: row?.value, ...numbers };
    }
  }
}

async function execute(store: Store, request: Request): Promise<Answer> {
  const { keyspace, key, value = "", expected = 0, level } = request;
  const view = store.keyspace(keyspace);
  switch (request.type) {
    case "put":
      return { revision: (await view.put(key, value)).header.revision };
    case "delete": {
      const { header, deleted } = await view.delete(key);
      return { revision: header.revision, deleted };
    }
    case "cas": {
      const answer = await view.txn(ifAll([unchanged(key, expected)], [putting(key, value)]));
      return { revision: answer.header.revision, succeeded: answer.succeeded };
    }
    case "get": {
      const { header, kv } = await view.get(key, { level });
      return { revision: header.revision, rows: kv === undefined ? [] : [rowOf(kv)] };
    }
    case "range": {
      const fanOut = keyspace === "hashed";
      const { header, kvs } = await view.range({ key: "", prefix: true, level, fanOut });
      return { revision: header.revision, rows: kvs.map(rowOf) };
    }
  }
}

function rowOf(kv: {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly modRevision: number;
  readonly version: number;
}): Row {
  const { modRevision: mod, version } = kv;
  return { key: utf8Text(kv.key), value: utf8Text(kv.value), mod, version };
}

export const shards: Workload = {
  name: "shards",
  about: "keys of several shards, by range and by hash: order, ranges and watches at revisions",
  sdkOnly: true,
  ownCluster: true,
  create: (surroundings) => new ShardsCourse(surroundings),
};
