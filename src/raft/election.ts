/**
 * Elections. A pre-vote asks whether a real one could be won and changes nothing, so a replica
 * that was cut off comes back without raising the term. A real vote request leaves only when the
 * candidate's own vote is durable, and the candidate counts that vote like any other: as a message
 * that came back from its disk. So nobody leads a term before its own vote in it is durable.
 */
import { isLoneVoter, votersOf } from "./configuration.js";
import type { RaftCore } from "./core.js";
import { isLeaseValid } from "./heartbeats.js";
import { becomeLeader } from "./leader.js";
import type { PreVoteMessage, PreVoteResponse, VoteMessage, VoteResponse } from "./message.js";
import { type BallotResult, countBallot } from "./quorum.js";
import { askAround, isLacking } from "./refill-request.js";
import type { ReplicaId } from "./types.js";

/** So many election timeouts without a leader: those who could serve cannot be elected. */
const LEADERLESS_MAX = 3;

/**
 * Whether this replica may stand for election at all. One that has lost entries could not lead
 * with what it once acknowledged; one that has lost its state, or whose disk stalls, could not
 * serve.
 */
export function isPromotable(core: RaftCore): boolean {
  return !core.log.isStateLost && mayLead(core);
}

/**
 * Whether a replica that has lost its state campaigns all the same: its log may be what keeps the
 * others from being elected. It leads until they have that, and serves nothing.
 */
function isSteward(core: RaftCore): boolean {
  if (!core.log.isStateLost || isLoneVoter(core.configuration, core.selfId)) return false;
  return core.leaderlessTimeouts >= LEADERLESS_MAX && mayLead(core);
}

function mayLead(core: RaftCore): boolean {
  if (core.log.isShort || core.isHeldUp) return false;
  return core.configurations.votesSince(core.log.commitIndex, core.selfId);
}

/** Campaigns if the election timer has run out and no promise forbids it. */
export function tickElection(core: RaftCore): void {
  if (core.nowMs < core.electionDeadlineMs) return;
  core.leaderlessTimeouts++;
  campaign(core);
}

/** Campaigns now, or as soon as promises given to a leader have lapsed. */
export function campaign(core: RaftCore): void {
  if (!isPromotable(core) && !isSteward(core)) {
    core.postponeElection();
    if (isLacking(core)) askAround(core);
    return;
  }
  if (core.promise.forbidsVoteFor(core.selfId, core.nowMs)) {
    core.electionDeadlineMs = core.promise.untilMs;
  } else if (core.config.preVote) {
    startPreVote(core);
  } else {
    startElection(core, false);
  }
}

/** A vote for oneself is a vote: it waits for promises, as every vote does. */
export function campaignForTransfer(core: RaftCore): void {
  if (isPromotable(core) && !core.promise.forbidsVoteFor(core.selfId, core.nowMs)) {
    startElection(core, true);
  }
}

/** A replica without anybody to wait for campaigns at its first tick. */
export function hastenLoneVoter(core: RaftCore): void {
  if (isLoneVoter(core.configuration, core.selfId)) core.electionDeadlineMs = core.nowMs;
}

function startPreVote(core: RaftCore): void {
  core.becomeCampaigner("preCandidate");
  core.preVoteRound++;
  const { lastIndex, lastTerm } = core.log;
  for (const to of votersOf(core.configuration)) {
    if (to === core.selfId) continue;
    core.outbox.send.push({
      kind: "preVote",
      from: core.selfId,
      to,
      term: core.term,
      round: core.preVoteRound,
      lastIndex,
      lastTerm,
    });
  }
  countPreVote(core, core.selfId, true);
}

function startElection(core: RaftCore, transfer: boolean): void {
  core.enterTerm(core.term + 1);
  core.vote = core.selfId;
  core.becomeCampaigner("candidate");
  const { term, selfId: from } = core;
  const { lastIndex, lastTerm } = core.log;
  for (const to of votersOf(core.configuration)) {
    if (to === from) continue;
    core.outbox.afterPersist.push({ kind: "vote", from, to, term, lastIndex, lastTerm, transfer });
  }
  core.outbox.afterPersist.push({ kind: "voteResponse", from, to: from, term, granted: true });
}

/** Answers a pre-vote. Neither the term nor the vote nor the election timer changes by it. */
export function handlePreVote(core: RaftCore, message: PreVoteMessage): void {
  const granted =
    message.term >= core.term &&
    !hearsLeader(core, message.from) &&
    !core.promise.forbidsVoteFor(message.from, core.nowMs) &&
    core.log.isUpToDate(message.lastIndex, message.lastTerm);
  noteVote(core, message.from, true, granted);
  core.outbox.send.push({
    kind: "preVoteResponse",
    from: core.selfId,
    to: message.from,
    term: core.term,
    round: message.round,
    granted,
  });
}

/** An answer may come from a lower term, so it is matched by its round and not by its term. */
export function handlePreVoteResponse(core: RaftCore, message: PreVoteResponse): void {
  if (message.round === core.preVoteRound) countPreVote(core, message.from, message.granted);
}

/**
 * Whether a vote request is to be ignored, term and all. Only a transfer overrides that a leader
 * is heard, and nothing overrides a promise or the leader's own lease.
 */
export function ignoresVote(core: RaftCore, message: VoteMessage): boolean {
  const { from } = message;
  if (core.promise.forbidsVoteFor(from, core.nowMs)) return true;
  if (!message.transfer) return hearsLeader(core, from);
  return core.leader !== undefined && isLeaseValid(core, core.leader);
}

/** Answers a vote request of the present term. */
export function handleVote(core: RaftCore, message: VoteMessage): void {
  const { from } = message;
  const isFree = core.vote === from || (core.vote === 0 && core.leaderId === 0);
  const granted =
    isFree &&
    !core.promise.forbidsVoteFor(from, core.nowMs) &&
    core.log.isUpToDate(message.lastIndex, message.lastTerm);
  if (granted) {
    core.vote = from;
    if (core.role !== "follower") core.becomeFollower(core.term, 0);
    core.postponeElection();
  }
  noteVote(core, from, false, granted);
  core.outbox.afterPersist.push({
    kind: "voteResponse",
    from: core.selfId,
    to: from,
    term: core.term,
    granted,
  });
}

export function handleVoteResponse(core: RaftCore, message: VoteResponse): void {
  const result = recordAnswer(core, message.from, message.granted);
  if (result === "won") becomeLeader(core);
  else if (result === "lost") core.becomeFollower(core.term, 0);
}

function countPreVote(core: RaftCore, from: ReplicaId, granted: boolean): void {
  const result = recordAnswer(core, from, granted);
  if (result === "won") startElection(core, false);
  else if (result === "lost") core.becomeFollower(core.term, 0);
}

/** Files an answer; only voters of the configuration that counts now are counted. */
function recordAnswer(core: RaftCore, from: ReplicaId, granted: boolean): BallotResult {
  const { ballot, configuration } = core;
  if (ballot === undefined) return "open";
  if (!ballot.has(from)) ballot.set(from, granted);
  const incoming = countBallot(configuration.voters, ballot);
  const outgoing = countBallot(configuration.outgoing, ballot);
  if (incoming === "lost" || outgoing === "lost") return "lost";
  return incoming === "won" && outgoing === "won" ? "won" : "open";
}

/** Whether somebody else is known to lead: heard lately, or this replica itself. */
function hearsLeader(core: RaftCore, candidateId: ReplicaId): boolean {
  if (core.role === "leader") return true;
  if (core.leaderId === 0 || core.leaderId === candidateId) return false;
  return core.nowMs - core.leaderHeardMs < core.config.electionTimeoutMs.min;
}

/** Records how a request was answered; one that is ignored counts as refused. */
export function noteVote(
  core: RaftCore,
  candidateId: ReplicaId,
  preVote: boolean,
  granted: boolean,
): void {
  core.outbox.events.push({ kind: "vote", term: core.term, candidateId, preVote, granted });
}
