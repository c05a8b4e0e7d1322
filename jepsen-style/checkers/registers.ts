/**
 * Several registers read and written by transactions, whose steps take effect in order and as one.
 * A read whose value is not known says nothing. All registers hold the same at first.
 */
import { must } from "../../src/base/assert.js";
import type { Operation } from "../history.js";
import { Interner, REFUSED } from "./model.js";
import type { Built, Model } from "./model.js";

export interface Step {
  readonly type: "read" | "write";
  readonly register: string;
  readonly value: string | undefined;
}

export interface RegistersRequest {
  readonly steps: readonly Step[];
}
/** The same steps with what was read. */
export type RegistersAnswer = RegistersRequest;
export type RegistersOperation = Operation<RegistersRequest, RegistersAnswer>;

export function registersModel(initial: string): Model<RegistersRequest, RegistersAnswer> {
  return {
    partOf: () => "registers",
    build: (operations) => build(operations, initial),
    describe: (operation) => describe(stepsOf(operation)),
  };
}

function stepsOf(operation: RegistersOperation): readonly Step[] {
  return (operation.kind === "ok" ? operation.answer : operation.request).steps;
}

function describe(steps: readonly Step[]): string {
  return steps.map(({ type, register, value }) => `${type} ${register} ${value ?? "?"}`).join(", ");
}

function build(operations: readonly RegistersOperation[], initial: string): Built {
  const registers = new Interner();
  const states: string[][] = [];
  const stateIds = new Interner();
  const idOf = (state: string[]): number => {
    const id = stateIds.idOf(JSON.stringify(state));
    states[id] ??= state;
    return id;
  };
  const texts = new Interner();
  const all = operations.map(stepsOf);
  const classes = all.map((steps) => texts.idOf(describe(steps)));
  for (const { register } of all.flat()) registers.idOf(register);
  const size = registers.idOf("");
  const step = (state: number, index: number): number => {
    const values = [...must(states[state])];
    for (const { type, register, value } of all[index]!) {
      const at = registers.idOf(register);
      if (type === "write") values[at] = String(value);
      else if (value !== undefined && values[at] !== value) return REFUSED;
    }
    return idOf(values);
  };
  const machine = {
    initial: idOf(Array.from({ length: size }, () => initial)),
    darkState: REFUSED,
    step,
    isObserver: (index: number): boolean => all[index]!.every(({ type }) => type === "read"),
    isDark: () => false,
    resets: () => false,
    classOf: (index: number): number => classes[index]!,
    deadlineOf: (index: number): number => {
      const operation = operations[index]!;
      return operation.kind === "ok" ? operation.completedAt : Infinity;
    },
  };
  return { kind: "machine", machine };
}
