/**
 * Requests that belong to no shard of a user: asked of one node after the other until one answers.
 * The placement group's leader is asked first where it is known. The retry policy is that of
 * routed calls.
 */
import type { ByteReader, ByteWriter } from "../base/coding.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { closedError } from "./session.js";
import type { Session } from "./session.js";

export interface NodeRequest<Answer> {
  readonly type: number;
  readonly isRead: boolean;
  readonly encode: (out: ByteWriter) => void;
  readonly decode: (reader: ByteReader) => Answer;
}

const PAUSE_MS = 20;
const REDIRECTS_MAX = 2;
const READ_ATTEMPT_MS = 1500;

/** Asks the placement group's leader, or whoever can hand the request on to it. */
export async function askPlacement<Answer>(
  session: Session,
  request: NodeRequest<Answer>,
  timeoutMs: number = session.options.requestTimeoutMs,
): Promise<Answer> {
  const endMs = session.env.clock.monotonicMs() + timeoutMs;
  let last: KvError = notApplied("unavailable", "no endpoint");
  let round: readonly string[] = [];
  let redirects = 0;
  for (let at = 0; ; at++) {
    const remaining = Math.ceil(endMs - session.env.clock.monotonicMs());
    if (remaining <= 0) break;
    if (at >= round.length) {
      if (round.length > 0) await pause(session);
      round = session.addresses(session.placementLeader);
      at = 0;
      redirects = 0;
    }
    if (session.closed) throw closedError();
    try {
      return await askAddress(session, round[at] ?? "", request, remaining);
    } catch (error) {
      last = KvError.from(error);
      if (!mayRetry(last, request.isRead)) throw last;
    }
    // Who leads is worth a new round; nodes that name each other are not followed for ever.
    if (learnLeader(session, last) && redirects++ < REDIRECTS_MAX) {
      round = session.addresses(session.placementLeader);
      at = -1;
    }
  }
  const text = `no answer from the placement group in ${timeoutMs} ms: ${last.message}`;
  throw notApplied("timeout", text);
}

/** One request to one address, once. */
export async function askAddress<Answer>(
  session: Session,
  address: string,
  request: NodeRequest<Answer>,
  timeoutMs: number,
): Promise<Answer> {
  const attemptMs = request.isRead ? Math.min(timeoutMs, READ_ATTEMPT_MS) : timeoutMs;
  try {
    const client = await session.linkTo(address).connected();
    const { type, encode, decode } = request;
    const answer = await client.request(type, encode, decode, attemptMs);
    session.order.helped(address, true);
    return answer;
  } catch (error) {
    const { code } = KvError.from(error);
    if (code === "timeout" || code === "unavailable") session.order.helped(address, false);
    throw error;
  }
}

/** The present revision of a keyspace over all its shards. */
export function askRevision(session: Session, keyspaceId: number): Promise<number> {
  return askPlacement(session, {
    type: MESSAGE_TYPES.sequence,
    isRead: true,
    encode: (out) => out.u32(keyspaceId),
    decode: (reader) => reader.u53(),
  });
}

/** True where the refusal named a leader that was not known. */
function learnLeader(session: Session, error: KvError): boolean {
  const known = session.placementLeader;
  const leader = error.details.leaderNodeId ?? 0;
  if (error.code !== "notLeader") {
    session.placementLeader = 0;
    return false;
  }
  session.placementLeader = leader;
  return leader !== 0 && leader !== known;
}

function pause(session: Session): Promise<void> {
  return new Promise((resolve) => {
    session.env.timers.after(PAUSE_MS, resolve);
  });
}

function mayRetry(error: KvError, isRead: boolean): boolean {
  const passing =
    error.code === "notLeader" ||
    error.code === "unavailable" ||
    error.code === "timeout" ||
    error.code === "overloaded" ||
    // Keyspaces stay: a client that has one's number knows more than this node.
    error.code === "keyspaceNotFound";
  return passing && (error.outcome === "notApplied" || isRead);
}
