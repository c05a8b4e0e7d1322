/**
 * Our own store, key by key: put, delete, get and compare-and-set with the revisions and versions
 * that the answers carry. Keys are absent at first. Revisions are used where they are known: writes
 * whose revision is known have their place (`revisions.ts`), so that the search only has to place
 * the others, whose revision is "some number between those of its neighbours".
 *
 * A compare against a modRevision that nobody can know is taken to come out as it was answered.
 */
import { must } from "../../src/base/assert.js";
import { hasEffect } from "../history.js";
import type { KeyValueAnswer, KeyValueOperation, KeyValueRequest } from "../history.js";
import { describeKeyValue } from "./key-value-words.js";
import { checkLinearizable } from "./linearizability.js";
import type { Options, Verdict } from "./linearizability.js";
import { Interner, REFUSED } from "./model.js";
import type { Built, Machine, Model } from "./model.js";
import { placeByRevision } from "./revisions.js";
import type { Placing } from "./revisions.js";

export const keyValueModel: Model<KeyValueRequest, KeyValueAnswer> = {
  partOf: ({ key }) => key,
  build: (operations): Built => {
    const placed = placeByRevision(operations);
    if (placed.kind === "contradiction") return placed;
    const machine = new KeyValueMachine(operations, placed.placing);
    return { kind: "machine", machine };
  },
  describe: describeKeyValue,
};

export function checkKeyValue(
  operations: readonly KeyValueOperation[],
  options?: Options,
): Verdict<KeyValueRequest, KeyValueAnswer> {
  return checkLinearizable(keyValueModel, operations, options);
}

/** A value that nobody reads or compares. */
const ANY_VALUE = 0;
const NO_VALUE = -1;

interface State {
  /** The last write of known revision; those before it are done, too. */
  readonly place: number;
  /** 0: absent. Where nobody will see it, 1 stands for all versions. */
  readonly version: number;
  readonly value: number;
  /** The modRevision, or the least that it can be. */
  readonly revision: number;
  readonly exact: boolean;
}

class KeyValueMachine implements Machine {
  readonly darkState: number = REFUSED;
  readonly initial: number;
  private readonly states: State[] = [];
  private readonly ids = new Interner();
  private readonly values = new Interner();
  private readonly valueOf: readonly number[];
  private readonly classes: readonly number[];
  private readonly operations: readonly KeyValueOperation[];
  private readonly placing: Placing;

  constructor(operations: readonly KeyValueOperation[], placing: Placing) {
    this.operations = operations;
    this.placing = placing;
    this.values.idOf("any");
    const told = toldApart(operations);
    this.valueOf = operations.map(({ request }) =>
      "value" in request && told.has(request.value) ? this.idOfValue(request.value) : ANY_VALUE,
    );
    const classes = new Interner();
    this.classes = operations.map((_, index) => classes.idOf(this.className(index)));
    this.initial = this.idOf({ place: 0, version: 0, value: NO_VALUE, revision: 0, exact: true });
  }

  private idOfValue(value: string): number {
    return this.values.idOf(`=${value}`);
  }

  private idOf(state: State): number {
    const { place, version, value, revision, exact } = state;
    const id = this.ids.idOf(`${place} ${version} ${value} ${revision} ${exact ? "=" : "≥"}`);
    this.states[id] ??= state;
    return id;
  }

  private className(index: number): string {
    const { kind, request } = this.operations[index]!;
    if (kind === "ok" || this.placing.placeOf.has(index)) return `#${index}`;
    const expected = request.type === "compareAndSet" ? JSON.stringify(request.expected) : "";
    return `${request.type} ${this.valueOf[index]!} ${expected}`;
  }

  classOf(index: number): number {
    return this.classes[index]!;
  }

  isDark(): boolean {
    return false;
  }

  resets(): boolean {
    return false;
  }

  isObserver(index: number): boolean {
    const operation = this.operations[index]!;
    if (operation.request.type === "get") return true;
    return operation.kind === "ok" && !hasEffect(operation.answer);
  }

  deadlineOf(index: number): number | undefined {
    const proof = this.placing.deadlineOf.get(index);
    if (proof !== undefined) return proof.at;
    const operation = this.operations[index]!;
    if (operation.kind === "ok") return operation.completedAt;
    return operation.request.type === "get" ? undefined : Infinity;
  }

  step(id: number, index: number): number {
    const state = this.states[id]!;
    const operation = this.operations[index]!;
    const { request } = operation;
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (answer?.type === "get") return this.read(id, state, answer);
    if (answer !== undefined && !hasEffect(answer)) {
      return this.mayBeRefused(state, request) ? id : REFUSED;
    }
    if (!this.mayTakeEffect(state, request)) {
      // Whose outcome is unknown may have had no effect.
      return operation.kind === "info" && !this.placing.placeOf.has(index) ? id : REFUSED;
    }
    return this.write(state, index);
  }

  private read(id: number, state: State, answer: KeyValueAnswer & { type: "get" }): number {
    if (!answer.found || state.version === 0) {
      return answer.found || state.version > 0 ? REFUSED : id;
    }
    const { version, modRevision } = answer;
    if (state.value !== this.idOfValue(answer.value)) return REFUSED;
    if (version !== undefined && version !== state.version) return REFUSED;
    if (modRevision === undefined || (state.exact && modRevision === state.revision)) return id;
    if (state.exact || !this.hasRoom(state.place, state.revision, modRevision)) return REFUSED;
    return this.idOf({ ...state, revision: modRevision, exact: true });
  }

  /** May a write after `place` whose revision is at least `least` have this one? */
  private hasRoom(place: number, least: number, revision: number): boolean {
    const next = this.placing.revisions[place + 1];
    return revision >= least && (next === undefined || revision < next);
  }

  /** Whether a compare-and-set may have succeeded; a delete, have found something. */
  private mayTakeEffect(state: State, request: KeyValueRequest): boolean {
    if (request.type === "delete") return state.version > 0;
    return request.type !== "compareAndSet" || this.compare(state, request.expected) !== false;
  }

  private mayBeRefused(state: State, request: KeyValueRequest): boolean {
    if (request.type === "delete") return state.version === 0;
    return request.type === "compareAndSet" && this.compare(state, request.expected) !== true;
  }

  /** `undefined`: nobody can know. */
  private compare(
    state: State,
    expected: (KeyValueRequest & { type: "compareAndSet" })["expected"],
  ): boolean | undefined {
    const present = state.version > 0;
    if (expected.target === "value")
      return present && state.value === this.idOfValue(expected.equal);
    if (expected.equal === 0 || !present) return !present && expected.equal === 0;
    if (expected.target === "version") return state.version === expected.equal;
    if (state.exact) return state.revision === expected.equal;
    return this.hasRoom(state.place, state.revision, expected.equal) ? undefined : false;
  }

  private write(before: State, index: number): number {
    const own = this.placing.placeOf.get(index);
    const place = own ?? before.place;
    if (own !== undefined && own !== before.place + 1) return REFUSED;
    const revision = own === undefined ? before.revision + 1 : this.placing.revisions[own]!;
    if (revision <= before.revision) return REFUSED;
    if (own === undefined && !this.hasRoom(place, revision, revision)) return REFUSED;
    const exact = own !== undefined;
    if (this.operations[index]!.request.type === "delete") {
      return this.idOf({ place, version: 0, value: NO_VALUE, revision, exact });
    }
    const version = before.version + 1;
    const seen = this.placing.versionAt.get(place);
    if (exact && seen !== undefined && version !== seen) return REFUSED;
    const kept = must(this.placing.versionMatters[place]) ? version : 1;
    return this.idOf({ place, version: kept, value: this.valueOf[index]!, revision, exact });
  }
}

/** The values that a get returned or a compare names. */
function toldApart(operations: readonly KeyValueOperation[]): ReadonlySet<string> {
  const told = new Set<string>();
  for (const { request, ...operation } of operations) {
    if (request.type === "compareAndSet" && request.expected.target === "value") {
      told.add(request.expected.equal);
    }
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (answer?.type === "get" && answer.found) told.add(answer.value);
  }
  return told;
}
