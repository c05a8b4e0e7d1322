/** Bugs of replication and commit. */
import type { Mutant } from "./mutant.js";

export const REPLICATION_MUTANTS: readonly Mutant[] = [
  {
    name: "ack-before-sync",
    bug: "Raft: a follower acknowledges entries before they are on its disk",
    file: "raft/collect-ready",
    find: `core.outbox.afterPersist.push({ kind: "appendResponse",
      from: core.selfId, to: core.leaderId,`,
    replace: `core.outbox.send.push({ kind: "appendResponse", from: core.selfId, to: core.leaderId,`,
  },
  {
    name: "leader-counts-unsynced",
    bug: "Raft: a leader counts its own entries before they are on its disk",
    file: "raft/replication",
    find: `core.append(run); leader.uncommittedBytes += run.bytes.length;`,
    replace: `core.append(run); leader.self.acknowledged(core.log.lastIndex);
      leader.uncommittedBytes += run.bytes.length;`,
  },
  {
    name: "truncate-on-any-append",
    bug: "Raft (CCF): a late append that ends early costs the entries that came after it",
    file: "raft/follower",
    find: `if (index > lastIndexOf(run)) return;`,
    replace: `if (index > lastIndexOf(run)) {
      const last = Math.max(lastIndexOf(run), log.commitIndex);
      if (last < log.lastIndex) core.truncateAfter(last);
      return;
    }`,
  },
  {
    name: "old-term-committed-by-count",
    bug: "Raft, figure 8: an entry of an older term is committed by counting its copies",
    file: "raft/replication",
    find: `if (index <= log.commitIndex || log.termAt(index) !== core.term) return;`,
    replace: `if (index <= log.commitIndex) return;`,
  },
  {
    name: "heartbeat-commit-unlimited",
    bug: "Raft (etcd): a heartbeat carries a commit index beyond what the follower acknowledged",
    file: "raft/heartbeats",
    find: `commitIndex: Math.min(progress.matchIndex, core.log.commitIndex),`,
    replace: `commitIndex: core.log.commitIndex,`,
  },
  {
    name: "lost-window-not-asked-after",
    bug: "Raft (etcd): appends in flight that were lost are never asked after",
    file: "raft/progress",
    find: `this.appendForced = this.#matchIndex < lastIndex;`,
    replace: `this.appendForced = false;`,
  },
  {
    name: "evicted-terms-merged",
    bug: "the terms of entries that are on the disk only are taken for those of the first of them",
    file: "raft/term-spans",
    find: `if (at >= 0 && this.#terms[at] === term) {`,
    replace: `if (at >= 0) {`,
  },
  {
    name: "unapplied-entries-evicted",
    bug: "entries are let go of in memory before they are applied",
    file: "raft/raft-log",
    find: `const last = Math.min(this.#appliedIndex, this.#durableIndex, lastIndex);`,
    replace: `const last = Math.min(this.#durableIndex, lastIndex);`,
  },
  {
    name: "snapshot-keeps-other-log",
    bug: "Raft (HashiCorp): a snapshot keeps a log that has another entry at its index",
    file: "raft/follower",
    find: `if (fits) log.commitTo(mark.index);`,
    replace: `if (log.lastIndex >= mark.index) log.commitTo(mark.index);`,
  },
  {
    name: "previous-term-unchecked",
    bug: "Raft: an append is taken where an entry lies, whatever the term of that entry",
    file: "raft/follower",
    find: `if (log.termAt(message.prevIndex) !== message.prevTerm) {`,
    replace: `if (log.termAt(message.prevIndex) === undefined) {`,
  },
];
