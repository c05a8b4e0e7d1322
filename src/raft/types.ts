/**
 * The data that crosses the border of the Raft core: what it is told at the start, what it keeps
 * durable, and what it asks its caller to do. Plain values; nothing here has behaviour.
 *
 * Times are milliseconds of one monotonic clock, told by the caller with every input.
 */
import type { EntryRun } from "../base/entry-run.js";

/** Unique in the shard and never used again after a removal; 0 stands for "none". */
export type ReplicaId = number;

export type Role = "follower" | "preCandidate" | "candidate" | "leader";

/** (term, vote) is one atomic record: a crash between them would allow a second vote in a term. */
export interface HardState {
  readonly term: number;
  readonly vote: ReplicaId;
  readonly commitIndex: number;
}

/** The members. While joint, a decision needs a majority of `voters` and one of `outgoing`. */
export interface Configuration {
  readonly voters: readonly ReplicaId[];
  /** The voters that are on their way out or stay; empty unless the configuration is joint. */
  readonly outgoing: readonly ReplicaId[];
  readonly learners: readonly ReplicaId[];
  /** Outgoing voters that become learners when the joint configuration is left. */
  readonly learnersNext: readonly ReplicaId[];
}

/** All the core knows of a snapshot: where in the log it stands, and the members there. */
export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
}

export interface ElectionTimeoutMs {
  readonly min: number;
  readonly max: number;
}

/** How much may be under way at a time. */
export interface FlowLimits {
  /** To one replica; no fewer bytes than one append message has. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Entries in one append message; a single larger entry still goes alone. */
  readonly appendBytesMax: number;
  /** A leader with nothing uncommitted takes an entry of any size. */
  readonly uncommittedBytesMax: number;
}

export interface RaftConfig extends FlowLimits {
  readonly selfId: ReplicaId;
  readonly electionTimeoutMs: ElectionTimeoutMs;
  readonly heartbeatMs: number;
  /** How long a voter's promise lasts; 0 switches leader leases off. */
  readonly leaseMs: number;
  /** Bound on how much faster one monotonic clock runs than another, as a fraction. */
  readonly clockDriftRatio: number;
  /** For so long a leader's clock may stand still in a lease without the caller noticing. */
  readonly unnoticedSleepMs: number;
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
  /** Committed entries in one Ready; a single larger entry still comes alone. */
  readonly applyBytesMax: number;
  /**
   * A new commit index waits this long for an append to travel with before it is sent alone: under
   * load there is always one, and half of all messages are spared. 0: never waits.
   */
  readonly commitNoticeMs: number;
  /** Rank among the voters: 0 campaigns first, each further rank waits 20 ms longer. */
  readonly electionPriority: number;
  /** A leader without work for this long lets its group rest; 0: never. See quiescence.ts. */
  readonly quiesceAfterMs: number;
  /** Uniform in [0, 1); the only source of chance. */
  readonly random: () => number;
  /** Before this time no vote is given: an earlier run may have promised one away. 0: no wait. */
  readonly voteHoldUntilMs: number;
}

/** What the log and the state machine held when this replica started. */
export interface Restored {
  readonly hardState: HardState;
  /** The base of the log; index and term 0 for a new shard. */
  readonly snapshot: SnapshotMark;
  readonly runs: readonly EntryRun[];
  readonly appliedIndex: number;
  /** How far the log went before its end was lost; undefined where nothing is. */
  readonly floor?: LogPoint | undefined;
  /** What was applied up to `appliedIndex` is lost. */
  readonly stateLost?: boolean | undefined;
}

/** A point of a log; of two logs the one whose end has the higher term goes further. */
export interface LogPoint {
  readonly index: number;
  readonly term: number;
}

/** What must become durable, as one unit, after every Persist handed out before it. */
export interface Persist {
  readonly hardState: HardState | undefined;
  /** An append at an index at or below the last replaces the tail from there. */
  readonly runs: readonly EntryRun[];
  /** A received snapshot replaces the whole log; `runs` then follow it. */
  readonly snapshot: SnapshotMark | undefined;
  /** The snapshot replaces the state alone, which was lost: the log has it and goes on. */
  readonly keepsLog: boolean;
}

/** A read that was asked for with `context` may be served once `index` is applied. */
export interface ConfirmedRead {
  readonly context: number;
  readonly index: number;
}

/** Entries that a leader has on its disk only, and a replica lacks. */
export interface EntriesRequest {
  readonly to: ReplicaId;
  readonly firstIndex: number;
  /** None beyond this one are wanted. */
  readonly lastIndex: number;
}

/** Replica `to` needs a snapshot that stands at `index` or later. */
export interface SnapshotRequest {
  readonly to: ReplicaId;
  readonly term: number;
  readonly index: number;
}

export type RaftEvent =
  | {
      readonly kind: "role";
      readonly role: Role;
      readonly term: number;
      readonly leaderId: ReplicaId;
    }
  | {
      readonly kind: "vote";
      readonly term: number;
      readonly candidateId: ReplicaId;
      readonly preVote: boolean;
      readonly granted: boolean;
    }
  | { readonly kind: "quorumLost"; readonly term: number }
  | { readonly kind: "leaseAcquired"; readonly term: number }
  | { readonly kind: "leaseLost"; readonly term: number }
  | {
      readonly kind: "transfer";
      readonly to: ReplicaId;
      readonly phase: "started" | "timeoutNow" | "aborted";
    }
  | { readonly kind: "quiescence"; readonly term: number; readonly quiet: boolean }
  | {
      readonly kind: "configuration";
      readonly index: number;
      readonly configuration: Configuration;
    }
  | { readonly kind: "snapshotInstalled"; readonly index: number; readonly term: number };

export type ProposeRefusal =
  | "termChanged"
  | "transferring"
  | "uncommittedLimit"
  | "configurationPending"
  | "noCommitInTerm"
  | "learnerLags"
  | "invalidConfiguration";

export type ProposeResult =
  | { readonly kind: "accepted"; readonly firstIndex: number; readonly term: number }
  | { readonly kind: "notLeader"; readonly leaderId: ReplicaId }
  | { readonly kind: "refused"; readonly reason: ProposeRefusal };

export type TransferRefusal =
  | "notLeader"
  | "alreadyLeader"
  | "notVoter"
  /** It lacks something that it once had, and could not lead. */
  | "refilling"
  | "transferring";
