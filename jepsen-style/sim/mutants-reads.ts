/** Bugs of read indexes and leader leases. */
import type { Mutant } from "./mutant.js";

export const READ_MUTANTS: readonly Mutant[] = [
  {
    name: "read-before-no-op",
    bug: "Raft (etcd): a new leader hands out read indexes before it has committed in its term",
    file: "raft/heartbeats",
    find: `return core.hasCommittedInTerm && (core.readsWaiting.length > 0 ||`,
    replace: `return (core.readsWaiting.length > 0 ||`,
  },
  {
    name: "read-round-unconfirmed",
    bug: "Raft (etcd 0.4, Consul): a leader serves reads without asking a quorum",
    file: "raft/heartbeats",
    find: `const confirmed = leader.quorumRound();`,
    replace: `const confirmed = leader.rounds.latest;`,
  },
  {
    name: "read-round-reused",
    bug: "Raft (etcd): echoes of a round that began before a read confirm it",
    file: "raft/heartbeats",
    find: `round: beginRound(core, leader),`,
    replace: `round: leader.rounds.latest,`,
  },
  {
    name: "follower-read-unconfirmed",
    bug: "Raft (TiKV): a follower is told a read index by a leader that nobody confirmed",
    file: "raft/leader",
    find: `leader.remoteReads.push({ from: message.from, request: message.request });`,
    replace: `_core.outbox.send.push({ kind: "readIndexResponse", from: _core.selfId,
      to: message.from, term: _core.term, request: message.request,
      index: _core.log.commitIndex });`,
  },
  {
    name: "follower-reads-own-state",
    bug: "ZooKeeper, Redis: a replica answers from what it has, and the answer is called the newest",
    file: "shard/read-path",
    find: `case "follower": return this.#gather(request);`,
    replace: `case "follower": return this.#answer(request, "follower");`,
  },
  {
    name: "read-before-applied",
    bug: "Raft: a read is served at a confirmed index that is not applied yet",
    file: "shard/read-path",
    find: `if (round.index > appliedIndex) {`,
    replace: `if (round.index < 0) {`,
  },
  {
    name: "lease-kept-across-transfer",
    bug: "Raft (TiKV, etcd): a leader answers from its lease while it hands leadership over",
    file: "raft/raft",
    find: `return this.#core.leader !== undefined && isLeaseValid(this.#core, this.#core.leader);`,
    replace: `const core = this.#core;
      const { leader } = core;
      if (leader === undefined) return false;
      if (isLeaseValid(core, leader)) {
        leader.keptUntilMs = leader.leaseUntilMs;
        return true;
      }
      return leader.transfer !== undefined && core.nowMs < (leader.keptUntilMs ?? 0);`,
  },
  {
    name: "lease-from-echo",
    bug: "Raft: a lease is counted from when the promises arrive, not from when they were asked",
    file: "raft/heartbeats",
    find: `progress.promisedFromMs = startMs;`,
    replace: `progress.promisedFromMs = core.nowMs;`,
  },
  {
    name: "promise-forgotten",
    bug: "Leader leases: a restarted voter forgets what it promised and votes at once",
    file: "shard/open-replica",
    find: `voteHoldUntilMs: promised ? request.nowMs + settings.leaseMs : 0,`,
    replace: `voteHoldUntilMs: 0,`,
  },
  {
    name: "sleep-unnoticed",
    bug: "Leader leases: a virtual machine slept, its monotonic clock with it, and it trusts its lease",
    file: "shard/sleep-watch",
    find: `return lead === undefined || lead.minMs > this.#leadMsMax;`,
    replace: `return lead === undefined;`,
  },
  {
    name: "floor-read-skips-writes",
    bug: "Sharded MVCC: a read at a revision misses writes that have a smaller one already",
    file: "shard/read-path",
    find: `if (each.barrier > resolved) {`,
    replace: `if (each.barrier < 0) {`,
  },
];
