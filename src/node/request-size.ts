/**
 * Which requests are too large: keys, as their user has them, and values are held to the limit, and
 * what frames them has room of its own.
 */
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import type { Transaction } from "../protocol/operations.js";
import type { PutView } from "../protocol/put-codec.js";
import { transactionSize } from "../protocol/transaction-size.js";

export function putSizeFault(
  { keyLength, valueLength }: PutView,
  bound: number,
): KvError | undefined {
  const bytes = keyLength + valueLength;
  return bytes > bound ? requestTooLarge(bytes, bound) : undefined;
}

/** `messageBytes` is the length of the message, in which the keys have a prefix. */
export function transactionSizeFault(
  transaction: Transaction,
  messageBytes: number,
  bound: number,
  prefixLength: number,
): KvError | undefined {
  if (messageBytes <= bound) return undefined;
  const { bytes, keys } = transactionSize(transaction);
  const userBytes = bytes - keys * prefixLength;
  return userBytes > bound ? requestTooLarge(userBytes, bound) : undefined;
}

export function requestTooLarge(bytes: number, bound: number): KvError {
  const text = `the request has ${bytes} bytes; at most ${bound} are accepted`;
  return notApplied("requestTooLarge", text, { bound });
}
