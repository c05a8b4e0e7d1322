/** The codecs of transactions and results: round trips, truncation, garbage, bytes. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { ByteReader, ByteWriter, DecodeError } from "../../src/base/coding.js";
import { TRANSACTION_DEPTH_MAX } from "../../src/base/limits.js";
import { decodeTransactionView, encodeTransaction } from "../../src/protocol/operation-codec.js";
import type { Transaction } from "../../src/protocol/operations.js";
import {
  decodeTransactionResult,
  encodeTransactionResult,
} from "../../src/protocol/result-codec.js";
import { transaction, transactionResult } from "./arbitraries.js";

function encoded(txn: Transaction): Uint8Array {
  const out = new ByteWriter(8);
  encodeTransaction(out, txn);
  return out.copy();
}

function nestedTo(depth: number): Transaction {
  const inner: Transaction = { compares: [], success: [], failure: [] };
  if (depth === 0) return inner;
  return { ...inner, success: [{ kind: "txn", txn: nestedTo(depth - 1) }] };
}

describe("the transaction codec", () => {
  test.prop([transaction])("gives back what it was given", (txn) => {
    const reader = new ByteReader(encoded(txn));
    expect(decodeTransactionView(reader)).toEqual(txn);
    expect(reader.remaining).toBe(0);
  });

  test.prop([transaction])("refuses every truncation", (txn) => {
    const whole = encoded(txn);
    for (let end = 0; end < whole.length; end++) {
      expect(() => decodeTransactionView(new ByteReader(whole, 0, end))).toThrow(DecodeError);
    }
  });

  test.prop([fc.uint8Array({ maxLength: 200 })])("meets garbage with DecodeError", (garbage) => {
    try {
      decodeTransactionView(new ByteReader(garbage));
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
    }
  });

  test("refuses nesting beyond the limit, and a count that cannot be", () => {
    const deepest = nestedTo(TRANSACTION_DEPTH_MAX);
    expect(decodeTransactionView(new ByteReader(encoded(deepest)))).toEqual(deepest);
    const tooDeep = encoded(nestedTo(TRANSACTION_DEPTH_MAX + 1));
    expect(() => decodeTransactionView(new ByteReader(tooDeep))).toThrow(/nested deeper/);
    const forged = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0);
    expect(() => decodeTransactionView(new ByteReader(forged))).toThrow(/items in/);
  });

  test("keeps its bytes: the numbers are format", () => {
    const txn: Transaction = {
      compares: [
        {
          key: utf8("k"),
          rangeEnd: undefined,
          result: "less",
          target: { kind: "value", value: utf8("v") },
        },
      ],
      success: [
        {
          kind: "put",
          key: utf8("a"),
          value: utf8("b"),
          lease: 0x1_0000_0002n,
          prevKv: true,
          ignoreValue: false,
          ignoreLease: false,
        },
      ],
      failure: [{ kind: "delete", key: utf8("a"), rangeEnd: utf8("z"), prevKv: false }],
    };
    const compare = [1, 3, 2, 0, 1, 0, 0, 0, 0x6b, 1, 0, 0, 0, 0x76];
    const put = [1, 1, 1, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x61, 1, 0, 0, 0, 0x62];
    const remove = [1, 3, 1, 1, 0, 0, 0, 0x61, 1, 0, 0, 0, 0x7a];
    expect([...encoded(txn)]).toEqual([...compare, ...put, ...remove]);
  });
});

describe("the result codec", () => {
  test.prop([transactionResult])("gives back what it was given", (result) => {
    const out = new ByteWriter(8);
    encodeTransactionResult(out, result);
    const reader = new ByteReader(out.copy());
    expect(decodeTransactionResult(reader)).toEqual(result);
    expect(reader.remaining).toBe(0);
  });
});
