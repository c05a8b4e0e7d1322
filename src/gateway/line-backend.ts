/**
 * The part of the `Backend` that is about locks and elections, which are waiting lines. A lease of
 * 0 stands for one of a minute that the backend grants. Who waits is given up by the signal, and
 * leaves no key behind.
 */
import type { KeyValue } from "../protocol/key-value.js";

export interface LockAnswer {
  readonly revision: number;
  readonly key: Uint8Array;
}

/** By which a leader is known. */
export interface LeaderKey {
  readonly name: Uint8Array;
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lease: bigint;
}

export interface CampaignAnswer {
  readonly revision: number;
  readonly leader: LeaderKey;
}

export interface ProclaimAnswer {
  readonly revision: number;
  /** Nothing was proclaimed by somebody who does not lead any more. */
  readonly isLeader: boolean;
}

export interface LeaderAnswer {
  readonly revision: number;
  readonly kv: KeyValue;
}

/** Leaders and what they proclaim, from the one there is now. */
export interface LeaderStream {
  /** undefined once it was cancelled. One caller at a time. */
  next(): Promise<LeaderAnswer | undefined>;
  cancel(): void;
}

export interface LineBackend {
  lock(name: Uint8Array, lease: bigint, signal: AbortSignal | undefined): Promise<LockAnswer>;
  /** Gives the revision. */
  unlock(key: Uint8Array): Promise<number>;
  campaign(
    candidate: { readonly name: Uint8Array; readonly lease: bigint; readonly value: Uint8Array },
    signal: AbortSignal | undefined,
  ): Promise<CampaignAnswer>;
  proclaim(leader: LeaderKey, value: Uint8Array): Promise<ProclaimAnswer>;
  leader(name: Uint8Array): Promise<LeaderAnswer | undefined>;
  observe(name: Uint8Array): LeaderStream;
  /** Gives the revision. */
  resign(leader: LeaderKey): Promise<number>;
}
