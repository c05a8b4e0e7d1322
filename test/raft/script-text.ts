/**
 * Messages and events as short lines of text, for scripts.
 */
import { unreachable } from "../../src/base/assert.js";
import { lastIndexOf } from "../../src/base/entry-run.js";
import type { Message } from "../../src/raft/message.js";
import type { Configuration, RaftEvent } from "../../src/raft/types.js";

export function messageText(message: Message): string {
  const { kind, from, to, term } = message;
  const details = messageDetails(message);
  return `${from}>${to} ${kind} term=${term}${details === "" ? "" : ` ${details}`}`;
}

function messageDetails(message: Message): string {
  switch (message.kind) {
    case "preVote":
      return `last=${message.lastIndex}@${message.lastTerm}`;
    case "vote":
      return `last=${message.lastIndex}@${message.lastTerm}${message.transfer ? " transfer" : ""}`;
    case "preVoteResponse":
    case "voteResponse":
      return message.granted ? "granted" : "refused";
    case "append": {
      const last = message.runs.at(-1);
      const entries = last === undefined ? "empty" : `to=${lastIndexOf(last)}@${last.term}`;
      return `after=${message.prevIndex}@${message.prevTerm} ${entries} commit=${message.commitIndex}`;
    }
    case "appendResponse":
      return message.rejected
        ? `rejected after=${message.index} hint=${message.hintIndex}@${message.logTerm}`
        : `to=${message.index}@${message.logTerm}`;
    case "heartbeat":
      return `round=${message.round} commit=${message.commitIndex}${
        message.promiseMs > 0 ? ` promise=${message.promiseMs}` : ""
      }${message.release ? " release" : ""}`;
    case "heartbeatResponse":
      return `round=${message.round}${message.promised ? " promised" : ""}`;
    case "quiesce":
      return `round=${message.round} last=${message.index}@${message.logTerm}`;
    case "timeoutNow":
      return `last=${message.lastIndex}`;
    case "readIndex":
      return "";
    case "readIndexResponse":
      return message.index === 0 ? "refused" : `index=${message.index}`;
    case "installSnapshot":
      return `${message.mark.index}@${message.mark.term}`;
    case "refill":
      return `sound=${message.lastIndex}${
        message.stateIndex > 0 ? ` state=${message.stateIndex}` : ""
      }`;
    default:
      return unreachable(message);
  }
}

/** Undefined for what a quiet trace leaves out. */
export function eventText(event: RaftEvent, isQuiet: boolean): string | undefined {
  switch (event.kind) {
    case "role":
      return `${event.role} in term ${event.term}${
        event.leaderId === 0 || event.role === "leader" ? "" : ` of ${event.leaderId}`
      }`;
    case "vote": {
      if (isQuiet && event.preVote) return undefined;
      const verb = event.granted ? "votes for" : "refuses";
      return `${verb} ${event.candidateId}${event.preVote ? " (pre-vote)" : ""} in term ${event.term}`;
    }
    case "quorumLost":
      return `lost its quorum`;
    case "leaseAcquired":
      return "lease acquired";
    case "leaseLost":
      return "lease lost";
    case "transfer":
      return `transfer to ${event.to} ${event.phase}`;
    case "configuration":
      return `configuration ${configurationText(event.configuration)} at ${event.index}`;
    case "quiescence":
      return event.quiet ? "rests" : "wakes";
    case "snapshotInstalled":
      return `takes snapshot ${event.index}@${event.term}`;
    default:
      return unreachable(event);
  }
}

function configurationText(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext } = configuration;
  const parts = [`voters ${voters.join(",")}`];
  if (outgoing.length > 0) parts.push(`outgoing ${outgoing.join(",")}`);
  if (learners.length > 0) parts.push(`learners ${learners.join(",")}`);
  if (learnersNext.length > 0) parts.push(`learnersNext ${learnersNext.join(",")}`);
  return parts.join(" ");
}
