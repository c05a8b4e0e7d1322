/** The checkers against histories that are right by construction, and against the definition. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { checkKeyValue } from "../../jepsen-style/checkers/key-value.js";
import { checkLinearizable } from "../../jepsen-style/checkers/linearizability.js";
import { registerModel } from "../../jepsen-style/checkers/register.js";
import type { RegisterOperation } from "../../jepsen-style/checkers/register.js";
import { textStoreModel } from "../../jepsen-style/checkers/text-store.js";
import type { TextOperation } from "../../jepsen-style/checkers/text-store.js";
import type { KeyValueOperation } from "../../jepsen-style/history.js";
import { isLinearizable } from "./brute-force.js";
import { applied, keyValueHistory, numbers, registerHistory, textHistory } from "./histories.js";
import type { Stored } from "./histories.js";

const LINEARIZABLE = { verdict: "linearizable" };
const runs = (numRuns: number): { readonly numRuns: number } => ({ numRuns });

describe("a history with a true order", () => {
  test.prop([registerHistory(8, 25)], runs(60))("of a register is accepted", (history) => {
    expect(checkLinearizable(registerModel(), history)).toEqual(LINEARIZABLE);
  });

  test.prop([textHistory(8, 15)], runs(60))("of texts is accepted", (history) => {
    expect(checkLinearizable(textStoreModel, history)).toEqual(LINEARIZABLE);
  });

  test.prop([keyValueHistory(8, 25, 0, ["a", "b"])], runs(100))(
    "of our store is accepted",
    (all) => {
      expect(checkKeyValue(all)).toEqual(LINEARIZABLE);
    },
  );
});

/** The last read of all shows what the first one showed. */
function withStaleRead(history: readonly RegisterOperation[]): readonly RegisterOperation[] {
  const shown = history.filter(
    (one) => one.kind === "ok" && one.answer.type === "read" && one.answer.value !== undefined,
  );
  const [first] = shown;
  const last = shown.at(-1)!;
  return history.map((one) => (one === last ? answeredLike(one, first!) : one));
}

describe("fifty clients on one key", () => {
  const fixed = { seed: 11, numRuns: 3 };

  test.each([3, 1_000_000])("judged with %i values, and with one stale read", (count) => {
    for (const history of fc.sample(registerHistory(50, 40, 30, numbers(count)), fixed)) {
      expect(checkLinearizable(registerModel(), history)).toEqual(LINEARIZABLE);
      const verdict = checkLinearizable(registerModel(), withStaleRead(history));
      if (count === 1_000_000) expect(verdict.verdict).toBe("not linearizable");
      expect(verdict.verdict).not.toBe("unknown");
      if (verdict.verdict !== "not linearizable") continue;
      expect(verdict.offence.operations.length).toBeLessThanOrEqual(8);
    }
  });

  test.each(fc.sample(textHistory(50, 40, 30), fixed).map((all) => [all.length, all]))(
    "%i operations on texts are judged",
    (_, history) => {
      expect(checkLinearizable(textStoreModel, history)).toEqual(LINEARIZABLE);
    },
  );

  test.each(fc.sample(keyValueHistory(50, 40, 30), fixed).map((all) => [all.length, all]))(
    "%i operations on our store are judged",
    (_, history) => {
      expect(checkKeyValue(history)).toEqual(LINEARIZABLE);
    },
  );
});

/** The histories with the answers of reads exchanged: some of them still right, most wrong. */
function shuffled<Each>(
  histories: fc.Arbitrary<readonly Each[]>,
  isRead: (one: Each) => boolean,
  exchange: (one: Each, other: Each) => Each,
): fc.Arbitrary<readonly Each[]> {
  const choices = fc.array(fc.nat(3), { minLength: 20, maxLength: 20 });
  return fc.tuple(histories, choices).map(([history, choice]) => {
    const reads = history.filter(isRead);
    return history.map((one, index) => {
      const other = reads[choice[index]!];
      return isRead(one) && other !== undefined ? exchange(one, other) : one;
    });
  });
}

/** The operation with the other's answer. */
function answeredLike<Each extends { readonly kind: string }>(one: Each, other: Each): Each {
  return "answer" in one && "answer" in other ? { ...one, answer: other.answer } : one;
}

const wrongRegister = shuffled<RegisterOperation>(
  registerHistory(3, 3, 3),
  ({ kind, request }) => kind === "ok" && request.type === "read",
  answeredLike,
);
const wrongUniqueRegister = shuffled<RegisterOperation>(
  registerHistory(3, 3, 3, numbers(8)),
  ({ kind, request }) => kind === "ok" && request.type === "read",
  answeredLike,
);
const wrongTexts = shuffled<TextOperation>(
  textHistory(3, 3, 3),
  ({ kind, request }) => kind === "ok" && request.type === "get",
  answeredLike,
);
const wrongKeyValue = shuffled<KeyValueOperation>(
  keyValueHistory(3, 3, 3),
  ({ kind, request }) => kind === "ok" && request.type === "get",
  answeredLike,
);

function bruteRegister(history: readonly RegisterOperation[]): boolean {
  return isLinearizable(history, undefined as string | undefined, (value, operation) => {
    const { request } = operation;
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (request.type === "write") return [request.value];
    if (request.type === "read")
      return answer?.type !== "read" || answer.value === value ? [value] : [];
    const succeeded = value === request.expected;
    if (answer?.type === "compareAndSet" && answer.succeeded !== succeeded) return [];
    return [succeeded ? request.value : value];
  });
}

function bruteTexts(history: readonly TextOperation[]): boolean {
  return isLinearizable(history, "", (text, operation) => {
    const { request } = operation;
    const answer = operation.kind === "ok" ? operation.answer : undefined;
    if (request.type === "put") return [request.value];
    if (request.type === "append") return [text + request.value];
    return answer?.type !== "get" || answer.value === text ? [text] : [];
  });
}

/** A write of unknown revision is tried with each one that there may have been. */
function bruteKeyValue(history: readonly KeyValueOperation[], revisions: number): boolean {
  interface State {
    readonly last: number;
    readonly stored: Stored | undefined;
  }
  const initial: State = { last: 0, stored: undefined };
  return isLinearizable(history, initial, ({ last, stored }, operation) => {
    const able = Array.from({ length: revisions - last }, (_, index) => last + 1 + index);
    const states = able.flatMap((revision): readonly State[] => {
      const [answer, after] = applied(stored, operation.request, revision);
      const own = operation.kind === "ok" ? operation.answer : answer;
      if (after === "same") {
        const fits =
          JSON.stringify({ ...own, revision }) === JSON.stringify({ ...answer, revision });
        return fits ? [{ last, stored }] : [];
      }
      if (JSON.stringify(own) !== JSON.stringify(answer)) return [];
      return [{ last: revision, stored: after }];
    });
    return [...new Map(states.map((state) => [JSON.stringify(state), state])).values()];
  });
}

/** How many of the histories that a property met were wrong: it must not be none. */
class Tally {
  wrong = 0;
  all = 0;

  count(right: boolean): string {
    this.all++;
    if (!right) this.wrong++;
    return right ? "linearizable" : "not linearizable";
  }
}

describe("a small history with exchanged answers is judged as the definition judges it", () => {
  test.each([wrongRegister, wrongUniqueRegister])("of a register", (histories) => {
    const tally = new Tally();
    const property = fc.property(histories, (history) => {
      const expected = tally.count(bruteRegister(history));
      expect(checkLinearizable(registerModel(), history).verdict).toBe(expected);
    });
    fc.assert(property, runs(1500));
    expect(tally.wrong).toBeGreaterThan(tally.all / 20);
  });

  test("of texts", () => {
    const tally = new Tally();
    const property = fc.property(wrongTexts, (history) => {
      const expected = tally.count(bruteTexts(history));
      expect(checkLinearizable(textStoreModel, history).verdict).toBe(expected);
    });
    fc.assert(property, runs(1500));
    expect(tally.wrong).toBeGreaterThan(tally.all / 20);
  });

  test("of our store", () => {
    const tally = new Tally();
    const property = fc.property(wrongKeyValue, (history) => {
      const expected = tally.count(bruteKeyValue(history, history.length + 1));
      expect(checkKeyValue(history).verdict).toBe(expected);
    });
    fc.assert(property, runs(250));
    expect(tally.wrong).toBeGreaterThan(tally.all / 20);
  });
});
