/** Keys and values as a reader sees them, and what a reader may ask of a read. */

/** Levels from strongest to weakest; see the guarantees in the README. */
export const READ_LEVELS = { linearizable: 0, lease: 1, follower: 2, stale: 3 } as const;
export type ReadLevel = keyof typeof READ_LEVELS;

export interface KeyValue {
  /** The user key. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Revision of the write that created the key since it was last absent. */
  readonly createRevision: number;
  /** Revision of the write that this version is. */
  readonly modRevision: number;
  /** Writes since it was created; 1 for the creating one. */
  readonly version: number;
  /** Id of the attached lease, 0n for none: an opaque 64-bit number. */
  readonly lease: bigint;
}

/** What every answer says about the state it shows. */
export interface ResponseHeader {
  /** The keyspace's revision when the answer was made; for `stale` the closed one it shows. */
  readonly revision: number;
  readonly shardId: number;
  readonly nodeId: number;
  /** Raft term of the shard at the answering replica. */
  readonly raftTerm: number;
  /** The level by which a read was served. */
  readonly level: ReadLevel;
  /** `stale` only: the state shown is at most this old; otherwise 0. */
  readonly ageMs: number;
}

export interface WatchEvent {
  readonly type: "put" | "delete";
  /** Of a delete: key and modRevision only. */
  readonly kv: KeyValue;
  readonly prevKv: KeyValue | undefined;
}
