/**
 * The clients of a simulated cluster: programs of their own, each using the SDK as a user would,
 * one operation after another, and writing down in true time what they asked and what they heard.
 * Every value is written once in a run, so that a read tells which write it saw.
 */
import type { Prng } from "../../src/base/prng.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import type { Client } from "../../src/client/client.js";
import { foundingKeyspaces } from "../../src/node/default-keyspace.js";
import { KvError } from "../../src/protocol/errors.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { putOf } from "../../src/protocol/operations.js";
import type { Transaction } from "../../src/protocol/operations.js";
import { connectProgram } from "./connect.js";
import { LEASE_KEY_PREFIX, LeaseHolder } from "./lease-holder.js";
import type { SimNetwork } from "./network.js";
import { nothingObserved, observeWatch } from "./observe-watch.js";
import type { WatchObservation } from "./observe-watch.js";
import { SimProgram } from "./program.js";
import type { ProgramOwner } from "./program.js";
import { drawProgramSettings, pick } from "./settings.js";
import type { Settings } from "./settings.js";
import type { World } from "./world.js";

export type Outcome = "ok" | "fail" | "info";

interface Asked {
  readonly client: number;
  readonly keyspace: string;
  readonly key: string;
  readonly callMs: number;
}

interface Answered {
  /** Infinity while nothing is known. */
  returnMs: number;
  /** `fail`: it certainly did not happen; `info`: nobody knows. */
  outcome: Outcome;
  /** Of the header: the revision of a write, what a read shows. */
  revision: number;
  error?: string;
}

export type Operation = Asked &
  Answered &
  (
    | { readonly kind: "put"; readonly value: string }
    | { readonly kind: "delete"; deleted: number }
    | {
        /** Writes `value` if the key was last modified at `expected`; 0: if it is not there. */
        readonly kind: "cas";
        readonly value: string;
        readonly expected: number;
        succeeded: boolean;
      }
    | {
        readonly kind: "get";
        readonly level: ReadLevel;
        value: string | undefined;
        modRevision: number;
        version: number;
      }
  );

/** A range over a whole keyspace, at one revision. */
export interface RangeObservation {
  readonly keyspace: string;
  readonly level: ReadLevel;
  readonly callMs: number;
  readonly revision: number;
  readonly rows: readonly { readonly key: string; readonly value: string; readonly mod: number }[];
}

/** What a client saw that lives by leases. */
export interface LeaseObservation {
  /** It broke a rule of leases. */
  readonly fault: string | undefined;
  /** Leases that were seen from beginning to end. */
  readonly completed: number;
}

export interface History {
  readonly leases: LeaseObservation[];
  readonly operations: Operation[];
  readonly ranges: RangeObservation[];
  readonly watches: WatchObservation[];
}

type Draw<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** Of a hundred operations, where the gets begin. */
const FIRST_GET = 62;
/** This part of all clients only reads. */
const READERS = 0.3;

const LEADER_LEVELS: readonly ReadLevel[] = ["linearizable", "lease"];
const RANGE_LEVELS = ["linearizable", "linearizable", "stale"] as const;
const LEVELS: readonly ReadLevel[] = ["linearizable", "linearizable", "lease", "follower"];

export class SimClient implements ProgramOwner {
  readonly number: number;
  readonly #world: World;
  readonly #settings: Settings;
  readonly #prng: Prng;
  readonly #history: History;
  readonly #failed: (name: string, error: unknown) => void;
  readonly #program: SimProgram;
  readonly #network: SimNetwork;
  readonly #keyspaces: readonly string[];
  /** It only reads, from leaders: nothing that waits keeps it from asking one that was cut off. */
  readonly #reads: boolean;
  readonly #levels: readonly ReadLevel[];
  readonly #known: Map<string, number> = new Map();
  #values = 0;
  #holder: LeaseHolder | undefined;
  #stopping = false;
  #finished = false;

  constructor(
    parts: {
      readonly world: World;
      readonly network: SimNetwork;
      readonly settings: Settings;
      readonly prng: Prng;
      readonly history: History;
      readonly failed: (name: string, error: unknown) => void;
    },
    number: number,
  ) {
    const { world, network, settings, prng } = parts;
    this.number = number;
    this.#world = world;
    this.#network = network;
    this.#settings = settings;
    this.#prng = prng;
    this.#reads = prng.chance(READERS);
    this.#levels = this.#reads ? LEADER_LEVELS : LEVELS;
    this.#history = parts.history;
    this.#failed = parts.failed;
    this.#keyspaces = foundingKeyspaces(settings.cluster.keyspaces).map(({ name }) => name);
    this.#program = new SimProgram(world, this, {
      name: `c${number}`,
      machine: `c${number}`,
      prng: prng.split(),
      settings: drawProgramSettings(settings, prng.split()),
    });
  }

  halted(): boolean {
    return false;
  }

  threw(program: SimProgram, error: unknown): void {
    this.#failed(program.name, error);
  }

  /** Each begins with another endpoint: whatever a node says wrongly, somebody asks that node. */
  start(endpoints: readonly string[]): void {
    const program = this.#program;
    const first = this.number % endpoints.length;
    const own = [...endpoints.slice(first), ...endpoints.slice(0, first)];
    this.#world.after(0, "client", program, () => {
      this.#work(own).catch((error: unknown) => program.threw(error));
    });
  }

  /** The end: what is under way is waited for, then every key is written or read once more. */
  finish(): void {
    this.#stopping = true;
  }

  /** Every key has been served after `finish`. */
  get finished(): boolean {
    return this.#finished && (this.#holder === undefined || this.#holder.finished);
  }

  /** Ends it: what is under way stays unknown. */
  kill(): void {
    this.#program.kill();
    this.#network.programEnded(this.#program);
  }

  async #work(endpoints: readonly string[]): Promise<void> {
    const { requestTimeoutMs } = this.#settings.load;
    const options = { endpoints, requestTimeoutMs };
    const pause = (): Promise<void> => this.#pause();
    const client = await connectProgram(this.#program, this.#network, options, pause);
    for (let i = 0; i < this.#settings.load.watchers && this.number === 1; i++) this.#watch(client);
    if (this.number <= this.#settings.load.leaseHolders) this.#holdLeases(client);
    while (!this.#stopping) {
      await this.#pause();
      await this.#operation(client);
    }
    await this.#readAll(client);
    this.#finished = true;
  }

  /** Writes a key of each keyspace and reads every one, each until it is served. */
  async #readAll(client: Client): Promise<void> {
    for (const keyspace of this.#keyspaces) {
      const view = client.keyspace(keyspace);
      const own = `k${this.number % this.#settings.load.keys}`;
      await this.#untilServed(keyspace, own, (asked) => this.#put(view, asked));
      for (let i = 0; i < this.#settings.load.keys; i++) {
        await this.#untilServed(keyspace, `k${i}`, (asked) => this.#get(view, asked));
      }
    }
  }

  async #untilServed(
    keyspace: string,
    key: string,
    run: (asked: Asked & Answered) => Promise<void>,
  ): Promise<void> {
    for (;;) {
      const asked = this.#asked(keyspace, key);
      await run(asked);
      const done = this.#history.operations.findLast(({ client }) => client === this.number);
      if (done?.outcome === "ok") return;
      await this.#pause();
    }
  }

  #asked(keyspace: string, key: string): Asked & Answered {
    return {
      client: this.number,
      keyspace,
      key,
      callMs: this.#world.nowMs,
      returnMs: Number.POSITIVE_INFINITY,
      outcome: "info",
      revision: 0,
    };
  }

  #pause(): Promise<void> {
    const { pauseMsMean } = this.#settings.load;
    return this.#wait(-Math.log(1 - this.#prng.fraction()) * pauseMsMean);
  }

  #wait(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#program.timers.after(forMs, resolve);
    });
  }

  #holdLeases(client: Client): void {
    const holder = new LeaseHolder({
      client,
      name: `c${this.number}`,
      prng: this.#prng.split(),
      nowMs: () => this.#world.nowMs,
      pause: (forMs) => this.#wait(forMs),
      isStopping: () => this.#stopping,
    });
    this.#holder = holder;
    this.#history.leases.push(holder);
    holder.run().catch((error: unknown) => this.#program.threw(error));
  }

  #operation(client: Client): Promise<void> {
    const keyspace = pick(this.#prng, this.#keyspaces);
    // Some keys are hot: what goes wrong shows where clients meet.
    const key = `k${Math.floor(this.#settings.load.keys * this.#prng.fraction() ** 2)}`;
    const view = client.keyspace(keyspace);
    const asked = this.#asked(keyspace, key);
    if (this.#prng.chance(this.#settings.load.compactions)) return this.#compact(view);
    if (this.#prng.chance(this.#settings.load.surveys)) return this.#survey(client);
    const draw = this.#reads ? FIRST_GET : this.#prng.between(0, 99);
    if (draw < 40) return this.#put(view, asked);
    if (draw < 48) return this.#delete(view, asked);
    if (draw < FIRST_GET) return this.#compareAndSet(view, asked);
    if (draw < 94) return this.#get(view, asked);
    return this.#range(view, keyspace);
  }

  #put(view: Client, asked: Asked & Answered): Promise<void> {
    const operation: Draw<"put"> = { ...asked, kind: "put", value: this.#value() };
    return this.#record(operation, async () => {
      const { header } = await view.put(asked.key, operation.value);
      operation.revision = header.revision;
      this.#known.set(knownKey(asked), header.revision);
    });
  }

  #delete(view: Client, asked: Asked & Answered): Promise<void> {
    const operation: Draw<"delete"> = { ...asked, kind: "delete", deleted: 0 };
    return this.#record(operation, async () => {
      const { header, deleted } = await view.delete(asked.key);
      operation.revision = header.revision;
      operation.deleted = deleted;
      if (deleted > 0) this.#known.set(knownKey(asked), 0);
    });
  }

  #compareAndSet(view: Client, asked: Asked & Answered): Promise<void> {
    const expected = this.#known.get(knownKey(asked)) ?? 0;
    const value = this.#value();
    const operation: Draw<"cas"> = { ...asked, kind: "cas", value, expected, succeeded: false };
    return this.#record(operation, async () => {
      const answer = await view.txn(putIfUnchanged(asked.key, expected, value));
      operation.revision = answer.header.revision;
      operation.succeeded = answer.succeeded;
      if (answer.succeeded) this.#known.set(knownKey(asked), answer.header.revision);
      else this.#known.delete(knownKey(asked));
    });
  }

  #get(view: Client, asked: Asked & Answered): Promise<void> {
    const lease = this.#settings.cluster.leaderLeaseMs > 0;
    const level = this.#prng.chance(0.1) ? "stale" : pick(this.#prng, this.#levels);
    const operation: Draw<"get"> = {
      ...asked,
      kind: "get",
      level: level === "lease" && !lease ? "linearizable" : level,
      value: undefined,
      modRevision: 0,
      version: 0,
    };
    return this.#record(operation, async () => {
      const { header, kv } = await view.get(asked.key, { level: operation.level });
      operation.revision = header.revision;
      if (kv !== undefined) {
        operation.value = utf8Text(kv.value);
        operation.modRevision = kv.modRevision;
        operation.version = kv.version;
      }
      this.#known.set(knownKey(asked), kv?.modRevision ?? 0);
    });
  }

  /** A range over several shards, where there are any: what is wrong between two shows there. */
  #survey(client: Client): Promise<void> {
    const made = this.#keyspaces.slice(1);
    const keyspace = made.length === 0 ? "default" : pick(this.#prng, made);
    return this.#range(client.keyspace(keyspace), keyspace);
  }

  async #range(view: Client, keyspace: string): Promise<void> {
    const callMs = this.#world.nowMs;
    const level = pick(this.#prng, RANGE_LEVELS);
    try {
      const { kvs, header } = await view.range({
        key: "",
        prefix: true,
        level,
        fanOut: keyspace === "hashed",
      });
      const rows = kvs
        .map((kv) => ({ key: utf8Text(kv.key), value: utf8Text(kv.value), mod: kv.modRevision }))
        .filter(({ key }) => !key.startsWith(LEASE_KEY_PREFIX));
      this.#history.ranges.push({ keyspace, level, callMs, revision: header.revision, rows });
    } catch (error) {
      refusalOf(error);
    }
  }

  /** Compacts somewhat behind the newest revision. */
  async #compact(view: Client): Promise<void> {
    try {
      const { header } = await view.get("k0");
      const revision = header.revision - this.#prng.between(0, 50);
      if (revision > 1) await view.compact(revision);
    } catch (error) {
      refusalOf(error);
    }
  }

  async #record(operation: Operation, run: () => Promise<void>): Promise<void> {
    this.#history.operations.push(operation);
    try {
      await run();
      operation.outcome = "ok";
    } catch (error) {
      const failure = refusalOf(error);
      operation.outcome = failure.outcome === "notApplied" ? "fail" : "info";
      operation.error = `${failure.code}: ${failure.message}`;
    }
    operation.returnMs = this.#world.nowMs;
  }

  /** Watches a keyspace for ever, from now on or from the beginning. */
  #watch(client: Client): void {
    const keyspace = pick(this.#prng, this.#keyspaces);
    const startRevision = this.#prng.chance(0.5) ? 1 : 0;
    const seen = nothingObserved(keyspace, startRevision);
    this.#history.watches.push(seen);
    this.#follow(client.keyspace(keyspace), seen).catch((error: unknown) => {
      const { code, outcome } = refusalOf(error);
      // A compaction overtook it, which ends a watch and is no fault.
      if (code === "compacted") return;
      // It may come before the keyspace, or find nobody in time.
      if (outcome === "notApplied" && seen.shownTo === 0) this.#watch(client);
      else this.#program.threw(error);
    });
  }

  async #follow(view: Client, seen: WatchObservation): Promise<void> {
    const { keyspace, startRevision } = seen;
    const fanOut = keyspace === "hashed";
    const watch = view.watch({ key: "", prefix: true, startRevision, progress: true, fanOut });
    await observeWatch(watch, seen, (key) => !key.startsWith(LEASE_KEY_PREFIX));
  }

  #value(): string {
    const name = `${this.number}.${++this.#values}`;
    const length = this.#prng.between(name.length, this.#settings.load.valueBytesMax);
    return name.padEnd(length, "-");
  }
}

function putIfUnchanged(key: string, modRevision: number, value: string): Transaction {
  const name = utf8(key);
  const target = { kind: "mod", value: modRevision } as const;
  return {
    compares: [{ key: name, rangeEnd: undefined, result: "equal", target }],
    success: [putOf(name, utf8(value))],
    failure: [],
  };
}

function knownKey(asked: Asked): string {
  return `${asked.keyspace}/${asked.key}`;
}

/** What a client may be told; anything else is a bug. */
function refusalOf(error: unknown): KvError {
  if (error instanceof KvError) return error;
  throw error;
}
