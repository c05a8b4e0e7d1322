/** Generators of what clients do, over few keys so that they meet. Keys are user keys. */
import { fc } from "@fast-check/vitest";
import { utf8 } from "../../src/base/bytes.js";
import type {
  Compare,
  DeleteOperation,
  Operation,
  PutOperation,
  RangeOperation,
  Transaction,
} from "../../src/protocol/operations.js";

const KEYS = ["a", "aa", "ab", "b", "ba", "c", "cc", "d"];

export const key: fc.Arbitrary<Uint8Array> = fc.constantFrom(...KEYS).map(utf8);
export const rangeEnd: fc.Arbitrary<Uint8Array | undefined> = fc.option(
  fc.constantFrom(...KEYS, "zz").map(utf8),
  { nil: undefined },
);
/** Short values, and some that are stored apart. */
export const value: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 3 }) },
  { weight: 1, arbitrary: fc.nat(255).map((byte) => new Uint8Array(300).fill(byte)) },
);
export const revision: fc.Arbitrary<number> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 25 }) },
);

const target = fc.oneof(
  fc.record({ kind: fc.constantFrom("version", "create", "mod"), value: fc.nat(8) }),
  fc.record({ kind: fc.constant("value" as const), value }),
  fc.record({ kind: fc.constant("lease" as const), value: fc.constantFrom(0n, 1n, 1n << 40n) }),
);

const compare: fc.Arbitrary<Compare> = fc.record({
  key,
  rangeEnd,
  result: fc.constantFrom("equal", "greater", "less", "notEqual"),
  target,
});

const rarely = fc.integer({ min: 0, max: 9 }).map((n) => n === 9);

export const put: fc.Arbitrary<PutOperation> = fc
  .record({
    kind: fc.constant("put" as const),
    key,
    value,
    lease: rarely.map((leased) => (leased ? 9n : 0n)),
    prevKv: fc.boolean(),
    ignoreValue: rarely,
    ignoreLease: rarely,
  })
  .map((one) => (one.ignoreValue ? { ...one, value: one.value.subarray(0, 0) } : one));

export const range: fc.Arbitrary<RangeOperation> = fc.record({
  kind: fc.constant("range" as const),
  key,
  rangeEnd,
  limit: fc.nat(4),
  revision,
  sortOrder: fc.constantFrom("none" as const, "ascend" as const, "descend" as const),
  sortTarget: fc.constantFrom("key", "key", "version", "create", "mod", "value"),
  keysOnly: fc.boolean(),
  countOnly: rarely,
  skipCount: rarely,
  minModRevision: fc.oneof(fc.constant(0), fc.nat(8)),
  maxModRevision: fc.oneof(fc.constant(0), fc.nat(20)),
  minCreateRevision: fc.oneof(fc.constant(0), fc.nat(8)),
  maxCreateRevision: fc.oneof(fc.constant(0), fc.nat(20)),
});

export const remove: fc.Arbitrary<DeleteOperation> = fc.record({
  kind: fc.constant("delete" as const),
  key,
  rangeEnd,
  prevKv: fc.boolean(),
});

function operation(depth: number): fc.Arbitrary<Operation> {
  if (depth === 0) return fc.oneof(put, put, range, remove);
  const nested = fc.record({ kind: fc.constant("txn" as const), txn: transactionOf(depth - 1) });
  return fc.oneof(put, put, range, remove, nested);
}

function transactionOf(depth: number): fc.Arbitrary<Transaction> {
  return fc.record({
    compares: fc.array(compare, { maxLength: 2 }),
    success: fc.array(operation(depth), { maxLength: 3 }),
    failure: fc.array(operation(depth), { maxLength: 3 }),
  });
}

export const transaction: fc.Arbitrary<Transaction> = transactionOf(2);

export const readOnly: fc.Arbitrary<Transaction> = fc.record({
  compares: fc.array(compare, { maxLength: 1 }),
  success: fc.array(range, { maxLength: 2 }),
  failure: fc.array(range, { maxLength: 2 }),
});
