/** How large a transaction is: its keys and values, without what frames them. */
import type { Operation, Transaction } from "./operations.js";

export interface TransactionSize {
  /** Of all keys, ends of ranges and values. */
  readonly bytes: number;
  /** Keys and ends of ranges. */
  readonly keys: number;
  /** Compares and operations. */
  readonly parts: number;
}

export function transactionSize(txn: Transaction): TransactionSize {
  const sum = new Sum();
  sum.addTransaction(txn);
  return sum;
}

class Sum implements TransactionSize {
  bytes = 0;
  keys = 0;
  parts = 0;

  addTransaction({ compares, success, failure }: Transaction): void {
    for (const { key, rangeEnd, target } of compares) {
      this.#add(key, rangeEnd);
      if (target.kind === "value") this.bytes += target.value.length;
    }
    for (const operation of success) this.#addOperation(operation);
    for (const operation of failure) this.#addOperation(operation);
  }

  #addOperation(operation: Operation): void {
    if (operation.kind === "txn") return this.addTransaction(operation.txn);
    const isPut = operation.kind === "put";
    this.#add(operation.key, isPut ? undefined : operation.rangeEnd);
    if (isPut) this.bytes += operation.value.length;
  }

  #add(key: Uint8Array, rangeEnd: Uint8Array | undefined): void {
    this.bytes += key.length + (rangeEnd?.length ?? 0);
    this.keys += rangeEnd === undefined ? 1 : 2;
    this.parts++;
  }
}
