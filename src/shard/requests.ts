/** What waits in a replica: reads on their way to an answer and writes on their way to the log. */
import { EMPTY_BYTES } from "../base/bytes.js";
import type { ReadLevel } from "../protocol/key-value.js";
import type { Transaction } from "../protocol/operations.js";
import type { PutView } from "../protocol/put-codec.js";
import type { Responder } from "./responder.js";

export interface ReadRequest {
  readonly responder: Responder;
  readonly requestId: number;
  /** Point reads carry a key by offset, everything else a transaction without writes. */
  readonly transaction: Transaction | undefined;
  /** A question about leases, which only a leader can answer. */
  readonly lease?: LeaseQuestion | undefined;
  readonly bytes: Uint8Array;
  readonly keyOffset: number;
  readonly keyLength: number;
  readonly keysOnly: boolean;
  /** 0: the newest. */
  readonly revision: number;
  /** Read at this revision once every write at or below it is applied; 0: none. */
  readonly floorRevision: number;
  readonly level: ReadLevel;
  /** stale: the most the state may lag, 0 for any; and the least revision it must show. */
  readonly maxStalenessMs: number;
  readonly minRevision: number;
  /** Answered no earlier than when this index is applied. */
  minIndex: number;
}

/** A linearizable read of a transaction, or of what `lease` asks. */
export function linearizableRead(
  responder: Responder,
  requestId: number,
  { transaction, lease }: Partial<Pick<ReadRequest, "transaction" | "lease">>,
): ReadRequest {
  return {
    responder,
    requestId,
    transaction,
    lease,
    bytes: EMPTY_BYTES,
    keyOffset: 0,
    keyLength: 0,
    keysOnly: false,
    revision: 0,
    floorRevision: 0,
    level: "linearizable",
    maxStalenessMs: 0,
    minRevision: 0,
    minIndex: 0,
  };
}

/** About one lease, or without an id about which there are. */
export interface LeaseQuestion {
  readonly id: bigint | undefined;
  readonly keys: boolean;
}

/** An evaluated transaction without effects: an answer that waits to be true. */
export interface ConfirmedAnswer {
  readonly responder: Responder;
  readonly requestId: number;
  readonly revision: number;
  readonly response: Uint8Array;
  minIndex: number;
}

export type WriteRequest =
  | { readonly kind: "put"; readonly put: PutView }
  | { readonly kind: "transaction"; readonly transaction: Transaction }
  | { readonly kind: "compact"; readonly revision: number }
  | LeaseWrite;

export type LeaseWrite =
  | { readonly kind: "leaseGrant"; readonly id: bigint; readonly ttlSeconds: number }
  | { readonly kind: "leaseRenewal"; readonly id: bigint }
  | { readonly kind: "leaseEnd"; readonly id: bigint; readonly onlyIfOver: boolean };

/** A proposed write: answered when its entry is applied, or another entry in its place. */
export interface PendingWrite {
  readonly responder: Responder;
  readonly requestId: number;
  readonly revision: number;
  /** The answer's body after its header; undefined for a plain put. */
  readonly response: Uint8Array | undefined;
  index: number;
  term: number;
}
