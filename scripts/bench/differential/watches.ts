/**
 * Random scripts of watches on one stream a side: creates, cancels and requests for progress
 * between writes and compactions. Compared are the answers to requests, in their order, and of each
 * watch its events, in theirs, and how it ended; how events are gathered into responses is not.
 *
 * A watch of everything tells what the others have to tell, so that each step can wait until all
 * have told it: then nothing depends on how fast a side is.
 */
import fc from "fast-check";
import { must } from "../../../src/base/assert.js";
import { compareBytes, EMPTY_BYTES } from "../../../src/base/bytes.js";
import type { Message } from "../../../src/gateway/message-codec.js";
import { maskedHeader, shown } from "./answers.js";
import { begin, call, revisionOf } from "./beginning.js";
import { laterAnswer } from "./expectations.js";
import { bound, compaction, deletion, end, key, put, revision } from "./requests.js";
import type { Draft, MethodName } from "./requests.js";
import type { Pair, Side } from "./sides.js";

export type WatchStep =
  | { readonly kind: "call"; readonly method: MethodName; readonly draft: Draft }
  | { readonly kind: "stream"; readonly draft: Draft };

const LONG_ID = 2n ** 53n + 1n;
const filters = fc.array(fc.constantFrom(0, 1, 0, 1, 0, 1, 7), { maxLength: 2 });
const flag = fc.boolean();

/** Several writes at one revision. */
const txn: fc.Arbitrary<Draft> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: put.map((one): Draft => ({ request_put: one })) },
      { weight: 1, arbitrary: deletion.map((one): Draft => ({ request_delete_range: one })) },
    ),
    { maxLength: 4 },
  )
  .map((success) => ({ success }));

/** Below zero a watch is refused since 3.6; 3.4 takes it and may cancel it later. */
const start = revision.filter((one) => typeof one !== "bigint" || one >= 0n);

const creation: fc.Arbitrary<Draft> = fc.record(
  {
    key,
    range_end: end,
    start_revision: start,
    progress_notify: flag,
    filters,
    prev_kv: flag,
    watch_id: fc.constantFrom(0n, 0n, 0n, 0n, 1n, 5n, LONG_ID),
    fragment: flag,
  },
  { requiredKeys: ["key"] },
);

function write(method: MethodName, draft: fc.Arbitrary<Draft>): fc.Arbitrary<WatchStep> {
  return draft.map((one) => ({ kind: "call", method, draft: one }));
}

function say(name: string, draft: fc.Arbitrary<Draft>): fc.Arbitrary<WatchStep> {
  return draft.map((one) => ({ kind: "stream", draft: { [name]: one } }));
}

export const watchStep: fc.Arbitrary<WatchStep> = fc.oneof(
  { weight: 30, arbitrary: write("Put", put) },
  { weight: 10, arbitrary: write("DeleteRange", deletion) },
  { weight: 10, arbitrary: write("Txn", txn) },
  { weight: 3, arbitrary: write("Compaction", compaction) },
  { weight: 20, arbitrary: say("create_request", creation) },
  {
    weight: 4,
    arbitrary: say(
      "cancel_request",
      fc.constantFrom(0n, 1n, 2n, 5n, 99n, -1n, LONG_ID).map((id) => ({ watch_id: id })),
    ),
  },
  { weight: 3, arbitrary: say("progress_request", fc.constant({})) },
  { weight: 1, arbitrary: fc.constant({ kind: "stream", draft: {} }) },
);

/** What a script has led to on one side. */
interface Outcome {
  /** One for each step: what was answered on the stream, if anything. */
  readonly answers: readonly string[];
  readonly watches: readonly Told[];
}

interface Told {
  readonly id: string;
  events: string[];
  end: string;
  /** Events of one revision came in more than one response. */
  isTorn: boolean;
}

export interface WatchDifference {
  readonly theirs: string;
  readonly ours: string;
}

export async function watchOnBoth(
  pair: Pair,
  steps: readonly WatchStep[],
): Promise<WatchDifference | undefined> {
  try {
    const base = await begin(pair);
    const asked = steps.filter((step) => {
      return step.kind === "stream" || laterAnswer(bound(step.draft, base)) === undefined;
    });
    const [theirs, ours] = await Promise.all(
      [pair.theirs, pair.ours].map((side) => new Script(side, base).run(asked)),
    );
    return firstDifference(must(theirs), must(ours));
  } catch (error) {
    pair.requireAlive();
    throw error;
  }
}

function firstDifference(theirs: Outcome, ours: Outcome): WatchDifference | undefined {
  const parts = ({ answers, watches }: Outcome): readonly string[] => [
    ...answers,
    ...watches.map((watch) => shown(watch)),
  ];
  const [wanted, got] = [parts(theirs), parts(ours)];
  const at = wanted.findIndex((part, i) => part !== got[i]);
  if (at < 0 && got.length === wanted.length) return undefined;
  return { theirs: wanted[at] ?? "nothing", ours: got[at] ?? "nothing" };
}

/** An event as far as it decides who is told of it. */
interface Happened {
  readonly key: Uint8Array;
  readonly revision: bigint;
  readonly isDelete: boolean;
}

interface LiveWatch {
  readonly told: Told;
  readonly create: Message;
  readonly start: bigint;
  readonly seen: Set<bigint>;
}

const ALL: Message = { key: Uint8Array.of(0), range_end: Uint8Array.of(0) };
const ANSWER_MS = 3_000;

/** One run of a script on one side. */
class Script {
  readonly #side: Side;
  readonly #history: Happened[] = [];
  #revision: bigint;
  #compacted: bigint;
  readonly #watches: Told[] = [];
  readonly #live: Map<bigint, LiveWatch> = new Map();
  /** Numbers of watches that were cancelled for a compaction. */
  readonly #lost: Set<bigint> = new Set();
  /** The answer to the request that is waited for. */
  #answer: Message | undefined;
  #changed: () => void = () => undefined;
  #isOver = false;

  constructor(side: Side, base: bigint) {
    this.#side = side;
    this.#revision = base;
    this.#compacted = base;
  }

  async run(steps: readonly WatchStep[]): Promise<Outcome> {
    const base = this.#revision;
    const [all, stream] = [this.#side.watch(), this.#side.watch()];
    all.send({ create_request: { ...ALL, start_revision: base + 1n } });
    const reading = [
      this.#read(all, (response) => this.#note(response)),
      this.#read(stream, (response) => this.#take(response)),
    ];
    const answers: string[] = [];
    for (const step of steps) {
      const message = bound(step.draft, base);
      if (step.kind === "call") answers.push(await this.#call(step.method, message));
      else if (this.#isUnclear(message)) answers.push("not asked");
      else {
        if (message["cancel_request"] !== undefined) await this.#allTold();
        stream.send(message);
        answers.push(await this.#answerTo(message));
      }
    }
    await this.#allTold();
    this.#isOver = true;
    for (const one of [all, stream]) one.cancel();
    await Promise.all(reading);
    return { answers, watches: this.#watches };
  }

  async #call(method: MethodName, message: Message): Promise<string> {
    if (method === "Compaction") {
      await this.#allTold();
      if (this.#mayBeBehind(message["revision"] as bigint)) return "not asked";
    }
    const { status, response } = await call(this.#side, method, message);
    if (status !== 0) return `${method}: refused`;
    const revision = revisionOf(must(response));
    if (method === "Compaction") this.#compacted = message["revision"] as bigint;
    else await this.#until(() => this.#revision >= revision);
    return `${method}: ${revision}`;
  }

  /**
   * A watch of the past is behind in etcd for up to 100 ms, also where there is nothing to tell; a
   * compaction within that time cancels it. Only an event shows that it has caught up.
   */
  #mayBeBehind(compacted: bigint): boolean {
    return [...this.#live.values()].some(({ start, told }) => {
      return start <= compacted && told.events.length === 0;
    });
  }

  /**
   * At the revision that was compacted last it depends on the time whether etcd still knows of
   * deletes; and it keeps the number of a watch that was cancelled for a compaction.
   */
  #isUnclear(message: Message): boolean {
    const create = message["create_request"] as Message | undefined;
    const id = (create?.["watch_id"] ?? 0n) as bigint;
    if (create === undefined) return false;
    const isTaken = this.#lost.size > 0 && (id === 0n || this.#lost.has(id));
    return create["start_revision"] === this.#compacted || isTaken;
  }

  /** What a request on the stream is answered with, once all it leads to has been told. */
  async #answerTo(message: Message): Promise<string> {
    const create = message["create_request"] as Message | undefined;
    const cancel = message["cancel_request"] as Message | undefined;
    if (cancel !== undefined) {
      const watch = this.#live.get(cancel["watch_id"] as bigint);
      if (watch === undefined) return "nothing to cancel";
      await this.#until(() => watch.told.end !== "");
      return "cancelled";
    }
    if (create === undefined && message["progress_request"] === undefined) return "no request";
    this.#answer = undefined;
    await this.#until(() => this.#answer !== undefined);
    const answer = this.#answer as Message | undefined;
    if (answer === undefined) return "no answer";
    const header = maskedHeader(answer["header"] as Message);
    if (create !== undefined && answer["canceled"] !== true) await this.#begin(create, answer);
    return shown({ ...answer, header });
  }

  async #begin(create: Message, answer: Message): Promise<void> {
    const asked = (create["start_revision"] ?? 0n) as bigint;
    const start = asked === 0n ? revisionOf(answer) + 1n : asked;
    const id = (answer["watch_id"] ?? 0n) as bigint;
    const told: Told = { id: String(id), events: [], end: "", isTorn: false };
    const watch = { told, create, start, seen: new Set<bigint>() };
    this.#watches.push(told);
    this.#live.set(id, watch);
    for (const response of this.#early.splice(0)) this.#take(response);
    if (start < this.#compacted) await this.#until(() => told.end !== "");
    else await this.#allTold();
  }

  async #allTold(): Promise<void> {
    await this.#until(() =>
      [...this.#live.values()].every((watch) => watch.told.events.length >= this.#due(watch)),
    );
  }

  /** How many events the watch has to tell. */
  #due({ create, start }: LiveWatch): number {
    const filtered = (create["filters"] ?? []) as readonly number[];
    return this.#history.filter(({ key: at, revision: when, isDelete }) => {
      return when >= start && isWithin(at, create) && !filtered.includes(isDelete ? 1 : 0);
    }).length;
  }

  /** Of the watch of everything. */
  #note(response: Message): void {
    for (const event of (response["events"] ?? []) as readonly Message[]) {
      const kv = event["kv"] as Message;
      const when = kv["mod_revision"] as bigint;
      const isDelete = event["type"] === 1;
      this.#history.push({ key: kv["key"] as Uint8Array, revision: when, isDelete });
    }
    const last = this.#history.at(-1);
    if (last !== undefined) this.#revision = last.revision;
  }

  /** Responses of watches whose creation was not taken note of yet. */
  readonly #early: Message[] = [];

  #take(response: Message): void {
    const id = (response["watch_id"] ?? 0n) as bigint;
    if (response["created"] === true || (id === -1n && response["events"] === undefined)) {
      this.#answer = response;
      return;
    }
    const watch = this.#live.get(id);
    if (watch === undefined) {
      this.#early.push(response);
      return;
    }
    const events = (response["events"] ?? []) as readonly Message[];
    watch.told.events.push(...events.map((event) => shown(event)));
    const revisions = new Set(events.map((event) => (event["kv"] as Message)["mod_revision"]));
    for (const when of revisions as Set<bigint>) {
      if (watch.seen.has(when)) watch.told.isTorn = true;
      watch.seen.add(when);
    }
    if (response["canceled"] !== true) return;
    watch.told.end = shown({ ...response, header: {} });
    if (response["compact_revision"] !== undefined && id !== 0n) this.#lost.add(id);
    this.#live.delete(id);
  }

  async #read(
    stream: { next(): Promise<Message | undefined> },
    take: (response: Message) => void,
  ): Promise<void> {
    for (;;) {
      const response = await stream.next();
      if (response === undefined) break;
      take(response);
      this.#changed();
    }
    if (!this.#isOver)
      this.#watches.push({ id: "the stream ended", events: [], end: "", isTorn: false });
    this.#changed();
  }

  /** Waits until something holds; not for ever, for what is missing shows in the comparison. */
  async #until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + ANSWER_MS;
    while (!holds() && performance.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - performance.now());
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

function isWithin(at: Uint8Array, create: Message): boolean {
  const from = (create["key"] ?? EMPTY_BYTES) as Uint8Array;
  const to = (create["range_end"] ?? EMPTY_BYTES) as Uint8Array;
  const order = compareBytes(at, from.length === 0 ? Uint8Array.of(0) : from);
  if (to.length === 0) return order === 0;
  const isOpen = to.length === 1 && to[0] === 0;
  return order >= 0 && (isOpen || compareBytes(at, to) < 0);
}
