/** Messages of etcd's Lease service that are hot: many leases, kept alive all the time. */
import { beginFrame, endFrame } from "./grpc-frames.js";
import type { HeaderWriter } from "./kv-responses.js";
import type { KeepAliveAnswer } from "./lease-backend.js";
import type { WireReader } from "./wire.js";

export interface GrantRequest {
  readonly ttlSeconds: number;
  readonly id: bigint;
}

/** A time below zero is no time. */
export function readGrant(reader: WireReader): GrantRequest {
  let ttlSeconds = 0;
  let id = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) ttlSeconds = reader.int64();
    else if (tag === 0x10) id = reader.uint64Big();
    else reader.skip(tag, 2);
  }
  return { ttlSeconds: Math.min(Math.max(ttlSeconds, 0), Number.MAX_SAFE_INTEGER), id };
}

/** A request that names a lease in its first field, and nothing else. */
export function readLeaseId(reader: WireReader): bigint {
  let id = 0n;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 0x08) id = reader.uint64Big();
    else reader.skip(tag, 1);
  }
  return id;
}

/** The answer to a grant, and to a keep-alive: the same fields. */
export function leaseFrame(
  header: HeaderWriter,
  id: bigint,
  { revision, ttlSeconds }: KeepAliveAnswer,
): Uint8Array {
  const out = beginFrame();
  header.write(out, revision);
  out.int64Big(2, id);
  out.int64(3, ttlSeconds);
  return endFrame(out);
}
