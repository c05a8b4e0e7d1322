/**
 * Arithmetic of majorities: what at least a majority has reached, and how a ballot stands. In a
 * joint configuration both halves have to agree, so the smaller of two results counts.
 */
import { assert } from "../base/assert.js";
import type { Progress } from "./progress.js";
import type { ReplicaId } from "./types.js";

export type BallotResult = "won" | "lost" | "open";

const MEMBERS_MAX = 1024;
/** Room to sort in; holds nothing between calls. */
const scratch = new Float64Array(MEMBERS_MAX);

/**
 * The highest value that a majority of `members` has reached; no members hold nothing back.
 * `valueOf` is one of the readers below, so that a call makes no closure.
 */
export function majorityValue(
  members: readonly Progress[],
  valueOf: (progress: Progress) => number,
): number {
  const count = members.length;
  if (count === 0) return Number.POSITIVE_INFINITY;
  assert(count <= MEMBERS_MAX, "more members than a configuration may have");
  for (let i = 0; i < count; i++) {
    const value = valueOf(members[i]!);
    let slot = i;
    while (slot > 0 && scratch[slot - 1]! < value) {
      scratch[slot] = scratch[slot - 1]!;
      slot--;
    }
    scratch[slot] = value;
  }
  return scratch[count >> 1]!;
}

export function matchIndexOf(progress: Progress): number {
  return progress.matchIndex;
}

export function confirmedRoundOf(progress: Progress): number {
  return progress.confirmedRound;
}

export function promisedFromMsOf(progress: Progress): number {
  return progress.promisedFromMs;
}

export function lastHeardMsOf(progress: Progress): number {
  return progress.lastHeardMs;
}

/** How a ballot stands among `voters`, by the answers that are in. */
export function countBallot(
  voters: readonly ReplicaId[],
  answers: ReadonlyMap<ReplicaId, boolean>,
): BallotResult {
  if (voters.length === 0) return "won";
  let granted = 0;
  let refused = 0;
  for (const id of voters) {
    const answer = answers.get(id);
    if (answer === true) granted++;
    else if (answer === false) refused++;
  }
  const majority = (voters.length >> 1) + 1;
  if (granted >= majority) return "won";
  return voters.length - refused < majority ? "lost" : "open";
}
