/**
 * Whether a request is too large, as etcd counts: what a member proposes is the request as it came,
 * in one with its id. Reads are not proposed, and have no bound but that of a message.
 */
import { etcdError, GRPC } from "./status.js";

/** A field's number where it fits into one byte, as those of all requests do. */
const TAG_BYTES = 1;
/**
 * Around the id: the number of its message, the length, and its own number. Of the id itself: 9 or
 * 10, by the member that proposes, of which the larger requests fit with the first.
 */
const ID_BYTES = 2 + 1 + 1 + 9;
const VARINT_BITS = 7;

/** Throws StatusError. `messageBytes` is the request's length in protobuf. */
export function checkProposedSize(messageBytes: number, requestBytesMax: number): void {
  const bytes = ID_BYTES + TAG_BYTES + lengthBytes(messageBytes) + messageBytes;
  if (bytes > requestBytesMax) throw etcdError(GRPC.invalidArgument, "request is too large");
}

/** What a length takes as a varint. */
function lengthBytes(length: number): number {
  let bytes = 1;
  for (let rest = length >>> VARINT_BITS; rest > 0; rest >>>= VARINT_BITS) bytes++;
  return bytes;
}
