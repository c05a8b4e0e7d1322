/**
 * Histories as knossos keeps them: events in EDN, in one vector or one after the other. A read of
 * nil says nothing, what failed did not happen, what has no completion or :info is pending for
 * ever. A compare-and-set register starts at 0, each of several does, and a mutex starts free.
 */
import type { MutexOperation, MutexRequest } from "../checkers/mutex.js";
import type {
  RegistersAnswer,
  RegistersOperation,
  RegistersRequest,
  Step,
} from "../checkers/registers.js";
import type { RegisterAnswer, RegisterOperation, RegisterRequest } from "../checkers/register.js";
import { ednText } from "./edn.js";
import { readEvents } from "./edn-events.js";
import type { EdnEvent } from "./edn-events.js";
import { FormatError } from "./format-error.js";
import { Pairing } from "./pairing.js";
import type { Ending } from "./pairing.js";

export type KnossosHistory =
  | { readonly model: "register"; readonly operations: readonly RegisterOperation[] }
  | { readonly model: "registers"; readonly operations: readonly RegistersOperation[] }
  | { readonly model: "mutex"; readonly operations: readonly MutexOperation[] };

export const KNOSSOS_INITIAL = "0";

/** Which model a history is of is told by what its operations are called, unless it is given. */
export function readKnossos(text: string, wanted?: KnossosHistory["model"]): KnossosHistory {
  const events = readEvents(text);
  const model = wanted ?? modelOf(events[0]?.f);
  switch (model) {
    case "register":
      return { model, operations: pair(events, registerRequest, registerAnswer) };
    case "registers":
      return { model, operations: pair(events, registersRequest, registersAnswer) };
    case "mutex":
      return { model, operations: pair(events, mutexRequest, ({ type }) => ({ type })) };
  }
}

function modelOf(f: string | undefined): KnossosHistory["model"] {
  if (f === ":acquire" || f === ":release") return "mutex";
  return f === ":txn" ? "registers" : "register";
}

function pair<Request, Answer>(
  events: readonly EdnEvent[],
  requestOf: (event: EdnEvent) => Request,
  /** `undefined`: the completion says nothing. */
  answerOf: (request: Request, event: EdnEvent) => Answer | undefined,
): ReturnType<Pairing<Request, Answer>["operations"]> {
  const pairing = new Pairing<Request, Answer>();
  for (const event of events) {
    if (event.type === ":invoke") pairing.call(event.line, event.process, requestOf(event));
    else {
      pairing.complete(event.line, event.process, (request): Ending<Answer> => {
        if (event.type === ":fail") return { kind: "fail" };
        const answer = event.type === ":ok" ? answerOf(request, event) : undefined;
        return answer === undefined ? { kind: "info" } : { kind: "ok", answer };
      });
    }
  }
  return pairing.operations();
}

function registerRequest({ line, f, value }: EdnEvent): RegisterRequest {
  if (f === ":read") return { type: "read" };
  if (f === ":write") return { type: "write", value: ednText(value) };
  if (f === ":cas" && Array.isArray(value) && value.length === 2) {
    return { type: "compareAndSet", expected: ednText(value[0]), value: ednText(value[1]) };
  }
  throw new FormatError(line, `not an operation on a register: ${f} ${ednText(value)}`);
}

function registerAnswer(request: RegisterRequest, event: EdnEvent): RegisterAnswer | undefined {
  if (request.type === "compareAndSet") return { type: "compareAndSet", succeeded: true };
  if (request.type === "write") return { type: "write" };
  return event.value === undefined ? undefined : { type: "read", value: ednText(event.value) };
}

function mutexRequest({ line, f }: EdnEvent): MutexRequest {
  if (f === ":acquire") return { type: "acquire" };
  if (f === ":release") return { type: "release" };
  throw new FormatError(line, `not an operation on a mutex: ${f}`);
}

function registersRequest(event: EdnEvent): RegistersRequest {
  return { steps: stepsOf(event) };
}

function registersAnswer(_request: RegistersRequest, event: EdnEvent): RegistersAnswer {
  return { steps: stepsOf(event) };
}

/** A transaction is a list of `[f register value]`. */
function stepsOf({ line, f, value }: EdnEvent): readonly Step[] {
  if (!Array.isArray(value)) {
    throw new FormatError(line, `not a transaction on registers: ${f} ${ednText(value)}`);
  }
  return value.map((step): Step => {
    const [kind, register, inside] = Array.isArray(step) ? step : [];
    const type = kind === ":read" || kind === ":r" ? "read" : "write";
    if (type === "write" && kind !== ":write" && kind !== ":w") {
      throw new FormatError(line, `not a step of a transaction: ${ednText(step)}`);
    }
    const known = inside === undefined ? undefined : ednText(inside);
    return { type, register: ednText(register), value: known };
  });
}
