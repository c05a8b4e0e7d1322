/**
 * The messages between replicas of one shard. Every message has a kind, a sender, a receiver and
 * the sender's term. A message to oneself exists too: the own vote and the own acknowledgement
 * travel through the caller's disk and come back by step(), so that they count only when durable.
 */
import type { EntryRun } from "../base/entry-run.js";
import type { ReplicaId, SnapshotMark } from "./types.js";

interface Header {
  readonly from: ReplicaId;
  readonly to: ReplicaId;
  readonly term: number;
}

/** Would you vote for me in `term + 1`? Changes no term and no vote of anybody. */
export interface PreVoteMessage extends Header {
  readonly kind: "preVote";
  /** Names the asker's attempt, so that an answer to an earlier one counts for nothing. */
  readonly round: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
}

export interface PreVoteResponse extends Header {
  readonly kind: "preVoteResponse";
  readonly round: number;
  readonly granted: boolean;
}

export interface VoteMessage extends Header {
  readonly kind: "vote";
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The leader itself asked for this election, so that hearing the leader is no objection. */
  readonly transfer: boolean;
}

export interface VoteResponse extends Header {
  readonly kind: "voteResponse";
  readonly granted: boolean;
}

export interface AppendMessage extends Header {
  readonly kind: "append";
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly commitIndex: number;
  /** Contiguous from prevIndex + 1; may be empty. */
  readonly runs: readonly EntryRun[];
}

export interface AppendResponse extends Header {
  readonly kind: "appendResponse";
  /** The last index this answer verified, or the prevIndex it rejects. Never the log's end. */
  readonly index: number;
  /** Term of the sender's entry at `index`, or at `hintIndex` of a rejection. */
  readonly logTerm: number;
  readonly rejected: boolean;
  /** Of a rejection: the highest index at which the logs may still agree. */
  readonly hintIndex: number;
}

export interface HeartbeatMessage extends Header {
  readonly kind: "heartbeat";
  /** Numbered by the leader within its term; the response echoes it. */
  readonly round: number;
  /** Never beyond what this receiver has acknowledged. */
  readonly commitIndex: number;
  /** Asks for a promise to vote for nobody else for this long from receipt; 0 asks for none. */
  readonly promiseMs: number;
  /** The leader no longer relies on any promise it was given. */
  readonly release: boolean;
}

export interface HeartbeatResponse extends Header {
  readonly kind: "heartbeatResponse";
  readonly round: number;
  readonly promised: boolean;
}

/** Nothing is left to do: whoever holds exactly this log rests until it is woken. */
export interface QuiesceMessage extends Header {
  readonly kind: "quiesce";
  /** The last round before the rest; a late message names an older one than was seen since. */
  readonly round: number;
  /** The leader's last entry, committed. */
  readonly index: number;
  readonly logTerm: number;
}

export interface TimeoutNowMessage extends Header {
  readonly kind: "timeoutNow";
  readonly lastIndex: number;
}

/** A follower's request, one for all its waiting reads; the number is made by the core. */
export interface ReadIndexMessage extends Header {
  readonly kind: "readIndex";
  readonly request: number;
}

export interface ReadIndexResponse extends Header {
  readonly kind: "readIndexResponse";
  readonly request: number;
  /** 0 refuses. */
  readonly index: number;
}

/** The snapshot itself was streamed beside the core; this says that it is complete and staged. */
export interface InstallSnapshotMessage extends Header {
  readonly kind: "installSnapshot";
  readonly mark: SnapshotMark;
}

/** A follower has lost part of its log or its state and asks the leader for it, until it has it. */
export interface RefillMessage extends Header {
  readonly kind: "refill";
  /** Its log is sound and durable up to here: what it acknowledged beyond is void. */
  readonly lastIndex: number;
  /** Where its state is lost, a snapshot is wanted that stands here or later; 0: it is not. */
  readonly stateIndex: number;
}

export type Message =
  | PreVoteMessage
  | PreVoteResponse
  | VoteMessage
  | VoteResponse
  | AppendMessage
  | AppendResponse
  | HeartbeatMessage
  | HeartbeatResponse
  | QuiesceMessage
  | TimeoutNowMessage
  | ReadIndexMessage
  | ReadIndexResponse
  | InstallSnapshotMessage
  | RefillMessage;

export type MessageKind = Message["kind"];
