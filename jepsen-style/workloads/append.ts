/**
 * Lists that transactions append to and read, several keys at a time, in one shard. A transaction
 * reads its keys as one, at any level that promises the newest, makes the new lists, and writes
 * them if no key has changed since; if one has, nothing happened. Every element is appended once.
 */
import { utf8Text } from "../../src/base/bytes.js";
import { must } from "../../src/base/assert.js";
import { checkListAppend } from "../checkers/list-append.js";
import type { AppendAnswer, AppendRequest, MicroOperation } from "../checkers/list-append.js";
import type { Finding } from "../checkers/finding.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { HistoryLog } from "./history-log.js";
import type { Entry } from "./history-log.js";
import { ifAll, putting, reading, someNewest, unchanged } from "./store.js";
import type { Store } from "./store.js";
import type { Actor, Course, Surroundings, Workload } from "./workload.js";

const KEYS = 3;
const LENGTH_MAX = 4;
/** Then a key makes room for a new one: lists stay short. */
const APPENDS_A_KEY = 60;

interface Read {
  readonly elements: readonly number[];
  readonly modRevision: number;
}

class AppendCourse implements Course {
  readonly #log: HistoryLog<AppendRequest, AppendAnswer>;
  readonly #prefix: string;
  #elements = 0;

  constructor({ clock, prefix }: Surroundings) {
    this.#log = new HistoryLog(clock, ({ steps }) => steps.every(({ type }) => type === "read"));
    this.#prefix = prefix;
  }

  get operations(): readonly Entry<AppendRequest, AppendAnswer>[] {
    return this.#log.operations;
  }

  async step(actor: Actor): Promise<void> {
    const request: AppendRequest = {
      type: "txn",
      steps: this.#draw(actor),
      level: someNewest(actor.prng),
    };
    await this.#log.run(actor, request, () => execute(actor.store, request));
  }

  async finish(actor: Actor): Promise<void> {
    const newest = Math.floor(this.#elements / APPENDS_A_KEY);
    const keys = Array.from({ length: KEYS }, (_, at) => this.#key(Math.max(0, newest - at)));
    const steps = [...new Set(keys)].map((key): MicroOperation => ({ type: "read", key }));
    const request: AppendRequest = { type: "txn", steps };
    await this.#log.must(actor, request, () => execute(actor.store, request));
  }

  judge(): readonly Finding[] {
    return checkListAppend(this.#log.operations);
  }

  #draw({ prng }: Actor): readonly MicroOperation[] {
    const count = prng.between(1, LENGTH_MAX);
    const newest = Math.floor(this.#elements / APPENDS_A_KEY);
    return Array.from({ length: count }, (): MicroOperation => {
      const key = this.#key(Math.max(0, newest - prng.between(0, KEYS - 1)));
      if (prng.chance(0.5)) return { type: "read", key };
      return { type: "append", key, element: ++this.#elements };
    });
  }

  #key(number: number): string {
    return `${this.#prefix}l${number}`;
  }
}

async function execute(store: Store, { steps, level }: AppendRequest): Promise<AppendAnswer> {
  const keys = [...new Set(steps.map(({ key }) => key))];
  const before = await readAll(store, keys, level);
  const now = new Map(keys.map((key) => [key, [...before.get(key)!.elements]]));
  const written = new Set<string>();
  const reads: (readonly number[])[] = [];
  for (const step of steps) {
    const list = must(now.get(step.key));
    if (step.type === "read") reads.push([...list]);
    else {
      list.push(step.element);
      written.add(step.key);
    }
  }
  if (written.size === 0) return { reads };
  const compares = keys.map((key) => unchanged(key, before.get(key)!.modRevision));
  const puts = [...written].map((key) => putting(key, now.get(key)!.join(" ")));
  const { succeeded } = await store.txn(ifAll(compares, puts));
  if (!succeeded) throw notApplied("invalidArgument", "a key has changed meanwhile");
  return { reads };
}

async function readAll(
  store: Store,
  keys: readonly string[],
  level: ReadLevel | undefined,
): Promise<ReadonlyMap<string, Read>> {
  const { results } = await store.txn(ifAll([], keys.map(reading)), { level });
  return new Map(
    keys.map((key, at): [string, Read] => {
      const result = results[at];
      const kv = result?.kind === "range" ? result.kvs[0] : undefined;
      if (kv === undefined) return [key, { elements: [], modRevision: 0 }];
      const elements = utf8Text(kv.value).split(" ").map(Number);
      return [key, { elements, modRevision: kv.modRevision }];
    }),
  );
}

export const append: Workload = {
  name: "append",
  about: "transactions that append to lists and read them; cycles of dependencies are looked for",
  create: (surroundings) => new AppendCourse(surroundings),
};
