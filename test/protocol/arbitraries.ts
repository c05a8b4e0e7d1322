/** Generators of keys, values, transactions and their results, shared by the codec tests. */
import { fc } from "@fast-check/vitest";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type {
  Compare,
  Operation,
  OperationResult,
  Transaction,
  TransactionResult,
} from "../../src/protocol/operations.js";

export const bytes: fc.Arbitrary<Uint8Array> = fc.uint8Array({ maxLength: 70 });
export const counter: fc.Arbitrary<number> = fc.maxSafeNat();
const lease = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const end = fc.option(bytes, { nil: undefined });

export const keyValue: fc.Arbitrary<KeyValue> = fc.record({
  key: bytes,
  value: bytes,
  createRevision: counter,
  modRevision: counter,
  version: counter,
  lease,
});

export const watchEvent: fc.Arbitrary<WatchEvent> = fc.record({
  type: fc.constantFrom("put" as const, "delete" as const),
  kv: keyValue,
  prevKv: fc.option(keyValue, { nil: undefined }),
});

const compare: fc.Arbitrary<Compare> = fc.record({
  key: bytes,
  rangeEnd: end,
  result: fc.constantFrom("equal", "greater", "less", "notEqual"),
  target: fc.oneof(
    fc.record({ kind: fc.constantFrom("version", "create", "mod"), value: counter }),
    fc.record({ kind: fc.constant("value" as const), value: bytes }),
    fc.record({ kind: fc.constant("lease" as const), value: lease }),
  ),
});

const put = fc.record({
  kind: fc.constant("put" as const),
  key: bytes,
  value: bytes,
  lease,
  prevKv: fc.boolean(),
  ignoreValue: fc.boolean(),
  ignoreLease: fc.boolean(),
});

const range = fc.record({
  kind: fc.constant("range" as const),
  key: bytes,
  rangeEnd: end,
  limit: counter,
  revision: counter,
  sortOrder: fc.constantFrom("none" as const, "ascend" as const, "descend" as const),
  sortTarget: fc.constantFrom("key", "version", "create", "mod", "value"),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  skipCount: fc.boolean(),
  minModRevision: counter,
  maxModRevision: counter,
  minCreateRevision: counter,
  maxCreateRevision: counter,
});

const remove = fc.record({
  kind: fc.constant("delete" as const),
  key: bytes,
  rangeEnd: end,
  prevKv: fc.boolean(),
});

function operation(depth: number): fc.Arbitrary<Operation> {
  if (depth === 0) return fc.oneof(put, range, remove);
  const nested = fc.record({ kind: fc.constant("txn" as const), txn: transactionOf(depth - 1) });
  return fc.oneof(put, range, remove, nested);
}

function transactionOf(depth: number): fc.Arbitrary<Transaction> {
  return fc.record({
    compares: fc.array(compare, { maxLength: 3 }),
    success: fc.array(operation(depth), { maxLength: 3 }),
    failure: fc.array(operation(depth), { maxLength: 3 }),
  });
}

export const transaction: fc.Arbitrary<Transaction> = transactionOf(2);

const kvs = fc.array(keyValue, { maxLength: 3 });

function operationResult(depth: number): fc.Arbitrary<OperationResult> {
  const flat: fc.Arbitrary<OperationResult> = fc.oneof(
    fc.record({
      kind: fc.constant("put" as const),
      prevKv: fc.option(keyValue, { nil: undefined }),
    }),
    fc.record({ kind: fc.constant("range" as const), kvs, more: fc.boolean(), count: counter }),
    fc.record({ kind: fc.constant("delete" as const), deleted: counter, prevKvs: kvs }),
  );
  if (depth === 0) return flat;
  const nested = fc.record({ kind: fc.constant("txn" as const), result: resultOf(depth - 1) });
  return fc.oneof(flat, nested);
}

function resultOf(depth: number): fc.Arbitrary<TransactionResult> {
  return fc.record({
    succeeded: fc.boolean(),
    results: fc.array(operationResult(depth), { maxLength: 3 }),
  });
}

export const transactionResult: fc.Arbitrary<TransactionResult> = resultOf(2);
