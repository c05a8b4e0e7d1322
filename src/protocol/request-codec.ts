/**
 * The small data requests.
 *
 *   txn:      routed header | read options | transaction | optional fields
 *   compact:  routed header | u53 revision | optional fields; answer header back
 *   sequence: u32 keyspaceId; back comes u53 revision
 *
 * The answer to txn is the answer header, u8 succeeded, and the results.
 */
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { ShardDescriptor } from "./cluster.js";
import { encodeReadOptions } from "./get-codec.js";
import type { ReadOptions } from "./get-codec.js";
import { encodeRoutedHeader } from "./routed-header.js";

/** Writes what precedes the transaction. The reading side uses decodeReadOptions. */
export function encodeTxnHead(out: ByteWriter, shard: ShardDescriptor, options: ReadOptions): void {
  encodeRoutedHeader(out, shard);
  encodeReadOptions(out, options);
}

export interface CompactRequest {
  readonly revision: number;
}

export function encodeCompact(
  out: ByteWriter,
  shard: ShardDescriptor,
  request: CompactRequest,
): void {
  encodeRoutedHeader(out, shard);
  out.u53(request.revision);
}

/** Reads what follows the routed header. */
export function decodeCompact(reader: ByteReader): CompactRequest {
  return { revision: reader.u53() };
}
