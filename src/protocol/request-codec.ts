/**
 * The small data requests.
 *
 *   txn:      routed header | read options | transaction | optional fields
 *   compact:  routed header | u53 revision | u8 physical | optional fields; answer header back
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
  /** Answer only when the space has been given back. */
  readonly physical: boolean;
}

export function encodeCompact(
  out: ByteWriter,
  shard: ShardDescriptor,
  request: CompactRequest,
): void {
  encodeRoutedHeader(out, shard);
  out.u53(request.revision);
  out.u8(request.physical ? 1 : 0);
}

/** Reads what follows the routed header. */
export function decodeCompact(reader: ByteReader): CompactRequest {
  const revision = reader.u53();
  return { revision, physical: reader.u8() === 1 };
}
