/**
 * Runs a transaction against a view of the state and writes its result as it goes. All compares,
 * nested ones too, are decided before the first operation runs; operations then run in order and
 * see what earlier ones of the same transaction wrote, because the view reads through the overlay
 * into which they are written.
 *
 * A refusal in the middle refuses the whole: the caller takes back what was written.
 */
import { assert, must } from "../base/assert.js";
import { writeU32, writeU53 } from "../base/coding.js";
import type { ByteWriter } from "../base/coding.js";
import type { EntryView } from "../lsm/entry.js";
import { TRANSACTION_ROWS_MAX } from "../base/limits.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { KeyValueView, leaseHigh, leaseLow, writeKeyValue } from "../protocol/key-value-codec.js";
import { OPERATION_KINDS } from "../protocol/operation-codec.js";
import type {
  DeleteOperation,
  Operation,
  PutOperation,
  Transaction,
} from "../protocol/operations.js";
import { PUT_FLAGS } from "../protocol/put-codec.js";
import { DELETE_RESULT_HEAD_BYTES } from "../protocol/result-codec.js";
import { holds } from "./compare.js";
import type { CountRest } from "./count-rest.js";
import type { RowWriter } from "./row-writer.js";
import { RangeReader, tooLarge } from "./range-reader.js";
import type { StateView } from "./state-view.js";
import { readRow } from "./stored-value.js";

export class TransactionRunner {
  readonly #state: StateView;
  readonly #prefixLength: number;
  readonly #ranges: RangeReader;
  /** undefined where transactions can only read. */
  readonly #writer: RowWriter | undefined;
  readonly #row = new KeyValueView();
  /** The outcomes of compares on the way taken, in the order in which they will be needed. */
  #decisions: boolean[] = [];
  #decisionAt = 0;
  #paged = false;
  /** Where in the writer this answer begins. */
  #start = 0;

  constructor(state: StateView, prefixLength: number, writer: RowWriter | undefined) {
    this.#state = state;
    this.#prefixLength = prefixLength;
    this.#ranges = new RangeReader(prefixLength);
    this.#writer = writer;
  }

  /** Writes "u8 succeeded | results"; on a refusal what is in `out` is of no use. */
  run(txn: Transaction, out: ByteWriter): KvError | undefined {
    this.#start = out.length;
    this.#decisions = [];
    this.#decisionAt = 0;
    this.#paged = this.#writer === undefined && isOneRange(txn);
    const budget = this.#ranges.sliced ? Number.POSITIVE_INFINITY : TRANSACTION_ROWS_MAX;
    this.#state.budget = { rowsLeft: budget };
    this.#decide(txn);
    return this.#tooManyRows() ?? this.#runBranch(txn, out);
  }

  /** As run, but a long count is put aside after a slice: `takeRest` has what is left of it. */
  runSliced(txn: Transaction, out: ByteWriter): KvError | undefined {
    this.#ranges.sliced = isOneRange(txn);
    const error = this.run(txn, out);
    this.#ranges.sliced = false;
    return error;
  }

  takeRest(): CountRest | undefined {
    return this.#ranges.takeRest();
  }

  #decide(txn: Transaction): void {
    let succeeded = true;
    for (const compare of txn.compares) {
      succeeded = holds(this.#state, compare, this.#row);
      if (!succeeded) break;
    }
    this.#decisions.push(succeeded);
    for (const operation of succeeded ? txn.success : txn.failure) {
      if (operation.kind === "txn") this.#decide(operation.txn);
    }
  }

  #runBranch(txn: Transaction, out: ByteWriter): KvError | undefined {
    const succeeded = must(this.#decisions[this.#decisionAt++], "decision");
    const operations = succeeded ? txn.success : txn.failure;
    out.u8(succeeded ? 1 : 0);
    out.varint(operations.length);
    for (const operation of operations) {
      out.u8(OPERATION_KINDS[operation.kind]);
      const error =
        this.#runOperation(operation, out) ??
        this.#tooManyRows() ??
        tooLarge(out.length - this.#start);
      if (error !== undefined) return error;
    }
    return undefined;
  }

  /** What was cut short is refused as a whole, never answered. */
  #tooManyRows(): KvError | undefined {
    if (this.#state.budget.rowsLeft >= 0) return undefined;
    const bound = TRANSACTION_ROWS_MAX;
    const message = `the transaction visits more than ${bound} rows; ask for less at once`;
    return notApplied("limitExceeded", message, { bound });
  }

  #runOperation(operation: Operation, out: ByteWriter): KvError | undefined {
    switch (operation.kind) {
      case "range":
        return this.#ranges.read(this.#state, operation, this.#paged, out, this.#start);
      case "txn":
        return this.#runBranch(operation.txn, out);
      case "put":
        return this.#put(operation, out);
      case "delete":
        return this.#delete(operation, out);
    }
  }

  #put(operation: PutOperation, out: ByteWriter): KvError | undefined {
    const writer = must(this.#writer, "writer of a transaction that writes");
    const row = writer.row;
    row.keyBytes = operation.key;
    row.keyOffset = 0;
    row.keyLength = operation.key.length;
    row.valueBytes = operation.value;
    row.valueOffset = 0;
    row.valueLength = operation.value.length;
    row.leaseLow = leaseLow(operation.lease);
    row.leaseHigh = leaseHigh(operation.lease);
    const ignored =
      (operation.ignoreValue ? PUT_FLAGS.ignoreValue : 0) |
      (operation.ignoreLease ? PUT_FLAGS.ignoreLease : 0);
    const error = writer.put(ignored);
    if (error !== undefined) return error;
    const givePrevious = operation.prevKv && writer.hadPrevious;
    out.u8(givePrevious ? 1 : 0);
    if (givePrevious) writeKeyValue(out, writer.previous);
    return undefined;
  }

  #delete(operation: DeleteOperation, out: ByteWriter): KvError | undefined {
    assert(this.#writer !== undefined, "a delete among reads");
    const head = out.reserve(DELETE_RESULT_HEAD_BYTES);
    const { key, rangeEnd } = operation;
    let deleted = 0;
    let error: KvError | undefined;
    if (rangeEnd === undefined) {
      const entry = this.#state.find(key, 0, key.length, this.#state.newest);
      if (entry !== undefined) {
        deleted = 1;
        error = this.#deleteRow(entry, operation.prevKv, out);
      }
    } else {
      const scan = this.#state.scan({ start: key, end: rangeEnd }, this.#state.newest);
      while (error === undefined && scan.next()) {
        deleted++;
        error = this.#deleteRow(scan.entry, operation.prevKv, out);
      }
      scan.close();
    }
    writeU53(out.bytes, head, deleted);
    writeU32(out.bytes, head + 8, operation.prevKv ? deleted : 0);
    return error;
  }

  #deleteRow(entry: EntryView, prevKv: boolean, out: ByteWriter): KvError | undefined {
    const writer = must(this.#writer);
    readRow(entry, this.#prefixLength, this.#row);
    if (prevKv) writeKeyValue(out, this.#row);
    return writer.delete(entry, this.#row) ?? tooLarge(out.length - this.#start);
  }
}

/** Whether a transaction is nothing but one range; one within another transaction is not. */
function isOneRange({ compares, success, failure }: Transaction): boolean {
  const alone = compares.length === 0 && failure.length === 0 && success.length === 1;
  return alone && success[0]!.kind === "range";
}
