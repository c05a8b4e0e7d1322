/**
 * What each role does with each kind of message: one table. A message first passes the rules about
 * terms; what then arrives in a cell is of the present term (pre-votes excepted). A forbidden cell
 * is one that no sequence of losses, delays and repetitions can reach: it asserts.
 *
 *   handle    the role's own business
 *   drop      late: meant for a role that this replica no longer has
 *   yield     a leader of this term speaks, so whoever campaigns in it follows
 *   forbidden two leaders in one term, or an answer nobody asked for
 */
import { AssertionError, assert } from "../base/assert.js";
import type { RaftCore } from "./core.js";
import {
  handlePreVote,
  handlePreVoteResponse,
  handleVote,
  handleVoteResponse,
  ignoresVote,
  noteVote,
} from "./election.js";
import {
  handleAppend,
  handleHeartbeat,
  handleInstallSnapshot,
  handleReadIndexResponse,
  handleTimeoutNow,
  noteDurable,
  refuseReadIndex,
} from "./follower.js";
import {
  handleAppendResponse,
  handleHeartbeatResponse,
  handleReadIndex,
  handleRefill,
} from "./leader.js";
import type { LeaderState } from "./leader-state.js";
import type { Message, MessageKind } from "./message.js";
import { handleQuiesce, wake } from "./quiescence.js";
import type { Role } from "./types.js";

type MessageOf<K extends MessageKind> = Extract<Message, { readonly kind: K }>;
type Row = {
  readonly [K in MessageKind]: (core: RaftCore, message: MessageOf<K>) => void;
};

/** A follower's row; handlers that hear a leader make a campaigning replica follow it. */
const FOLLOWER: Row = {
  preVote: handlePreVote,
  preVoteResponse: drop,
  vote: handleVote,
  voteResponse: drop,
  append: handleAppend,
  appendResponse: noteDurable,
  heartbeat: handleHeartbeat,
  heartbeatResponse: drop,
  quiesce: handleQuiesce,
  timeoutNow: handleTimeoutNow,
  readIndex: refuseReadIndex,
  readIndexResponse: handleReadIndexResponse,
  installSnapshot: handleInstallSnapshot,
  refill: drop,
};

const HANDLERS: Readonly<Record<Role, Row>> = {
  follower: FOLLOWER,
  preCandidate: { ...FOLLOWER, preVoteResponse: handlePreVoteResponse },
  candidate: {
    ...FOLLOWER,
    voteResponse: handleVoteResponse,
    timeoutNow: forbidden,
    readIndexResponse: forbidden,
  },
  leader: {
    preVote: handlePreVote,
    preVoteResponse: drop,
    vote: handleVote,
    voteResponse: drop,
    append: forbidden,
    appendResponse: asLeader(handleAppendResponse),
    heartbeat: forbidden,
    heartbeatResponse: asLeader(handleHeartbeatResponse),
    quiesce: forbidden,
    timeoutNow: forbidden,
    readIndex: asLeader(handleReadIndex),
    readIndexResponse: forbidden,
    installSnapshot: forbidden,
    refill: asLeader(handleRefill),
  },
};

export function stepMessage(core: RaftCore, message: Message): void {
  assert(message.to === core.selfId, "a message for somebody else");
  if (core.isQuiet && message.kind !== "quiesce") wake(core);
  if (!passesTerm(core, message)) return;
  // The row has a handler for exactly this kind; the compiler cannot see the pairing.
  HANDLERS[core.role][message.kind](core, message as never);
}

/** Applies the rules about terms. Returns whether the message is to be handled. */
function passesTerm(core: RaftCore, message: Message): boolean {
  if (message.kind === "preVote") return true;
  if (message.term < core.term) {
    if (message.kind === "preVoteResponse") return true;
    answerStale(core, message);
    return false;
  }
  if (message.term === core.term) return true;
  if (message.kind === "vote" && ignoresVote(core, message)) {
    noteVote(core, message.from, false, false);
    return false;
  }
  core.becomeFollower(message.term, isFromLeader(message.kind) ? message.from : 0);
  return true;
}

/** Tells a sender whose term is over, so that it does not stay behind or lead on. */
function answerStale(core: RaftCore, message: Message): void {
  const from = core.selfId;
  if (message.kind === "vote") {
    core.outbox.afterPersist.push({
      kind: "voteResponse",
      from,
      to: message.from,
      term: core.term,
      granted: false,
    });
  } else if (isFromLeader(message.kind) && message.kind !== "timeoutNow") {
    core.outbox.afterPersist.push({
      kind: "heartbeatResponse",
      from,
      to: message.from,
      term: core.term,
      round: 0,
      promised: false,
    });
  }
}

function isFromLeader(kind: MessageKind): boolean {
  return (
    kind === "append" ||
    kind === "heartbeat" ||
    kind === "quiesce" ||
    kind === "installSnapshot" ||
    kind === "timeoutNow"
  );
}

function asLeader<K extends MessageKind>(
  handler: (core: RaftCore, leader: LeaderState, message: MessageOf<K>) => void,
): (core: RaftCore, message: MessageOf<K>) => void {
  return (core, message) => {
    assert(core.leader !== undefined, "a leader without its state");
    handler(core, core.leader, message);
  };
}

function drop(): void {
  // Late answers are part of every network.
}

function forbidden(core: RaftCore, message: Message): void {
  throw new AssertionError(`a ${core.role} got ${message.kind} of its own term ${core.term}`);
}
