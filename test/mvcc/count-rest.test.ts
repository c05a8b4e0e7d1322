/** Long counts in slices: exact, of the state as it was when the read began. */
import { expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { ByteReader, ByteWriter, writeU53 } from "../../src/base/coding.js";
import { TRANSACTION_ROWS_MAX } from "../../src/base/limits.js";
import { COUNT_SLICE_ROWS } from "../../src/mvcc/count-rest.js";
import type { RangeResult } from "../../src/protocol/operations.js";
import { decodeTransactionResult } from "../../src/protocol/result-codec.js";
import { rangeOf } from "../../src/protocol/operations.js";
import { put, range, txn } from "../support/operations.js";
import { Replica } from "./replica.js";
import { stored } from "./test-tree.js";

const ROWS = 2 * COUNT_SLICE_ROWS + 1000;

function filled(): Replica {
  const replica = new Replica();
  for (let i = 0; i < ROWS; i++) replica.put(utf8(`k${i}`), utf8("v"));
  replica.applyPending();
  return replica;
}

function wholeRange(limit: number, countOnly: boolean): Parameters<typeof txn>[1] {
  return [rangeOf(stored("k"), stored("l"), { limit, keysOnly: true, countOnly })];
}

test.each([
  { limit: 3, countOnly: false },
  { limit: 0, countOnly: true },
])("a count is put aside and completed while others write ($limit, $countOnly)", (wanted) => {
  const replica = filled();
  const { machine } = replica;
  const out = new ByteWriter(64);
  out.raw(utf8("answers to others"));
  const start = out.length;
  const request = txn([], wholeRange(wanted.limit, wanted.countOnly));
  expect(machine.readSliced(request, 0, out)).toBe(undefined);
  const rest = machine.takeRest()!;
  expect(rest.count).toBeGreaterThan(0);
  expect(rest.count).toBeLessThan(ROWS);
  let steps = 0;
  for (let done = false; !done; steps++) {
    replica.put(utf8(`k-new-${steps}`), utf8("later"));
    replica.put(utf8(`k${ROWS - 1 - steps}`), utf8("changed"));
    replica.applyPending();
    done = rest.step();
  }
  expect(steps).toBeGreaterThan(1);
  const body = out.bytes.slice(start, out.length);
  writeU53(body, rest.countAt, rest.count);
  const { results } = decodeTransactionResult(new ByteReader(body));
  const result = results[0] as RangeResult;
  expect(result.count).toBe(ROWS);
  expect(result.kvs).toHaveLength(wanted.limit);
});

test("a read that is not sliced counts to the end", () => {
  const out = new ByteWriter(64);
  const { machine } = filled();
  expect(machine.readTransaction(txn([], wholeRange(1, false)), 0, out)).toBe(undefined);
  expect(machine.takeRest()).toBe(undefined);
  const { results } = decodeTransactionResult(new ByteReader(out.copy()));
  expect((results[0] as RangeResult).count).toBe(ROWS);
});

test("a transaction that visits too many rows is refused as a whole", () => {
  const replica = filled();
  const counts = Array.from({ length: 20 }, () => wholeRange(0, true)[0]!);
  const out = new ByteWriter(64);
  const wanted = { code: "limitExceeded", details: { bound: TRANSACTION_ROWS_MAX } };
  expect(replica.machine.readTransaction(txn([], counts), 0, out)).toMatchObject(wanted);
  const written = replica.transaction({
    compares: [],
    success: [...counts.map(() => range("k", "l", { countOnly: true })), put("a")],
    failure: [],
  });
  expect(written.error).toMatchObject(wanted);
  expect(replica.machine.overlaySize).toBe(0);
  const few = txn([], counts.slice(0, 3));
  expect(replica.machine.readTransaction(few, 0, out)).toBe(undefined);
});
