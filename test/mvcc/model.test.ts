/**
 * Random histories against the naive model: evaluation with an overlay of any depth, applying in
 * any rhythm, flushes and compactions at any time, reads at revisions, watches from anywhere.
 */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { ByteReader } from "../../src/base/coding.js";
import type { WatchSink } from "../../src/mvcc/watcher.js";
import type { KvError } from "../../src/protocol/errors.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type { PutOperation, RangeOperation, Transaction } from "../../src/protocol/operations.js";
import { decodeOptionalKeyValue } from "../../src/protocol/result-codec.js";
import { decodeWatchEvent } from "../../src/protocol/watch-codec.js";
import * as arbitrary from "./arbitraries.js";
import { Model, ModelError } from "./model.js";
import type { ModelWatch } from "./model.js";
import { Replica, resultOf } from "./replica.js";
import { stored } from "./test-tree.js";

type Step =
  | { readonly kind: "put"; readonly put: PutOperation }
  | { readonly kind: "txn"; readonly txn: Transaction }
  | { readonly kind: "read"; readonly txn: Transaction; readonly revision: number }
  | { readonly kind: "get"; readonly range: RangeOperation }
  | { readonly kind: "compact"; readonly revision: number }
  | { readonly kind: "apply"; readonly count: number }
  | { readonly kind: "watch"; readonly watch: ModelWatch; readonly start: number }
  | { readonly kind: "pump"; readonly open: boolean }
  | { readonly kind: "flush" | "merge" | "drop" | "close" | "followerFlush" };

const put = fc.record({ kind: fc.constant("put" as const), put: arbitrary.put });
const txn = fc.record({ kind: fc.constant("txn" as const), txn: arbitrary.transaction });
const read = fc.record({
  kind: fc.constant("read" as const),
  txn: arbitrary.readOnly,
  revision: arbitrary.revision,
});
const get = fc.record({ kind: fc.constant("get" as const), range: arbitrary.range });
const compact = fc.record({
  kind: fc.constant("compact" as const),
  revision: fc.integer({ min: 1, max: 20 }),
});
const apply = fc.record({ kind: fc.constant("apply" as const), count: fc.nat(4) });
const watch = fc.record({
  kind: fc.constant("watch" as const),
  watch: fc.record({
    key: arbitrary.key,
    end: arbitrary.rangeEnd,
    prevKv: fc.boolean(),
    noPut: fc.boolean(),
    noDelete: fc.boolean(),
  }),
  start: arbitrary.revision,
});
const pump = fc.record({ kind: fc.constant("pump" as const), open: fc.boolean() });
const plain = fc.record({
  kind: fc.constantFrom("flush", "merge", "drop", "close", "followerFlush"),
});

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(put, put, put, txn, txn, read, get, compact, apply, apply, watch, pump, plain),
  { minLength: 10, maxLength: 80, size: "max" },
);

interface Part {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

/** Collects what a watch is given and checks the order on the way. */
class Recorder implements WatchSink {
  open = true;
  readonly parts: Part[] = [];
  closedRevision = 0;
  error: KvError | undefined = undefined;

  events(revision: number, count: number, encodedEvents: Uint8Array): void {
    expect(this.open && this.error === undefined).toBe(true);
    expect(revision).toBeGreaterThan(this.parts.at(-1)?.revision ?? 0);
    expect(revision).toBeGreaterThan(this.closedRevision);
    const reader = new ByteReader(encodedEvents.slice());
    const events: WatchEvent[] = [];
    for (let i = 0; i < count; i++) events.push(decodeWatchEvent(reader));
    expect(reader.remaining).toBe(0);
    this.parts.push({ revision, events });
  }

  closed(revision: number): void {
    this.closedRevision = revision;
  }

  failed(error: KvError): void {
    this.error = error;
  }

  writable(): boolean {
    return this.open;
  }
}

interface Watch {
  readonly spec: ModelWatch;
  readonly from: number;
  readonly recorder: Recorder;
}

/** Drives a leader, a follower that applies the same entries, and the model. */
class Story {
  readonly leader = new Replica();
  readonly follower = new Replica();
  /** Evaluates and applies each request at once; must propose the same bytes. */
  prompt = new Replica();
  evaluated = new Model();
  applied = new Model();
  readonly #modelsAfter: Model[] = [];
  readonly #log: Uint8Array[] = [];
  readonly #watches: Watch[] = [];

  run(step: Step): void {
    switch (step.kind) {
      case "put":
        return this.#put(step.put);
      case "txn":
        return this.#transaction(step.txn);
      case "read":
        return this.#read(step.txn, step.revision);
      case "get":
        return this.#get(step.range);
      case "compact":
        return this.#compact(step.revision);
      case "apply":
        return this.#apply(step.count);
      case "watch":
        return this.#watch(step.watch, step.start);
      case "pump":
        return this.#pump(step.open);
      default:
        return this.#other(step.kind);
    }
  }

  finish(): void {
    this.#apply(Infinity);
    for (const { recorder } of this.#watches) recorder.open = true;
    for (const { machine } of [this.leader, this.follower]) {
      while (machine.hub.hasWork) machine.hub.pump();
    }
    for (const one of this.#watches) this.#checkWatch(one);
    this.#checkHashes();
  }

  #put(op: PutOperation): void {
    const flags = (op.prevKv ? 1 : 0) | (op.ignoreValue ? 2 : 0) | (op.ignoreLease ? 4 : 0);
    if (op.lease !== 0n) return;
    const expected = attempt(() =>
      this.evaluated.transaction({ compares: [], success: [op], failure: [] }),
    );
    const evaluation = this.leader.put(op.key, op.value, flags);
    if (expected instanceof ModelError) {
      expect(evaluation.error?.code).toBe(expected.code);
      return;
    }
    expect(evaluation.outcome).toBe("effects");
    expect(evaluation.revision).toBe(this.evaluated.revision);
    const response = evaluation.response;
    const previous =
      response === undefined ? undefined : decodeOptionalKeyValue(new ByteReader(response));
    expect({ kind: "put", prevKv: previous }).toEqual(expected.results[0]);
    this.prompt.put(op.key, op.value, flags);
    this.#proposed();
  }

  #transaction(request: Transaction): void {
    const before = this.evaluated.revision;
    const expected = attempt(() => this.evaluated.transaction(request));
    const evaluation = this.leader.transaction(request);
    if (expected instanceof ModelError) {
      expect(evaluation.error?.code).toBe(expected.code);
      expect(evaluation.outcome).toBe("refused");
      return;
    }
    expect(resultOf(evaluation)).toEqual(expected);
    expect(evaluation.revision).toBe(this.evaluated.revision);
    const hasEffects = this.evaluated.revision > before;
    expect(evaluation.outcome).toBe(hasEffects ? "effects" : "noEffects");
    if (!hasEffects) return;
    this.prompt.transaction(request);
    this.#proposed();
  }

  #compact(revision: number): void {
    const expected = attempt(() => this.evaluated.compact(revision));
    const evaluation = this.leader.compact(revision);
    if (expected instanceof ModelError) {
      expect(evaluation.error?.code).toBe(expected.code);
      return;
    }
    expect(evaluation.outcome).toBe("effects");
    this.prompt.compact(revision);
    this.#proposed();
  }

  /** The prompt machine, whose overlay is always empty, must have proposed the same entry. */
  #proposed(): void {
    expect(this.prompt.pending).toEqual([this.leader.pending.at(-1)]);
    this.prompt.applyPending();
    this.#modelsAfter.push(this.evaluated.clone());
  }

  #apply(count: number): void {
    for (const entry of this.leader.applyPending(count)) {
      this.#log.push(entry);
      this.follower.apply(entry);
    }
    const after = this.#modelsAfter.splice(0, count).at(-1);
    if (after !== undefined) this.applied = after;
    expect(this.leader.machine.revision).toBe(this.applied.revision);
    expect(this.leader.machine.compactedRevision).toBe(this.applied.compacted);
    if (this.leader.pending.length === 0) expect(this.leader.machine.overlaySize).toBe(0);
  }

  #read(request: Transaction, revision: number): void {
    const expected = attempt(() => {
      const { revision: newest, compacted } = this.applied;
      if (revision > 0 && revision < compacted) throw new ModelError("compacted");
      const shown = this.applied.clone();
      shown.revision = revision === 0 ? newest : revision;
      shown.events = shown.events.filter((one) => one.revision <= shown.revision);
      return shown.transaction(request);
    });
    for (const replica of [this.leader, this.follower]) {
      const actual = replica.read(request, revision);
      if (!(expected instanceof ModelError)) expect(actual).toEqual(expected);
      else expect((actual as KvError).code).toBe(expected.code);
    }
  }

  #get(range: RangeOperation): void {
    const single = { ...range, rangeEnd: undefined, countOnly: false, keysOnly: range.keysOnly };
    const wide = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, limit: 0 };
    const op = { ...single, ...wide, maxCreateRevision: 0 };
    const { revision } = this.applied;
    const expected = attempt(() => this.applied.range(op, revision, revision));
    const actual = this.follower.get(op.key, op.revision, op.keysOnly);
    if (expected instanceof ModelError) expect((actual as KvError).code).toBe(expected.code);
    else expect(actual).toEqual(expected.kvs[0] as KeyValue | undefined);
  }

  #watch(spec: ModelWatch, start: number): void {
    for (const replica of [this.leader, this.follower]) {
      const recorder = new Recorder();
      const end = spec.end === undefined ? undefined : stored(spec.end);
      const { prevKv, noPut, noDelete } = spec;
      const own = { start: stored(spec.key), end, startRevision: start, prevKv, noPut, noDelete };
      replica.machine.hub.watch(own, recorder);
      const from = start === 0 ? this.applied.revision + 1 : start;
      this.#watches.push({ spec, from, recorder });
    }
  }

  #pump(open: boolean): void {
    for (const [i, { recorder }] of this.#watches.entries()) {
      if (i % 2 === 0) recorder.open = open;
    }
    this.leader.machine.hub.pump();
    this.follower.machine.hub.pump();
  }

  #other(kind: "flush" | "merge" | "drop" | "close" | "followerFlush"): void {
    if (kind === "flush") return this.leader.flush();
    if (kind === "followerFlush") return this.follower.flush();
    if (kind === "merge") return this.leader.files.compact();
    if (kind === "close") {
      this.leader.close();
      this.prompt.close();
      return this.#proposed();
    }
    this.leader.drop();
    this.#modelsAfter.length = 0;
    this.evaluated = this.applied.clone();
    this.#rebuildPrompt();
  }

  /** The prompt machine had applied what was dropped: a new one replays the log. */
  #rebuildPrompt(): void {
    this.prompt = new Replica();
    for (const entry of this.#log) this.prompt.apply(entry);
  }

  #checkWatch({ spec, from, recorder }: Watch): void {
    const all = this.applied.watch(spec, from);
    const { compacted } = this.applied;
    if (recorder.error === undefined) return expectParts(recorder.parts, all, compacted);
    // It fell behind the compacted revision: what it got before must be a beginning of the truth.
    expect(recorder.error.code).toBe("compacted");
    expect(recorder.error.details.bound).toBeLessThanOrEqual(compacted);
    expectParts(recorder.parts, all.slice(0, recorder.parts.length), compacted);
  }

  #checkHashes(): void {
    const { revision, compacted } = this.applied;
    for (let at = Math.max(1, compacted); at <= revision; at++) {
      expect(this.leader.hashAt(at)).toBe(this.follower.hashAt(at));
    }
  }
}

/** A previous key-value may be missing for one reason: it was compacted when it was asked for. */
function expectParts(got: readonly Part[], expected: readonly Part[], compacted: number): void {
  const filled = got.map((part, i) => ({
    revision: part.revision,
    events: part.events.map((event, j) => {
      const missing = event.prevKv === undefined && part.revision - 1 < compacted;
      return missing ? { ...event, prevKv: expected[i]?.events[j]?.prevKv } : event;
    }),
  }));
  expect(filled).toEqual(expected);
}

function attempt<T>(run: () => T): T | ModelError {
  try {
    return run();
  } catch (error) {
    if (error instanceof ModelError) return error;
    throw error;
  }
}

describe("the state machine", () => {
  test.prop([steps], { numRuns: 80 })("answers as the model does", (list) => {
    const story = new Story();
    for (const step of list) story.run(step);
    story.finish();
  });
});
