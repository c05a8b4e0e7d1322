/** The part of the `Backend` that is about leases. Ids are unsigned numbers of 64 bits. */
export interface GrantAnswer {
  readonly revision: number;
  readonly id: bigint;
  readonly ttlSeconds: number;
}

export interface KeepAliveAnswer {
  readonly revision: number;
  /** 0: there is no such lease. */
  readonly ttlSeconds: number;
}

export interface TimeToLiveAnswer {
  readonly revision: number;
  /** -1: there is no such lease. */
  readonly ttlSeconds: number;
  readonly grantedTtlSeconds: number;
  /** Empty unless asked for. */
  readonly keys: readonly Uint8Array[];
}

export interface LeasesAnswer {
  readonly revision: number;
  readonly ids: readonly bigint[];
}

export interface LeaseBackend {
  /** An id of 0 lets the backend choose one. */
  grant(ttlSeconds: number, id: bigint): Promise<GrantAnswer>;
  /** Gives the revision in which the lease's keys were deleted. */
  revoke(id: bigint): Promise<number>;
  keepAlive(id: bigint): Promise<KeepAliveAnswer>;
  timeToLive(id: bigint, keys: boolean): Promise<TimeToLiveAnswer>;
  list(): Promise<LeasesAnswer>;
}
