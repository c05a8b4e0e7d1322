/**
 * Opens a replica's durable state: what the tree holds and what the log holds are made to fit, by
 * these rules.
 *
 *   no tree                                → a new replica with the descriptor's configuration; a
 *                                            learner, where the shard is older than it
 *   log ends before the tree, or disagrees
 *   with it about the term at its index    → the log starts anew behind the tree
 *   otherwise                              → entries behind the tree's index are applied again
 *
 * What is damaged is opened too, where the others can refill it:
 *
 *   lost entries, all of them in the tree  → the log starts behind the tree; nothing is missing
 *   lost entries behind the tree           → the log ends before them and remembers how far it went
 *   a file of the tree is missing, or the
 *   tree ends before the log begins        → the state is lost; a snapshot replaces it
 *   a vote or the whole log may be lost    → it stays closed: no protocol brings a vote back. Its
 *                                            node has to join anew with an empty data directory
 *
 * commit is at least what the tree holds; so is the term, and a vote from an older term is void.
 */
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import type { EntryRun } from "../base/entry-run.js";
import { assert, must } from "../base/assert.js";
import type { LogHealth, RecoveredShard } from "../log/log-types.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import type { ReplicaDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { decodeConfiguration, encodeConfiguration } from "../raft/configuration-codec.js";
import type { Configuration, HardState, LogPoint, ReplicaId } from "../raft/types.js";
import { Raft } from "../raft/raft.js";
import type { FlowLimits, RaftConfig } from "../raft/types.js";
import type { Store } from "../store/store.js";
import { UNNOTICED_SLEEP_MS } from "./sleep-watch.js";

/** What is the same for all replicas of a node. */
export interface ReplicaSettings {
  readonly nodeId: number;
  readonly electionTimeoutMs: { readonly min: number; readonly max: number };
  readonly heartbeatMs: number;
  /** 0: no lease reads. */
  readonly leaseMs: number;
  /** 0: shards without work go on with their heartbeats. */
  readonly quiesceAfterMs: number;
  readonly clockDriftRatio: number;
  readonly tickMs: number;
  /** How much later each further replica campaigns when its leader's node is lost. */
  readonly campaignRankMs: number;
  readonly flow: FlowLimits;
  /** Memory for entries of all logs that are on the disk, too. */
  readonly entryCacheBytes: number;
}

export interface OpenRequest {
  readonly descriptor: ShardDescriptor;
  readonly recovered: RecoveredShard | undefined;
  /** Files of its tree are missing. */
  readonly filesMissing: boolean;
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
  const own = replicaOn(descriptor, settings.nodeId);
  assert(own !== undefined, "the descriptor names no replica on this node");
  const { store } = host;
  makeTrees(store, settings.nodeId, [descriptor]);
  const tree = must(store.tree(descriptor.shardId), "tree");
  const log = reconcile(tree.flushed, recovered);
  if (log.trimTo > 0) store.log.trim(descriptor.shardId, log.trimTo);
  if (log.reset) store.log.reset(descriptor.shardId, own.replicaId, log.baseIndex, log.baseTerm);
  if (recovered?.hardState === undefined || log.reset) {
    store.log.saveHardState(descriptor.shardId, own.replicaId, log.hardState);
  }
  const flushed = decodeConfiguration(tree.flushed.configuration);
  const promised = mayHavePromised(recovered, store.run) && flushed.voters.length > 1;
  const treeEndsBefore = log.baseIndex > tree.flushed.index;
  const configuration = treeEndsBefore ? withoutVote(flushed, own.replicaId) : flushed;
  const raft = new Raft(
    raftConfig(settings, own.replicaId, request, promised),
    {
      hardState: log.hardState,
      snapshot: { index: log.baseIndex, term: log.baseTerm, configuration },
      runs: log.runs,
      appliedIndex: Math.max(tree.flushed.index, log.baseIndex),
      floor: log.floor,
      stateLost: request.filesMissing || treeEndsBefore,
    },
    request.nowMs,
  );
  return { replicaId: own.replicaId, raft, tree };
}

/** The replica that a node holds, or is to hold. */
export function replicaOn(
  { replicas, target }: ShardDescriptor,
  nodeId: number,
): ReplicaDescriptor | undefined {
  const isMeant = (each: ReplicaDescriptor): boolean => each.nodeId === nodeId;
  return replicas.find(isMeant) ?? target?.find(isMeant);
}

interface FittedLog {
  readonly reset: boolean;
  readonly baseIndex: number;
  readonly baseTerm: number;
  readonly runs: readonly EntryRun[];
  readonly hardState: HardState;
  /** Entries up to here are lost and not needed; 0: none. */
  readonly trimTo: number;
  readonly floor: LogPoint | undefined;
}

/**
 * Why a replica must stay closed: a vote of it may be lost, or it has no log to vote by. undefined
 * where nothing is wrong, or where the others can refill what is.
 */
export function closedReasonOf(
  tree: Tree | undefined,
  recovered: RecoveredShard | undefined,
  logLost: boolean,
): string | undefined {
  if (logLost) return "its log may have been lost";
  if (recovered === undefined) return undefined;
  const { health } = recovered;
  if (health.kind === "corrupt" && health.hardStateLost) return "a vote of it may have been lost";
  // A crash between the making of a tree and the first record of its log leaves the log empty.
  return tree === undefined && recovered.baseIndex > 0 ? "its tree is gone" : undefined;
}

/**
 * Whether an earlier run may have promised not to vote for a while. It may have done so before its
 * first hard state was durable, so that the log alone does not tell.
 */
export function mayHavePromised(recovered: RecoveredShard | undefined, run: number): boolean {
  return recovered?.hardState !== undefined || run > 1;
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
    trimTo: 0,
    floor: recovered === undefined ? undefined : floorOf(recovered.health),
  };
  if (recovered === undefined) return fresh;
  const behindLoss = coveredLoss(flushed, recovered);
  if (behindLoss !== undefined) {
    return { ...fresh, reset: false, runs: behindLoss, hardState, trimTo: flushed.index };
  }
  const { baseIndex, baseTerm, runs } = recovered;
  const newest = runs[runs.length - 1];
  const lastIndex = newest === undefined ? baseIndex : lastIndexOf(newest);
  const fits =
    baseIndex > flushed.index ||
    (lastIndex >= flushed.index && termIn(recovered, flushed.index) === flushed.term);
  if (!fits) return fresh;
  const commitIndex = Math.min(hardState.commitIndex, lastIndex);
  return {
    ...fresh,
    reset: false,
    baseIndex,
    baseTerm,
    runs,
    hardState: { ...hardState, commitIndex },
  };
}

/** The entries behind the tree, where all that is lost lies below its end. */
function coveredLoss(
  flushed: FlushedState,
  { health, runsAfterLoss }: RecoveredShard,
): readonly EntryRun[] | undefined {
  if (health.kind === "intact" || health.firstLostIndex === undefined) return undefined;
  const at = runsAfterLoss.find(
    (run) => run.firstIndex <= flushed.index && lastIndexOf(run) >= flushed.index,
  );
  if (at?.term !== flushed.term) return undefined;
  const behind: EntryRun[] = [];
  for (const run of runsAfterLoss) {
    const last = lastIndexOf(run);
    const first = Math.max(run.firstIndex, flushed.index + 1);
    if (first <= last) behind.push(sliceRun(run, first, last));
  }
  return behind;
}

/** How far a damaged log went. */
function floorOf(health: LogHealth): LogPoint | undefined {
  if (health.kind === "intact") return undefined;
  const index = health.tailUnknown ? Number.MAX_SAFE_INTEGER : health.lastIndex;
  return { index, term: health.lastTerm };
}

function termIn(recovered: RecoveredShard, index: number): number {
  if (index === recovered.baseIndex) return recovered.baseTerm;
  const run = recovered.runs.find((each) => index >= each.firstIndex && index <= lastIndexOf(each));
  return run === undefined ? -1 : run.term;
}

/** Makes those trees of these shards that are not there. Throws DiskError on a full disk. */
export function makeTrees(
  store: Store,
  nodeId: number,
  descriptors: readonly ShardDescriptor[],
): void {
  const missing = descriptors.filter(({ shardId }) => store.tree(shardId) === undefined);
  if (missing.length === 0) return;
  store.createTrees(
    missing.map((descriptor) => {
      const own = must(replicaOn(descriptor, nodeId), "a replica on this node");
      const { shardId, range } = descriptor;
      return { shardId, range, flushed: firstState(firstConfiguration(descriptor, own)) };
    }),
  );
}

function firstState(configuration: Configuration): FlushedState {
  return {
    index: 0,
    term: 0,
    revision: FIRST_REVISION,
    compactedRevision: 0,
    closedRevision: FIRST_REVISION,
    logicalClock: 0,
    configuration: encodeConfiguration(configuration),
  };
}

/**
 * The replicas that a shard is made with vote from the start. One that comes later has nothing to
 * vote by: it learns from the log, or from a snapshot, what it is.
 */
function firstConfiguration(descriptor: ShardDescriptor, own: ReplicaDescriptor): Configuration {
  const voters = descriptor.replicas
    .filter((each) => each.role === "voter")
    .map((each) => each.replicaId)
    .sort((a, b) => a - b);
  const isFounding = descriptor.epoch.configuration === 1 && voters.includes(own.replicaId);
  return {
    voters: isFounding ? voters : voters.filter((id) => id !== own.replicaId),
    outgoing: [],
    learners: isFounding ? [] : [own.replicaId],
    learnersNext: [],
  };
}

/**
 * For a replica whose log begins behind its tree: who votes there it does not know, so it must not
 * count votes before a snapshot has told.
 */
export function withoutVote(known: Configuration, id: ReplicaId): Configuration {
  const others = (ids: readonly ReplicaId[]): readonly ReplicaId[] =>
    ids.filter((each) => each !== id);
  if (known.voters.length === 1) return known;
  return {
    ...known,
    voters: others(known.voters),
    outgoing: others(known.outgoing),
    learners: [...others(known.learners), id],
  };
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
    unnoticedSleepMs: UNNOTICED_SLEEP_MS,
    preVote: true,
    checkQuorum: true,
    ...settings.flow,
    applyBytesMax: APPLY_SIZE_BYTES,
    commitNoticeMs: COMMIT_NOTICE_MS,
    electionPriority: 0,
    quiesceAfterMs: settings.quiesceAfterMs,
    random: request.random,
    voteHoldUntilMs: promised ? request.nowMs + settings.leaseMs : 0,
  };
}
