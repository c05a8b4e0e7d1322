/** A client's requests of leases in the words of a replica. */
import type { LeaseRequest } from "../protocol/lease-codec.js";
import { linearizableRead } from "../shard/requests.js";
import type { LeaseWrite, ReadRequest } from "../shard/requests.js";
import type { Responder } from "../shard/responder.js";

/** Only a leader knows how much time is left, so only it answers. */
export function leaseRead(
  responder: Responder,
  requestId: number,
  { kind, id, keys }: LeaseRequest,
): ReadRequest {
  const lease = { id: kind === "list" ? undefined : id, keys };
  return linearizableRead(responder, requestId, { lease });
}

/** A grant, a renewal or a revocation. */
export function leaseWrite({ kind, id, ttlSeconds }: LeaseRequest): LeaseWrite {
  if (kind === "grant") return { kind: "leaseGrant", id, ttlSeconds };
  if (kind === "keepAlive") return { kind: "leaseRenewal", id };
  return { kind: "leaseEnd", id, onlyIfOver: false };
}
