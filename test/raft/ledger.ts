/**
 * The ledger of a cluster: what was ever promised, acknowledged, committed or applied, kept
 * outside the replicas so that it survives their crashes, and compared after every event.
 */
import { must } from "../../src/base/assert.js";
import type { EntryRun } from "../../src/base/entry-run.js";
import { membersOf, votersOf } from "../../src/raft/configuration.js";
import type { Message } from "../../src/raft/message.js";
import type { Raft } from "../../src/raft/raft.js";
import type { Ready } from "../../src/raft/ready.js";
import type { HardState, LogPoint, ReplicaId, SnapshotMark } from "../../src/raft/types.js";
import { entriesOf, entryText } from "./entries.js";

/** What the ledger sees of a replica: its core while it runs, and its disk. */
export interface WitnessedReplica {
  readonly id: ReplicaId;
  readonly raft: Raft | undefined;
  readonly disk: {
    readonly hardState: HardState;
    readonly base: SnapshotMark;
    readonly floor?: LogPoint | undefined;
  };
  durableTermAt(index: number): number | undefined;
}

/** What the ledger sees of a cluster. */
export interface Witnessed {
  readonly replicas: ReadonlyMap<ReplicaId, WitnessedReplica>;
  clockOf(id: ReplicaId): number;
}

export class SafetyViolation extends Error {
  override readonly name = "SafetyViolation";
}

function hold(condition: boolean, what: () => string): void {
  if (!condition) throw new SafetyViolation(what());
}

export class Ledger {
  /** The entries that count for ever, from index 1. */
  readonly committed: string[] = [];
  readonly leaderOfTerm: Map<number, ReplicaId> = new Map<number, ReplicaId>();
  readsConfirmed = 0;
  leaseReads = 0;
  readonly #cluster: Witnessed;
  readonly #committedTerms: number[] = [0];
  /** (index, term) determines the entry and the one before it. */
  readonly #entries = new Map<string, string>();
  readonly #votes = new Map<string, ReplicaId>();
  readonly #readFloors = new Map<number, number>();
  readonly #commitSeen = new Map<ReplicaId, number>();
  readonly #termSeen = new Map<ReplicaId, number>();
  /** The highest index any replica has ever taken for committed. */
  #commitMax = 0;

  constructor(cluster: Witnessed) {
    this.#cluster = cluster;
  }

  noteStart(id: ReplicaId): void {
    this.#commitSeen.delete(id);
    const { raft, disk } = this.#replicaOf(id);
    hold(must(raft).term >= disk.hardState.term, () => `${id} started in an older term`);
    this.#termSeen.set(id, must(raft).term);
  }

  noteReadAsked(context: number): void {
    this.#readFloors.set(context, this.#commitMax);
  }

  noteReady(id: ReplicaId, ready: Ready): void {
    for (const run of ready.persist?.runs ?? []) this.#checkLogMatching(id, run);
    for (const run of ready.apply) this.#checkApplied(id, run);
    for (const { context, index } of ready.reads) {
      const floor = must(this.#readFloors.get(context), "a read nobody asked for");
      hold(index >= floor, () => `${id} confirmed read ${context} at ${index} < ${floor}`);
      this.readsConfirmed++;
    }
  }

  /** Called for each message that leaves a replica. */
  noteSent(message: Message): void {
    if (message.kind === "voteResponse" && message.granted) {
      this.#noteVote(message.from, message.term, message.to);
    } else if (message.kind === "vote") {
      this.#noteVote(message.from, message.term, message.from);
    } else if (message.kind === "appendResponse" && !message.rejected) {
      const replica = this.#replicaOf(message.from);
      const term = replica.durableTermAt(message.index);
      const isCovered = message.index < replica.disk.base.index;
      hold(
        isCovered || term === message.logTerm,
        () => `${message.from} acknowledged ${message.index}, which its disk does not hold`,
      );
    }
  }

  /** What must hold after every event. */
  check(): void {
    for (const replica of this.#cluster.replicas.values()) {
      const { raft, id } = replica;
      if (raft === undefined) continue;
      this.#checkTerm(id, raft.term);
      if (raft.role === "leader") {
        this.#checkLeader(id);
        this.#checkMatches(id);
      }
      const { commitIndex } = raft;
      if (commitIndex !== this.#commitSeen.get(id)) this.#checkCommit(id, commitIndex);
    }
  }

  #checkTerm(id: ReplicaId, term: number): void {
    hold(term >= (this.#termSeen.get(id) ?? 0), () => `${id} went back to term ${term}`);
    this.#termSeen.set(id, term);
  }

  /** What a leader takes a follower of its term to hold is on that follower's disk. */
  #checkMatches(id: ReplicaId): void {
    const raft = this.#runningOf(id);
    for (const peerId of membersOf(raft.configuration)) {
      const peer = this.#cluster.replicas.get(peerId);
      if (peerId === id || peer === undefined || peer.disk.hardState.term > raft.term) continue;
      // What it lost and says so, it will ask for.
      if (peer.disk.floor !== undefined) continue;
      const matchIndex = raft.progress(peerId)?.matchIndex ?? 0;
      const isCovered = matchIndex < peer.disk.base.index || matchIndex < raft.firstIndex;
      hold(
        isCovered || peer.durableTermAt(matchIndex) === raft.termAt(matchIndex),
        () => `${id} takes ${peerId} to hold ${matchIndex}, which its disk does not`,
      );
    }
  }

  #replicaOf(id: ReplicaId): WitnessedReplica {
    return must(this.#cluster.replicas.get(id), `replica ${id}`);
  }

  #runningOf(id: ReplicaId): Raft {
    return must(this.#replicaOf(id).raft, `replica ${id} running`);
  }

  #checkLeader(id: ReplicaId): void {
    const raft = this.#runningOf(id);
    const known = this.leaderOfTerm.get(raft.term);
    if (known === undefined) {
      this.leaderOfTerm.set(raft.term, id);
      this.#checkCompleteness(id);
    } else {
      hold(known === id, () => `${known} and ${id} both lead term ${raft.term}`);
    }
    if (!raft.hasLease(this.#cluster.clockOf(id)) || !raft.noopApplied) return;
    this.leaseReads++;
    hold(
      raft.commitIndex >= this.#commitMax,
      () => `${id} holds a lease at ${raft.commitIndex}, committed is ${this.#commitMax}`,
    );
  }

  /** A leader's log holds everything that was ever committed. */
  #checkCompleteness(id: ReplicaId): void {
    const raft = this.#runningOf(id);
    for (let index = raft.firstIndex; index <= this.#commitMax; index++) {
      const term = raft.termAt(index);
      const expected = this.#committedTerms[index];
      hold(
        expected === undefined || term === expected,
        () => `${id} leads term ${raft.term} without entry ${index} of term ${expected}`,
      );
    }
  }

  #checkCommit(id: ReplicaId, commitIndex: number): void {
    const raft = this.#runningOf(id);
    const before = this.#commitSeen.get(id);
    hold(before === undefined || commitIndex > before, () => `${id} took a commit back`);
    this.#commitSeen.set(id, commitIndex);
    for (let index = commitIndex; index >= raft.firstIndex; index--) {
      const term = must(raft.termAt(index));
      const known = this.#committedTerms[index];
      if (known === undefined) this.#committedTerms[index] = term;
      hold((known ?? term) === term, () => `${id} committed another entry ${index}`);
      if (known !== undefined && index <= (before ?? 0)) break;
    }
    if (commitIndex <= this.#commitMax) return;
    this.#commitMax = commitIndex;
    this.#checkDurableOnQuorum(id, commitIndex);
  }

  /** What is newly committed is on the disks of a majority, of both halves while joint. */
  #checkDurableOnQuorum(id: ReplicaId, index: number): void {
    const raft = this.#runningOf(id);
    const term = must(raft.termAt(index));
    const { voters, outgoing } = raft.configuration;
    // The configuration entry itself may be what was just committed and acted upon.
    const halves = raft.role === "leader" ? [voters, outgoing] : [];
    for (const half of halves) {
      if (half.length === 0) continue;
      const holders = half.filter((each) => {
        const replica = this.#cluster.replicas.get(each);
        if (replica === undefined) return false;
        // It did, before it lost its end, and votes as if it still did.
        if (index <= (replica.disk.floor?.index ?? 0)) return true;
        return index < replica.disk.base.index || replica.durableTermAt(index) === term;
      });
      hold(
        holders.length * 2 > half.length,
        () =>
          `${id} committed ${index}, durable on ${holders.join()} of ${votersOf(raft.configuration).join()}`,
      );
    }
  }

  #noteVote(voterId: ReplicaId, term: number, candidateId: ReplicaId): void {
    const key = `${voterId}@${term}`;
    const before = this.#votes.get(key) ?? candidateId;
    hold(before === candidateId, () => `${voterId} voted twice in term ${term}`);
    const { hardState } = this.#replicaOf(voterId).disk;
    const isDurable =
      hardState.term > term || (hardState.term === term && hardState.vote === candidateId);
    hold(isDurable, () => `${voterId} gave a vote in term ${term} that is not durable`);
    this.#votes.set(key, candidateId);
  }

  #checkLogMatching(id: ReplicaId, run: EntryRun): void {
    const raft = this.#runningOf(id);
    let index = run.firstIndex;
    let prevTerm = raft.termAt(index - 1);
    for (const entry of entriesOf(run)) {
      if (prevTerm !== undefined) {
        const key = `${index}@${entry.term}`;
        const text = `${entryText(entry)} after ${prevTerm}`;
        const known = this.#entries.get(key) ?? text;
        hold(known === text, () => `${id} holds ${text} at ${key}, another holds ${known}`);
        this.#entries.set(key, text);
      }
      prevTerm = entry.term;
      index++;
    }
  }

  #checkApplied(id: ReplicaId, run: EntryRun): void {
    entriesOf(run).forEach((entry, i) => {
      const index = run.firstIndex + i;
      const text = `${entryText(entry)}@${entry.term}`;
      const known = this.committed[index] ?? text;
      hold(known === text, () => `${id} applied ${text} at ${index}, another ${known}`);
      this.committed[index] = text;
    });
  }
}
