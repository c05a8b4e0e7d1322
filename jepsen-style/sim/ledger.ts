/**
 * What must hold in every moment, whatever has struck: kept outside the nodes, so that no crash
 * makes it forget. After each event the replicas of the node that ran are compared with it.
 *
 *   election safety       one leader a term
 *   monotonic terms       the term of a replica never falls, not across restarts either
 *   one vote a term       as said to others, across restarts
 *   state machine safety  what one replica committed at an index no other commits otherwise
 *   leader completeness   who leads has all that was committed
 *   committed is durable  a majority has it on its disk when a leader says that it is committed
 *   acknowledged is durable   what a replica said that it has, it has after a crash
 *   lease exclusion       nobody may answer from memory once a later term has a leader, so that no
 *                         two may at one time
 *   acknowledged is true  a leader counts no more of a replica than it acknowledged in that term,
 *                         and no less than before
 *   applied is equal      `entry-ledger.ts`
 *   read indexes          `read-ledger.ts`
 *   elected by votes      who leads was voted for in that term by a majority
 *
 * raft-rules.ts has those that the state of a single replica shows.
 *
 * Where one does not hold, `violation` says so in words; nothing is thrown.
 */
import type { Raft } from "../../src/raft/raft.js";
import type { Message } from "../../src/raft/message.js";
import type { Configuration } from "../../src/raft/types.js";
import type { Replica } from "../../src/shard/replica.js";
import type { Machine } from "./cluster.js";
import type { SimNetwork } from "./network.js";
import { LogMatching, countFault, deafnessFault, hasQuorum, matchFault } from "./raft-rules.js";
import { nothingSeen, voteFault } from "./raft-rules.js";
import type { SeenState } from "./raft-rules.js";
import { EntryLedger } from "./entry-ledger.js";
import type { AppliedEntries } from "./entry-ledger.js";
import { ReadLedger } from "./read-ledger.js";

/** What is remembered of a replica, by its id, over all its runs. */
interface ReplicaLedger {
  readonly replicaId: number;
  machine: string;
  /** The highest it told others. */
  saidTerm: number;
  readonly votes: Map<number, number>;
  /** The newest acknowledgement: up to `index`, in the leader's term `term`. */
  ackTerm: number;
  ackIndex: number;
  /** The shortest log that it ever said was left of what it had. */
  leftIndex: number;
  seenCommit: number;
  seenRole: string;
  seenTerm: number;
  seen: SeenState;
  /** The replica as it is now; undefined while its node is down. */
  raft: Raft | undefined;
  /** Whether its node, as it runs now, would answer from memory at this moment. */
  holdsLease: () => boolean;
  /** The one it goes by, or went by when it ended. */
  configuration: Configuration;
  /** Its disk was lost. */
  isLost: boolean;
  /** What was durable when its node ended. */
  durableIndex: number;
  durableTerm: number;
}

interface ShardLedger {
  readonly shardId: number;
  readonly leaders: Map<number, number>;
  /** The latest term that somebody led. */
  newestLed: number;
  /** Term of the committed entry, by index. */
  readonly committed: number[];
  /** In which term that was first seen, by index. */
  readonly seenIn: number[];
  readonly matching: LogMatching;
  readonly replicas: Map<number, ReplicaLedger>;
  readonly entries: AppliedEntries;
}

/** What is said only once the term is on the disk; others, such as echoes, promise nothing. */
const GIVES_WORD: ReadonlySet<Message["kind"]> = new Set([
  "vote",
  "voteResponse",
  "appendResponse",
]);

export class Ledger {
  violation: string | undefined;
  /** Entries known to be committed, over all shards. */
  commits = 0;
  /** Leaders elected, over all shards. */
  elections = 0;
  readonly #shards: Map<number, ShardLedger> = new Map();
  readonly #reads = new ReadLedger((what) => {
    this.violation ??= what;
  });
  readonly #entries = new EntryLedger((what) => {
    this.violation ??= what;
  });

  /** A node's event has run. */
  check(machine: Machine): void {
    if (machine.node === undefined) return;
    for (const replica of machine.node.core.host.replicas) this.#checkReplica(machine, replica);
  }

  /** A node has started: what it gave its word for must be there. */
  started(machine: Machine): void {
    if (machine.node === undefined) return;
    for (const replica of machine.node.core.host.replicas) {
      const own = this.#replica(replica.shardId, replica.replicaId, machine.name);
      const { raft } = replica;
      own.raft = raft;
      own.seenRole = "";
      own.seenCommit = raft.commitIndex;
      own.seen = nothingSeen();
      const said = own.votes.get(raft.term);
      if (said !== undefined && said !== raft.vote) {
        this.#violated(own, `restarted in term ${raft.term} without its vote for ${said}`);
      }
      const lastTerm = raft.termAt(raft.lastIndex) ?? 0;
      if (raft.term < own.saidTerm) {
        this.#violated(own, `restarted in term ${raft.term} after it had said ${own.saidTerm}`);
      }
      // What rotted is lost and known to be: the replica goes on as if it had it, and asks for it.
      if (raft.isRefilling) continue;
      // Only a leader of a later term may have replaced what was acknowledged by less.
      if (raft.lastIndex < own.ackIndex && lastTerm <= own.ackTerm) {
        const log = `ends at ${raft.lastIndex} of term ${lastTerm}`;
        const word = `acknowledged ${own.ackIndex} in term ${own.ackTerm}`;
        this.#violated(own, `its log ${log} after it had ${word}`);
      }
    }
  }

  /** A disk is lost, with all that was promised on it: those replicas count for nothing now. */
  wiped({ name }: Machine): void {
    for (const shard of this.#shards.values()) {
      for (const own of shard.replicas.values()) {
        if (own.machine !== name || own.isLost) continue;
        own.raft = undefined;
        own.isLost = true;
        own.saidTerm = 0;
        own.seenTerm = 0;
        // Its last acknowledgements may still be on their way.
        own.durableIndex = own.ackIndex;
        own.ackIndex = 0;
      }
    }
  }

  /** A node is about to end. */
  ended(machine: Machine): void {
    for (const shard of this.#shards.values()) {
      for (const own of shard.replicas.values()) {
        if (own.machine !== machine.name || own.raft === undefined || own.isLost) continue;
        own.durableIndex = own.raft.durableIndex;
        own.durableTerm = own.raft.termAt(own.durableIndex) ?? 0;
        if (own.raft.isRefilling) answerForLost(own);
        own.raft = undefined;
      }
    }
  }

  /**
   * The sets of voters that a shard may need a majority of, as machines: of each configuration that
   * one of its replicas goes by, and with its learners, who may be promoted at any moment. Empty
   * for a replica that has nothing any more.
   */
  quorums(): readonly (readonly string[])[] {
    const quorums: string[][] = [];
    for (const { replicas } of this.#shards.values()) {
      const machineOf = (id: number): string => {
        const replica = replicas.get(id);
        return replica === undefined || replica.isLost ? "" : replica.machine;
      };
      for (const { configuration } of replicas.values()) {
        const { voters, outgoing, learners } = configuration;
        const all = [...voters, ...learners];
        quorums.push(...[voters, outgoing, all].map((ids) => ids.map(machineOf)));
      }
    }
    return quorums.filter((machines) => machines.length > 0);
  }

  /** A replica says this to another. */
  said(machine: string, shardId: number, message: Message): void {
    const own = this.#replica(shardId, message.from, machine);
    if (GIVES_WORD.has(message.kind)) own.saidTerm = Math.max(own.saidTerm, message.term);
    if (message.kind === "voteResponse" && message.granted) this.#voted(own, message);
    if (message.kind === "vote") this.#vote(own, message.term, message.from);
    if (message.kind === "refill") own.leftIndex = Math.min(own.leftIndex, message.lastIndex);
    if (message.kind === "appendResponse" && !message.rejected) {
      if (message.term > own.ackTerm) {
        own.ackTerm = message.term;
        own.ackIndex = 0;
      }
      if (message.term === own.ackTerm) own.ackIndex = Math.max(own.ackIndex, message.index);
    }
  }

  /** Whether who leads on this machine is still heard by a majority, as far as anything arrives. */
  checkHearing(machine: Machine, boundMs: number, network: SimNetwork): void {
    const { node, program, name, stopping } = machine;
    // One that is being stopped does nothing any more but wait for its disk.
    if (node === undefined || program === undefined || stopping) return;
    const { nowMs } = network.world;
    for (const { raft, shardId, replicaId } of node.core.host.replicas) {
      const own = this.#replica(shardId, replicaId, name);
      const { replicas } = this.#shard(shardId);
      const heardMs = (id: number): number | undefined => {
        const other = id === replicaId ? undefined : replicas.get(id);
        return other === undefined ? undefined : network.road(other.machine, name).heardMs;
      };
      const { awakeSinceMs } = program;
      const wrong = deafnessFault(own.seen, raft, { nowMs, awakeSinceMs, boundMs, heardMs });
      if (wrong !== undefined) this.#violated(own, wrong);
    }
  }

  #checkReplica(machine: Machine, replica: Replica): void {
    const { raft } = replica;
    const own = this.#replica(replica.shardId, replica.replicaId, machine.name);
    const shard = this.#shard(replica.shardId);
    own.raft = raft;
    own.holdsLease = () => holdsLease(machine, raft);
    this.#entries.watch(replica, `replica ${replica.replicaId} on ${machine.name}`, shard.entries);
    this.#reads.watch(replica, machine.name, () => shard.committed.length - 1);
    if (raft.term < own.seenTerm && raft.term < own.saidTerm) {
      this.#violated(own, `fell from term ${own.seenTerm} to ${raft.term}`);
    }
    own.seenTerm = raft.term;
    own.configuration = raft.configuration;
    const wrong =
      voteFault(own.seen, raft) ??
      shard.matching.fault(own.seen, raft, own.seenCommit) ??
      matchFault(own.seen, raft, (id) =>
        id === own.replicaId ? undefined : shard.replicas.get(id),
      );
    if (wrong !== undefined) this.#violated(own, wrong);
    if (raft.role === "leader" && own.seenRole !== `leader ${raft.term}`) {
      this.#elected(shard, own, raft);
      for (const other of shard.replicas.values()) this.#checkLease(shard, other);
    }
    this.#checkLease(shard, own);
    const led = own.seenRole === `leader ${raft.term}`;
    own.seenRole = `${raft.role} ${raft.term}`;
    if (raft.commitIndex <= own.seenCommit) return;
    this.#committed(shard, own, raft);
    const counted = led && raft.role === "leader" ? countFault(raft) : undefined;
    if (counted !== undefined) this.#violated(own, counted);
  }

  /** Those whose promises a lease rests on let nobody else be elected while it lasts. */
  #checkLease(shard: ShardLedger, own: ReplicaLedger): void {
    const { raft } = own;
    if (raft?.role !== "leader" || raft.term >= shard.newestLed) return;
    if (!own.holdsLease()) return;
    this.#violated(own, `holds a lease in term ${raft.term} while ${shard.newestLed} has a leader`);
  }

  #elected(shard: ShardLedger, own: ReplicaLedger, raft: Raft): void {
    this.elections++;
    const other = shard.leaders.get(raft.term);
    if (other !== undefined && other !== own.replicaId) {
      this.#violated(own, `leads term ${raft.term}, which replica ${other} led`);
    }
    shard.leaders.set(raft.term, own.replicaId);
    const hasVote = (id: number): boolean =>
      id === own.replicaId || shard.replicas.get(id)?.votes.get(raft.term) === own.replicaId;
    if (!hasQuorum(raft.configuration, hasVote)) {
      this.#violated(own, `leads term ${raft.term}, for which no majority gave its vote`);
    }
    shard.newestLed = Math.max(shard.newestLed, raft.term);
    // Who wins an old term late need not have what later ones committed.
    for (let index = Math.max(1, raft.firstIndex); index < shard.committed.length; index++) {
      const term = shard.committed[index];
      if (term === undefined || shard.seenIn[index]! >= raft.term) continue;
      if (raft.termAt(index) === term) continue;
      this.#violated(own, `leads without the entry ${index} of term ${term}, which is committed`);
      return;
    }
  }

  #committed(shard: ShardLedger, own: ReplicaLedger, raft: Raft): void {
    const from = Math.max(own.seenCommit + 1, raft.firstIndex);
    for (let index = from; index <= raft.commitIndex; index++) {
      const term = raft.termAt(index);
      if (term === undefined) continue;
      const known = shard.committed[index];
      if (known === undefined) {
        shard.committed[index] = term;
        shard.seenIn[index] = raft.term;
        this.commits++;
      } else if (known !== term) {
        this.#violated(own, `committed ${index} of term ${term}; others have term ${known} there`);
      }
    }
    own.seenCommit = raft.commitIndex;
    if (raft.role === "leader") this.#checkDurable(shard, own, raft);
  }

  #checkDurable(shard: ShardLedger, own: ReplicaLedger, raft: Raft): void {
    const index = raft.commitIndex;
    const term = raft.termAt(index) ?? 0;
    const holds = (replicaId: number): boolean => {
      const replica = shard.replicas.get(replicaId);
      if (replica === undefined) return false;
      if (replica.isLost) return replica.durableIndex >= index;
      // What it lost it still answers for, and asks for it.
      if (replica.raft?.isRefilling === true) return true;
      if (replica.raft === undefined) {
        return replica.durableIndex >= index && replica.durableTerm >= term;
      }
      // In a later term it knows of what it wrote before that term only once its vote is written.
      const hasMovedOn = replica.raft.term > raft.term && replica.ackTerm === raft.term;
      return replica.raft.durableIndex >= index || (hasMovedOn && replica.ackIndex >= index);
    };
    if (hasQuorum(raft.configuration, holds)) return;
    this.#violated(own, `committed ${index}, which no majority has on its disk`);
  }

  #voted(own: ReplicaLedger, message: Message): void {
    this.#vote(own, message.term, message.to);
  }

  #vote(own: ReplicaLedger, term: number, candidate: number): void {
    const before = own.votes.get(term);
    if (before !== undefined && before !== candidate) {
      this.#violated(own, `voted in term ${term} for ${before} and for ${candidate}`);
    }
    own.votes.set(term, candidate);
  }

  #violated(own: ReplicaLedger, what: string): void {
    this.violation ??= `replica ${own.replicaId} on ${own.machine} ${what}`;
  }

  #shard(shardId: number): ShardLedger {
    let shard = this.#shards.get(shardId);
    if (shard === undefined) {
      shard = {
        shardId,
        leaders: new Map(),
        newestLed: 0,
        committed: [],
        seenIn: [],
        matching: new LogMatching(),
        replicas: new Map(),
        entries: new Map(),
      };
      this.#shards.set(shardId, shard);
    }
    return shard;
  }

  #replica(shardId: number, replicaId: number, machine: string): ReplicaLedger {
    const { replicas } = this.#shard(shardId);
    let own = replicas.get(replicaId);
    if (own === undefined) {
      own = {
        replicaId,
        machine,
        saidTerm: 0,
        votes: new Map(),
        ackTerm: 0,
        ackIndex: 0,
        leftIndex: Number.POSITIVE_INFINITY,
        seenCommit: 0,
        seenRole: "",
        seenTerm: 0,
        seen: nothingSeen(),
        raft: undefined,
        holdsLease: () => false,
        configuration: NO_MEMBERS,
        isLost: false,
        durableIndex: 0,
        durableTerm: 0,
      };
      replicas.set(replicaId, own);
    }
    return own;
  }
}

/** What it lost it has still acknowledged, and a leader may hear of that only now. */
function answerForLost(own: ReplicaLedger): void {
  own.durableIndex = Math.max(own.durableIndex, own.ackIndex);
  own.durableTerm = Math.max(own.durableTerm, own.ackTerm);
}

const NO_MEMBERS: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [] };

/** It answers nothing from memory in a sleep, nor before it has looked whether it slept. */
function holdsLease({ node, program }: Machine, raft: Raft): boolean {
  if (node === undefined || program === undefined || program.asleep) return false;
  if (node.core.host.sleepWatch.mayHaveSlept) return false;
  return raft.hasLease(program.clock.monotonicMs());
}
