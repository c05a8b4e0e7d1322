/**
 * Generators of histories: clients whose operations overlap at random, each with a true moment at
 * which it takes effect on a model that executes them one by one. Such a history is linearizable by
 * construction. Small domains make operations meet.
 */
import { fc } from "@fast-check/vitest";
import type { RegisterOperation, RegisterRequest } from "../../jepsen-style/checkers/register.js";
import type { TextOperation, TextRequest } from "../../jepsen-style/checkers/text-store.js";
import type {
  Completion,
  KeyValueAnswer,
  KeyValueOperation,
  KeyValueRequest,
  Operation,
} from "../../jepsen-style/history.js";

/** When an operation is called, takes effect and completes, and whether its answer is lost. */
interface Timing<Request> {
  readonly request: Request;
  readonly pause: number;
  readonly before: number;
  readonly after: number;
  readonly lost: "no" | "answer" | "request";
}

const span = fc.integer({ min: 0, max: 6 });
const lost = fc.constantFrom("no", "no", "no", "no", "answer", "request" as const);

interface Sizes {
  readonly clients: number;
  /** Operations of a client. */
  readonly each: number;
  readonly atLeast: number;
}

function timings<Request>(
  request: fc.Arbitrary<Request>,
  { clients, each, atLeast }: Sizes,
): fc.Arbitrary<readonly (readonly Timing<Request>[])[]> {
  const one = fc.record({ request, pause: span, before: span, after: span, lost });
  const own = fc.array(one, { minLength: atLeast, maxLength: each });
  return fc.array(own, { minLength: Math.min(clients, 3), maxLength: clients });
}

/** Executes them in the order of their true moments. */
function execute<Request, Answer>(
  clients: readonly (readonly Timing<Request>[])[],
  apply: (request: Request) => Answer,
): readonly Operation<Request, Answer>[] {
  const planned = clients.flatMap((own, client) => {
    let now = client / 100;
    return own.map((timing) => {
      const calledAt = now + timing.pause + 1;
      const effectAt = calledAt + timing.before;
      const completedAt = effectAt + timing.after;
      now = completedAt;
      return { ...timing, process: client, calledAt, effectAt, completedAt };
    });
  });
  const inOrder = planned.toSorted((a, b) => a.effectAt - b.effectAt);
  return inOrder.map(({ process, request, calledAt, completedAt, lost: what }) => {
    const answer = what === "request" ? undefined : apply(request);
    const completion: Completion<Answer> =
      what !== "no" || answer === undefined
        ? { kind: "info" }
        : { kind: "ok", completedAt, answer };
    return { process, request, calledAt, ...completion };
  });
}

const digit = fc.constantFrom("0", "1", "2");

/** As many values as one likes: the fewer, the more often each comes back. */
export function numbers(count: number): fc.Arbitrary<string> {
  return fc.nat(count - 1).map(String);
}

function registerRequest(value: fc.Arbitrary<string>): fc.Arbitrary<RegisterRequest> {
  return fc.oneof(
    fc.record({ type: fc.constant("read" as const) }),
    fc.record({ type: fc.constant("write" as const), value }),
    fc.record({ type: fc.constant("compareAndSet" as const), expected: value, value }),
  );
}

export function registerHistory(
  clients: number,
  each: number,
  atLeast = 0,
  value: fc.Arbitrary<string> = digit,
): fc.Arbitrary<readonly RegisterOperation[]> {
  return timings(registerRequest(value), { clients, each, atLeast }).map((all) => {
    let value: string | undefined;
    return execute(all, (request): NonNullable<(RegisterOperation & { kind: "ok" })["answer"]> => {
      if (request.type === "read") return { type: "read", value };
      if (request.type === "write") {
        value = request.value;
        return { type: "write" };
      }
      const succeeded = value === request.expected;
      if (succeeded) value = request.value;
      return { type: "compareAndSet", succeeded };
    });
  });
}

function textRequest(values: fc.Arbitrary<string>): fc.Arbitrary<TextRequest> {
  const key = fc.constant("k");
  return fc.oneof(
    fc.record({ type: fc.constant("get" as const), key }),
    fc.record({ type: fc.constantFrom("put", "append"), key, value: values }),
  );
}

/** Values that cannot be told apart once joined ("a" and "aa"), and values that can. */
export function textHistory(
  clients: number,
  each: number,
  atLeast = 0,
): fc.Arbitrary<readonly TextOperation[]> {
  const vague = fc.constantFrom("a", "aa", "b", "ab");
  const plain = fc.nat(12).map((number) => `x${number}`);
  const requests = fc.oneof(fc.constant(textRequest(vague)), fc.constant(textRequest(plain)));
  return requests.chain((request) =>
    timings(request, { clients, each, atLeast }).map((all) => {
      let text = "";
      return execute(all, (asked): (TextOperation & { kind: "ok" })["answer"] => {
        if (asked.type === "get") return { type: "get", value: text };
        text = (asked.type === "append" ? text : "") + asked.value;
        return { type: asked.type };
      });
    }),
  );
}

function keyValueRequest(keys: readonly string[]): fc.Arbitrary<KeyValueRequest> {
  const key = fc.constantFrom(...keys);
  const value = fc.oneof(digit, fc.nat(10_000).map(String));
  const expected = fc.oneof(
    fc.record({ target: fc.constant("value" as const), equal: digit }),
    fc.record({ target: fc.constantFrom("modRevision", "version"), equal: fc.nat(6) }),
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant("get" as const), key }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("put" as const), key, value }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant("delete" as const), key }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("compareAndSet" as const), key, expected, value }),
    },
  );
}

export interface Stored {
  readonly value: string;
  readonly modRevision: number;
  readonly version: number;
}

export function keyValueHistory(
  clients: number,
  each: number,
  atLeast = 0,
  keys: readonly string[] = ["a"],
): fc.Arbitrary<readonly KeyValueOperation[]> {
  return timings(keyValueRequest(keys), { clients, each, atLeast }).map((all) => {
    const store = new Map<string, Stored>();
    let revision = 0;
    return execute(all, (request) => {
      const [answer, after] = applied(store.get(request.key), request, revision + 1);
      if (after !== "same") revision++;
      if (after === undefined) store.delete(request.key);
      else if (after !== "same") store.set(request.key, after);
      return answer;
    });
  });
}

/** The answer, and what is stored after: `undefined` for nothing. */
export function applied(
  stored: Stored | undefined,
  request: KeyValueRequest,
  revision: number,
): readonly [KeyValueAnswer, Stored | undefined | "same"] {
  switch (request.type) {
    case "get":
      if (stored === undefined) return [{ type: "get", found: false }, "same"];
      return [{ type: "get", found: true, ...stored }, "same"];
    case "delete": {
      const deleted = stored !== undefined;
      return [{ type: "delete", deleted, revision }, deleted ? undefined : "same"];
    }
    case "put":
      return [{ type: "put", revision }, written(stored, request.value, revision)];
    case "compareAndSet": {
      const { target, equal } = request.expected;
      const held = target === "value" ? stored?.value : (stored?.[target] ?? 0);
      if (held !== equal) return [{ type: "compareAndSet", succeeded: false }, "same"];
      const after = written(stored, request.value, revision);
      return [{ type: "compareAndSet", succeeded: true, revision }, after];
    }
  }
}

function written(stored: Stored | undefined, value: string, modRevision: number): Stored {
  return { value, modRevision, version: (stored?.version ?? 0) + 1 };
}
