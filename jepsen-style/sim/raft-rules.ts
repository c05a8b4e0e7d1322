/**
 * Rules of Raft that the state of single replicas shows at once, long before a client could notice
 * that one was broken: the ledger asks for them after each event. They look at terms, votes and
 * logs only, and say in words what is wrong.
 *
 *   one vote a term       a vote that was given stays as it is, and a restart brings it back
 *   log matching          entries of one index and term have the same entry before them, everywhere
 *   counted in its term   a leader commits older entries only along with one of its own term
 *   matches are true      a leader counts what was acknowledged to it, and never less than before
 *   a leader is heard     who hears no majority for too long leads no more
 */
import type { Raft } from "../../src/raft/raft.js";
import type { Configuration } from "../../src/raft/types.js";

/** What the rules look at. */
export type RaftView = RaftFields & {
  /** What a leader knows of a replica. */
  readonly progress: (id: number) => { readonly matchIndex: number } | undefined;
};

type RaftFields = Pick<
  Raft,
  | "role"
  | "term"
  | "vote"
  | "quiesced"
  | "configuration"
  | "firstIndex"
  | "lastIndex"
  | "commitIndex"
  | "termAt"
>;

/** What the ledger last saw of a replica, in its present run. */
export interface SeenState {
  voteTerm: number;
  vote: number;
  lastIndex: number;
  lastTerm: number;
  /** Since when it may be asked whether it hears a majority. */
  leadsSinceMs: number;
  /** Up to where others have its log, as it counted in the term `matchTerm` that it led. */
  matchTerm: number;
  readonly matches: Map<number, number>;
  configuration: Configuration | undefined;
}

export function nothingSeen(): SeenState {
  return {
    voteTerm: 0,
    vote: 0,
    lastIndex: 0,
    lastTerm: 0,
    leadsSinceMs: Number.POSITIVE_INFINITY,
    matchTerm: 0,
    matches: new Map(),
    configuration: undefined,
  };
}

/** What is wrong with its vote, which is remembered. */
export function voteFault(seen: SeenState, raft: RaftView): string | undefined {
  const { voteTerm, vote } = seen;
  seen.voteTerm = raft.term;
  seen.vote = raft.vote;
  if (raft.term !== voteTerm || vote === 0 || raft.vote === vote) return undefined;
  return `gave its vote in term ${voteTerm} to ${vote}, and now to ${raft.vote}`;
}

/** A term is below this, as one of each entry. */
const TERMS = 2 ** 20;

/** The entries of one shard that any replica ever had. */
export class LogMatching {
  /** The term before each entry, by its index and term. */
  readonly #before: Map<number, number> = new Map();

  /** What is wrong with those of a log that came since it was last seen. */
  fault(seen: SeenState, raft: RaftView, committed: number): string | undefined {
    const { lastIndex } = raft;
    const lastTerm = raft.termAt(lastIndex) ?? 0;
    if (seen.lastIndex === lastIndex && seen.lastTerm === lastTerm) return undefined;
    seen.lastIndex = lastIndex;
    seen.lastTerm = lastTerm;
    // What was committed when it was last seen has been compared, and stays.
    const end = Math.max(committed, raft.firstIndex - 1);
    let term = lastTerm;
    for (let index = lastIndex; index > end; index--) {
      const before = raft.termAt(index - 1) ?? 0;
      const name = index * TERMS + term;
      const known = this.#before.get(name);
      if (known === undefined) this.#before.set(name, before);
      else if (known !== before) {
        const entry = `${index} of term ${term}`;
        return `has term ${before} before ${entry}; others have term ${known} there`;
      }
      term = before;
    }
    return undefined;
  }
}

/** What is wrong with the newest entry that a leader has committed by itself. */
export function countFault(raft: RaftView): string | undefined {
  const term = raft.termAt(raft.commitIndex);
  if (term === undefined || term === raft.term) return undefined;
  const entry = `${raft.commitIndex}, which is of term ${term}`;
  return `counts copies of ${entry}, as leader of ${raft.term}`;
}

/** What a replica has said of its log. */
export interface Acknowledged {
  readonly isLost: boolean;
  readonly ackTerm: number;
  readonly ackIndex: number;
  /** What was left of it at least, where it had lost its end. */
  readonly leftIndex: number;
}

/** Who left is known anew when it comes back: a removal that took too long is taken back. */
function forgetOthers(matches: Map<number, number>, groups: readonly (readonly number[])[]): void {
  for (const id of matches.keys()) {
    if (!groups.some((ids) => ids.includes(id))) matches.delete(id);
  }
}

/** What is wrong with what a leader takes others to have. */
export function matchFault(
  seen: SeenState,
  raft: RaftView,
  saidBy: (id: number) => Acknowledged | undefined,
): string | undefined {
  if (raft.role !== "leader") return undefined;
  const { matches } = seen;
  if (seen.matchTerm !== raft.term) matches.clear();
  seen.matchTerm = raft.term;
  const { voters, outgoing, learners } = raft.configuration;
  const groups = [voters, outgoing, learners];
  forgetOthers(matches, groups);
  for (const ids of groups) {
    for (const id of ids) {
      const said = saidBy(id);
      const match = raft.progress(id)?.matchIndex ?? 0;
      const before = matches.get(id) ?? 0;
      matches.set(id, match);
      if (said === undefined || said.isLost) continue;
      const who = `counts ${match} entries of replica ${id} in term ${raft.term}`;
      if (match < before && match < said.leftIndex) return `${who}, and counted ${before} before`;
      if (said.ackTerm <= raft.term && match > (said.ackTerm === raft.term ? said.ackIndex : 0)) {
        return `${who}, which acknowledged ${said.ackIndex} in term ${said.ackTerm}`;
      }
    }
  }
  return undefined;
}

/** What tells whether a leader is heard. */
export interface Hearing {
  readonly nowMs: number;
  /** Since when its program has not been paused. */
  readonly awakeSinceMs: number;
  readonly boundMs: number;
  /** When anything last came from a replica's machine; undefined: it is its own, or unknown. */
  readonly heardMs: (replicaId: number) => number | undefined;
}

/** Whether it has led on for longer than the bound without hearing a majority. */
export function deafnessFault(
  seen: SeenState,
  raft: RaftView,
  hearing: Hearing,
): string | undefined {
  const { configuration } = raft;
  const { nowMs, awakeSinceMs, boundMs, heardMs } = hearing;
  if (raft.role !== "leader" || raft.quiesced) {
    seen.leadsSinceMs = Number.POSITIVE_INFINITY;
    return undefined;
  }
  const isNew = seen.leadsSinceMs === Number.POSITIVE_INFINITY;
  if (isNew || seen.configuration !== configuration) {
    seen.configuration = configuration;
    seen.leadsSinceMs = nowMs;
    return undefined;
  }
  const sinceMs = nowMs - boundMs;
  if (seen.leadsSinceMs > sinceMs || awakeSinceMs > sinceMs) return undefined;
  const isHeard = (id: number): boolean => (heardMs(id) ?? nowMs) > sinceMs;
  if (hasQuorum(configuration, isHeard)) return undefined;
  return `leads term ${raft.term} and has heard no majority for ${boundMs} ms`;
}

export function hasQuorum(configuration: Configuration, holds: (id: number) => boolean): boolean {
  const majority = (voters: readonly number[]): boolean =>
    voters.length === 0 || voters.filter(holds).length > voters.length / 2;
  return majority(configuration.voters) && majority(configuration.outgoing);
}
