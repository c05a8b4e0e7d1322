/** What is known of a transaction before it is evaluated: whether it writes, where its keys lie. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { KEY_SIZE_BYTES_MAX } from "../../src/base/limits.js";
import { keysFault, putsAnything, writesAnything } from "../../src/node/transaction-keys.js";
import type { Compare, Operation, Transaction } from "../../src/protocol/operations.js";
import { putOf, rangeOf } from "../../src/protocol/operations.js";
import { nested } from "../support/operations.js";

const PREFIX_LENGTH = 4;
const key = (text: string): Uint8Array => utf8(`ks01${text}`);
/** The shard's range: from "c" up to "p". */
const RANGE = { start: key("c"), end: key("p") };

function transaction(
  success: readonly Operation[],
  failure: readonly Operation[] = [],
  compares: readonly Compare[] = [],
): Transaction {
  return { compares, success, failure };
}

function range(from: string, end?: string): Operation {
  return rangeOf(key(from), end === undefined ? undefined : key(end));
}

function put(at: string): Operation {
  return putOf(key(at), utf8("v"));
}

function remove(from: string, end?: string): Operation {
  const rangeEnd = end === undefined ? undefined : key(end);
  return { kind: "delete", key: key(from), rangeEnd, prevKv: false };
}

describe("a transaction writes", () => {
  test.each<[string, Transaction, boolean]>([
    ["nothing where it is empty", transaction([]), false],
    ["nothing where it only reads", transaction([range("d")], [range("e")]), false],
    ["where it holds a put", transaction([range("d"), put("d")]), true],
    ["where only its failure branch deletes", transaction([], [remove("d")]), true],
    [
      "nothing where nested ones only read",
      transaction([nested(transaction([range("d")]))]),
      false,
    ],
    [
      "where a nested one does, however deep",
      transaction([], [nested(transaction([nested(transaction([], [put("d")]))]))]),
      true,
    ],
  ])("%s", (_what, given, expected) => {
    expect(writesAnything(given)).toBe(expected);
  });
});

test.each<[boolean, Transaction]>([
  [false, transaction([remove("d"), range("e")], [nested(transaction([remove("f")]))])],
  [true, transaction([range("e")], [put("d")])],
  [true, transaction([nested(transaction([], [put("d")]))])],
])("deletes add nothing, puts do in any branch: %s", (expected, given) => {
  expect(putsAnything(given)).toBe(expected);
});

describe("keys of a transaction", () => {
  const faultOf = (given: Transaction): string | undefined =>
    keysFault(given, RANGE, PREFIX_LENGTH)?.code;
  const compare = (at: string, end?: string): Compare => ({
    key: key(at),
    rangeEnd: end === undefined ? undefined : key(end),
    result: "equal",
    target: { kind: "version", value: 1 },
  });

  test.each<[string, Transaction]>([
    ["from the first of the shard", transaction([put("c")])],
    ["ranges up to its end", transaction([range("c", "p"), remove("d", "p")])],
    ["in all places", transaction([put("d")], [range("e")], [compare("f"), compare("c", "p")])],
    ["of the longest size", transaction([put(`d${"x".repeat(KEY_SIZE_BYTES_MAX - 1)}`)])],
  ])("in the shard are served: %s", (_what, given) => {
    expect(faultOf(given)).toBeUndefined();
  });

  test.each<[string, Transaction]>([
    ["before its start", transaction([put("b")])],
    ["at its end", transaction([range("p")])],
    ["a range from before", transaction([range("b", "d")])],
    ["a range beyond", transaction([remove("d", "p\0")])],
    ["in the failure branch", transaction([put("d")], [put("z")])],
    ["in a compare", transaction([put("d")], [], [compare("z")])],
    ["in a compare of a range", transaction([put("d")], [], [compare("d", "z")])],
    ["in a nested transaction", transaction([nested(transaction([], [], [compare("a")]))])],
  ])("outside of the shard are refused: %s", (_what, given) => {
    expect(faultOf(given)).toBe("crossShard");
  });

  test("that are empty or too long are refused, with the limit", () => {
    expect(faultOf(transaction([put("")]))).toBe("keyEmpty");
    const long = keysFault(
      transaction([put("d".repeat(KEY_SIZE_BYTES_MAX + 1))]),
      RANGE,
      PREFIX_LENGTH,
    );
    expect(long).toMatchObject({ code: "keyTooLarge", details: { bound: KEY_SIZE_BYTES_MAX } });
  });
});
