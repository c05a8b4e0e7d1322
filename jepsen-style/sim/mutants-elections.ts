/** Bugs of elections, terms and votes. */
import type { Mutant } from "./mutant.js";

export const ELECTION_MUTANTS: readonly Mutant[] = [
  {
    name: "vote-sent-before-sync",
    bug: "Raft: a vote leaves before it is on the disk; a crash forgets it and it is given again",
    file: "raft/election",
    find: `core.outbox.afterPersist.push({ kind: "voteResponse", from: core.selfId, to: from,`,
    replace: `core.outbox.send.push({ kind: "voteResponse", from: core.selfId, to: from,`,
  },
  {
    name: "votes-asked-before-own-vote",
    bug: "Raft: a candidate asks for votes before its own vote is on the disk",
    file: "raft/election",
    find: `core.outbox.afterPersist.push({ kind: "vote", from, to, term,`,
    replace: `core.outbox.send.push({ kind: "vote", from, to, term,`,
  },
  {
    name: "hard-state-only-with-entries",
    bug: "Raft: term and vote are written along with entries only, so a restart forgets a vote",
    file: "shard/replica",
    find: `log.saveHardState(this.shardId, this.replicaId, persist.hardState);`,
    replace: `if (persist.runs.length > 0)
      log.saveHardState(this.shardId, this.replicaId, persist.hardState);`,
  },
  {
    name: "vote-not-saved",
    bug: "Raft: the term is saved and the vote in it is not, so a restart votes again",
    file: "shard/replica",
    find: `log.saveHardState(this.shardId, this.replicaId, persist.hardState);`,
    replace: `log.saveHardState(this.shardId, this.replicaId, { ...persist.hardState, vote: 0 });`,
  },
  {
    name: "step-down-forgets-vote",
    bug: "Raft (CCF): who steps down within a term forgets its vote in it",
    file: "raft/core",
    find: `this.enterTerm(term); this.#enterRole("follower", leaderId);`,
    replace: `this.enterTerm(term); this.vote = 0; this.#enterRole("follower", leaderId);`,
  },
  {
    name: "pre-vote-clears-vote",
    bug: "Raft (CCF): a pre-candidate clears the real vote it gave in the same term",
    file: "raft/election",
    find: `core.becomeCampaigner("preCandidate");`,
    replace: `core.becomeCampaigner("preCandidate"); core.vote = 0;`,
  },
  {
    name: "log-length-ignored",
    bug: "Raft: a candidate whose log is shorter gets a vote, if the last terms are equal",
    file: "raft/raft-log",
    find: `return goesAsFar({ index: lastIndex, term: lastTerm }, own);`,
    replace: `return lastTerm >= own.term;`,
  },
  {
    name: "last-term-ignored",
    bug: "Raft: logs are compared by their length alone, so old entries outvote committed ones",
    file: "raft/raft-log",
    find: `return goesAsFar({ index: lastIndex, term: lastTerm }, own);`,
    replace: `return lastIndex >= own.index;`,
  },
  {
    name: "stale-votes-counted",
    bug: "Raft (raft-rs): votes granted in an earlier term count in a later one",
    file: "raft/handlers",
    find: `if (message.kind === "preVoteResponse") return true;`,
    replace: `if (message.kind === "preVoteResponse" || message.kind === "voteResponse") return true;`,
  },
  {
    name: "no-check-quorum",
    bug: "Raft (etcd): a leader that hears nobody leads on and keeps the others from electing",
    file: "raft/heartbeats",
    find: `if (!core.config.checkQuorum) return;`,
    replace: `return;`,
  },
  {
    name: "stall-unnoticed",
    bug: "Raft (etcd): a leader whose disk finishes no write leads on, and serves nobody",
    file: "shard/replica-host",
    find: `if (this.#inLog.length === 0 || this.#diskStalls) return;`,
    replace: `return;`,
  },
];
