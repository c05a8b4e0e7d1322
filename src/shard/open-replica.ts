/**
 * Opens a replica's durable state: what the tree holds and what the log holds are made to fit, by
 * these rules.
 *
 *   no tree                                → a new replica with the descriptor's configuration
 *   log ends before the tree, or disagrees
 *   with it about the term at its index    → the log starts anew behind the tree
 *   otherwise                              → entries behind the tree's index are applied again
 *
 * commit is at least what the tree holds; so is the term, and a vote from an older term is void.
 */
import { lastIndexOf } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import { assert } from "../base/assert.js";
import type { RecoveredShard } from "../log/log-types.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { ShardDescriptor } from "../protocol/cluster.js";
import { decodeConfiguration, encodeConfiguration } from "../raft/configuration-codec.js";
import type { Configuration, HardState } from "../raft/types.js";
import { Raft } from "../raft/raft.js";
import type { RaftConfig } from "../raft/types.js";
import type { Store } from "../store/store.js";

/** What is the same for all replicas of a node. */
export interface ReplicaSettings {
  readonly nodeId: number;
  readonly electionTimeoutMs: { readonly min: number; readonly max: number };
  readonly heartbeatMs: number;
  /** 0: no lease reads. */
  readonly leaseMs: number;
  readonly clockDriftRatio: number;
  readonly tickMs: number;
  /** How much later each further replica campaigns when its leader's node is lost. */
  readonly campaignRankMs: number;
}

export interface OpenRequest {
  readonly descriptor: ShardDescriptor;
  readonly recovered: RecoveredShard | undefined;
  readonly nowMs: number;
  readonly random: () => number;
}

export interface OpenedReplica {
  readonly replicaId: number;
  readonly raft: Raft;
  readonly tree: Tree;
}

/** About the time from a commit to the next append of clients that were just answered. */
const COMMIT_NOTICE_MS = 2;
/** What a replica that catches up applies before others get their turn. */
const APPLY_SIZE_BYTES = 1024 * 1024;
/** The revision of a keyspace in which nothing was written yet, as in etcd. */
const FIRST_REVISION = 1;

export function openReplica(
  host: { readonly store: Store },
  settings: ReplicaSettings,
  request: OpenRequest,
): OpenedReplica {
  const { descriptor, recovered } = request;
  const own = descriptor.replicas.find((each) => each.nodeId === settings.nodeId);
  assert(own !== undefined, "the descriptor names no replica on this node");
  const { store } = host;
  const tree = store.tree(descriptor.shardId) ?? createTree(store, descriptor);
  const log = reconcile(tree.flushed, recovered);
  if (log.reset) store.log.reset(descriptor.shardId, own.replicaId, log.baseIndex, log.baseTerm);
  if (recovered?.hardState === undefined || log.reset) {
    store.log.saveHardState(descriptor.shardId, own.replicaId, log.hardState);
  }
  const configuration = decodeConfiguration(tree.flushed.configuration);
  const promised = recovered?.hardState !== undefined && configuration.voters.length > 1;
  const raft = new Raft(
    raftConfig(settings, own.replicaId, request, promised),
    {
      hardState: log.hardState,
      snapshot: { index: log.baseIndex, term: log.baseTerm, configuration },
      runs: log.runs,
      appliedIndex: tree.flushed.index,
    },
    request.nowMs,
  );
  return { replicaId: own.replicaId, raft, tree };
}

interface FittedLog {
  readonly reset: boolean;
  readonly baseIndex: number;
  readonly baseTerm: number;
  readonly runs: readonly EntryRun[];
  readonly hardState: HardState;
}

/**
 * Why a replica must stay closed: it may have lost what it acknowledged, so it may neither vote nor
 * serve. undefined where nothing is wrong.
 */
export function damageOf(
  tree: Tree | undefined,
  recovered: RecoveredShard | undefined,
  mayBeMissing: boolean,
): string | undefined {
  if (recovered === undefined) {
    return tree !== undefined && mayBeMissing ? "its log may have been lost" : undefined;
  }
  if (recovered.health.kind === "corrupt") return "entries of its log cannot be read";
  if (tree === undefined) {
    // A crash between the making of a tree and the first record of its log leaves the log empty.
    return recovered.baseIndex > 0 ? "its tree is gone" : undefined;
  }
  if (recovered.baseIndex <= tree.flushed.index) return undefined;
  return "its log begins behind the end of its tree";
}

/** Makes the log fit the tree; see the rules at the top. */
export function reconcile(flushed: FlushedState, recovered: RecoveredShard | undefined): FittedLog {
  const found = recovered?.hardState ?? { term: 0, vote: 0, commitIndex: 0 };
  const raised = flushed.term > found.term;
  const hardState = {
    term: raised ? flushed.term : found.term,
    vote: raised ? 0 : found.vote,
    commitIndex: Math.max(found.commitIndex, flushed.index),
  };
  const fresh: FittedLog = {
    reset: flushed.index > 0,
    baseIndex: flushed.index,
    baseTerm: flushed.term,
    runs: [],
    hardState: { ...hardState, commitIndex: flushed.index },
  };
  if (recovered === undefined) return fresh;
  const { baseIndex, baseTerm, runs } = recovered;
  const newest = runs[runs.length - 1];
  const lastIndex = newest === undefined ? baseIndex : lastIndexOf(newest);
  assert(baseIndex <= flushed.index, "the log was trimmed behind what the tree holds");
  if (lastIndex < flushed.index) return fresh;
  if (termIn(recovered, flushed.index) !== flushed.term) return fresh;
  const commitIndex = Math.min(hardState.commitIndex, lastIndex);
  return { reset: false, baseIndex, baseTerm, runs, hardState: { ...hardState, commitIndex } };
}

function termIn(recovered: RecoveredShard, index: number): number {
  if (index === recovered.baseIndex) return recovered.baseTerm;
  const run = recovered.runs.find((each) => index >= each.firstIndex && index <= lastIndexOf(each));
  return run === undefined ? -1 : run.term;
}

function createTree(store: Store, descriptor: ShardDescriptor): Tree {
  const configuration: Configuration = {
    voters: idsOf(descriptor, "voter"),
    outgoing: [],
    learners: idsOf(descriptor, "learner"),
    learnersNext: [],
  };
  return store.createTree(descriptor.shardId, descriptor.range, {
    index: 0,
    term: 0,
    revision: FIRST_REVISION,
    compactedRevision: 0,
    closedRevision: FIRST_REVISION,
    logicalClock: 0,
    configuration: encodeConfiguration(configuration),
  });
}

function idsOf(descriptor: ShardDescriptor, role: "voter" | "learner"): number[] {
  const ids = descriptor.replicas.filter((each) => each.role === role);
  return ids.map((each) => each.replicaId).sort((a, b) => a - b);
}

function raftConfig(
  settings: ReplicaSettings,
  selfId: number,
  request: OpenRequest,
  promised: boolean,
): RaftConfig {
  return {
    selfId,
    electionTimeoutMs: settings.electionTimeoutMs,
    heartbeatMs: settings.heartbeatMs,
    leaseMs: settings.leaseMs,
    clockDriftRatio: settings.clockDriftRatio,
    preVote: true,
    checkQuorum: true,
    inflightMessagesMax: 256,
    inflightBytesMax: 8 * 1024 * 1024,
    appendBytesMax: 1024 * 1024,
    uncommittedBytesMax: 64 * 1024 * 1024,
    applyBytesMax: APPLY_SIZE_BYTES,
    commitNoticeMs: COMMIT_NOTICE_MS,
    electionPriority: 0,
    quiesceAfterMs: 0,
    random: request.random,
    voteHoldUntilMs: promised ? request.nowMs + settings.leaseMs : 0,
  };
}
