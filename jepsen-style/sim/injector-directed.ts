/** Lets the faults strike that aim at a situation; what is common to all is the injector's. */
import type { Message } from "../../src/raft/message.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
import type { Replica } from "../../src/shard/replica.js";
import type { Machine, SimCluster } from "./cluster.js";
import type { DirectedFault } from "./faults-directed.js";
import { ShardCutOff } from "./frame-filters.js";
import type { FrameTap } from "./frame-tap.js";
import type { SimNetwork } from "./network.js";
import { across } from "./roads.js";
import type { Way } from "./roads.js";
import type { World } from "./world.js";

export interface DirectedParts {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  readonly tap: FrameTap;
  /** Blocks roads for a while. */
  readonly cut: (roads: readonly Way[], forMs: number) => void;
  /** Unless the run's faults are over by then. */
  readonly heal: (afterMs: number, heal: () => void) => void;
  /** Does something with each replica of a node, as if it did so itself. */
  readonly inside: (machine: Machine, act: (replica: Replica) => void) => void;
}

interface Dying {
  readonly fault: FaultOf<"slowStart">;
  /** By shard, what it had committed as its leader when it was seen last. */
  readonly commits: Map<number, number>;
}

interface Sleeper {
  readonly machine: Machine;
  /** In which it led the shard. */
  readonly term: number;
  readonly wakeAfterMs: number;
}

type FaultOf<K extends DirectedFault["kind"]> = Extract<DirectedFault, { readonly kind: K }>;

/** Those with which all shards of users go on, so that others may strike meanwhile. */
const BEARABLE: ReadonlySet<DirectedFault["kind"]> = new Set(["slowRevisions", "twoSequencers"]);

export class DirectedInjector {
  readonly #parts: DirectedParts;
  #busyUntilMs = 0;
  /** Machines that hear nothing for a while once they have said that they hand over. */
  readonly #handingOver: Map<Machine, number> = new Map();
  /** Machines that are waited for to lead nothing of users. */
  readonly #leaving: Map<Machine, FaultOf<"leaveBehind">> = new Map();
  /** Machines that are waited for to have something committed and not applied. */
  readonly #flushing: Map<Machine, FaultOf<"flushAhead">> = new Map();

  /** Machines that are waited for to commit something as leaders. */
  readonly #dying: Map<Machine, Dying> = new Map();
  /** How long all disks stall when somebody is elected in a shard, by its former term. */
  readonly #starts: Map<number, { readonly term: number; readonly stallMs: number }> = new Map();
  /** Wait for a leader with a lease. */
  readonly #drowsy: Set<FaultOf<"oversleep">> = new Set();
  /** Leaders that sleep until somebody else is elected, by their shard. */
  readonly #sleepers: Map<number, Sleeper> = new Map();

  /** What takes the placement group's messages. */
  #cutOff: ShardCutOff | undefined;

  constructor(parts: DirectedParts) {
    this.#parts = parts;
  }

  end(): void {
    this.#joinSequencers();
  }

  strike(fault: DirectedFault): void {
    if ("forMs" in fault && !BEARABLE.has(fault.kind)) {
      // Two cuts at a time, or one right after another, would leave nobody who could go on.
      const { nowMs } = this.#parts.world;
      if (nowMs < this.#busyUntilMs) return;
      this.#busyUntilMs = nowMs + 1.5 * fault.forMs;
    }
    switch (fault.kind) {
      case "depose":
        return this.#depose(fault);
      case "handover":
        return this.#handOver(fault);
      case "amnesia":
        return this.#amnesia(fault);
      case "slowEchoes":
        return this.#slowEchoes(fault);
      case "slowRevisions":
        return this.#slowRevisions(fault);
      case "twoSequencers":
        return this.#twoSequencers(fault);
      case "flushAhead":
        this.#flushing.set(this.#parts.cluster.machine(fault.machine), fault);
        return;
      case "leaveBehind":
        return this.#leaveBehind(fault);
      case "slowStart":
        this.#dying.set(this.#parts.cluster.machine(fault.machine), { fault, commits: new Map() });
        return;
      case "oversleep":
        this.#drowsy.add(fault);
        return this.#parts.heal(fault.forMs, () => this.#drowsy.delete(fault));
    }
  }

  /** A node has said this to another. */
  said(machine: Machine, kind: Message["kind"]): void {
    const forMs = this.#handingOver.get(machine);
    if (kind !== "timeoutNow" || forMs === undefined) return;
    this.#handingOver.delete(machine);
    this.#parts.cut(across(this.#namesBut(machine), [machine.name]), forMs);
  }

  /** A node's event has run. */
  ran(machine: Machine): void {
    const flushing = this.#flushing.get(machine);
    if (flushing !== undefined) this.#awaitLag(machine, flushing);
    const dying = this.#dying.get(machine);
    if (dying !== undefined) this.#awaitCommit(machine, dying);
    const leaving = this.#leaving.get(machine);
    if (leaving !== undefined) this.#awaitSuccessor(machine, leaving);
    if (this.#starts.size > 0) this.#awaitLeader(machine);
    for (const fault of this.#drowsy) this.#awaitLease(machine, fault);
    if (this.#sleepers.size > 0) this.#awaitElection(machine);
  }

  #awaitLag(machine: Machine, fault: FaultOf<"flushAhead">): void {
    for (const replica of machine.node?.core.host.replicas ?? []) {
      const { raft } = replica;
      if (raft.commitIndex === raft.appliedIndex || !mayFlush(replica)) continue;
      this.#flushing.delete(machine);
      return this.#flushAhead(machine, replica, fault.downMs);
    }
  }

  #awaitCommit(machine: Machine, { fault, commits }: Dying): void {
    for (const { raft, shardId } of machine.node?.core.host.replicas ?? []) {
      const before = commits.get(shardId) ?? Number.POSITIVE_INFINITY;
      commits.set(shardId, raft.role === "leader" ? raft.commitIndex : Number.POSITIVE_INFINITY);
      if (raft.role !== "leader" || raft.commitIndex <= before) continue;
      this.#dying.delete(machine);
      this.#starts.set(shardId, { term: raft.term, stallMs: fault.stallMs });
      this.#parts.heal(0, () => this.#parts.cluster.kill(machine));
      this.#parts.heal(fault.downMs, () => this.#parts.cluster.start(machine));
      return;
    }
  }

  #awaitLeader({ node }: Machine): void {
    const { cluster, world } = this.#parts;
    for (const { raft, shardId } of node?.core.host.replicas ?? []) {
      const start = this.#starts.get(shardId);
      if (start === undefined || raft.role !== "leader" || raft.term <= start.term) continue;
      this.#starts.delete(shardId);
      for (const machine of cluster.machines) {
        machine.stalledUntilMs = Math.max(machine.stalledUntilMs, world.nowMs + start.stallMs);
      }
    }
  }

  #awaitLease(machine: Machine, fault: FaultOf<"oversleep">): void {
    const { cluster, heal } = this.#parts;
    for (const { raft, shardId, clockMs } of machine.node?.core.host.replicas ?? []) {
      if (!isOfUsers(shardId) || !raft.hasLease(clockMs())) continue;
      const { wakeAfterMs, forMs } = fault;
      this.#drowsy.delete(fault);
      this.#sleepers.set(shardId, { machine, term: raft.term, wakeAfterMs });
      heal(0, () => cluster.sleep(machine));
      heal(forMs, () => {
        this.#sleepers.delete(shardId);
        cluster.resume(machine);
      });
      return;
    }
  }

  #awaitElection({ node }: Machine): void {
    const { cluster, heal } = this.#parts;
    for (const { raft, shardId } of node?.core.host.replicas ?? []) {
      const sleeper = this.#sleepers.get(shardId);
      if (sleeper === undefined || raft.role !== "leader" || raft.term <= sleeper.term) continue;
      this.#sleepers.delete(shardId);
      heal(sleeper.wakeAfterMs, () => cluster.resume(sleeper.machine));
    }
  }

  #depose(fault: FaultOf<"depose">): void {
    const { draw, isSequencer, friendDraw, inside, outside, forMs } = fault;
    const leader = isSequencer ? this.#sequencer() : this.#leader(draw);
    if (leader === undefined) return;
    const all = this.#namesBut(leader);
    const friend = friendDraw === undefined || all.length < 4 ? -1 : friendDraw * all.length;
    const others = all.filter((_, i) => i !== Math.floor(friend));
    const friends = all.filter((name) => !others.includes(name));
    const ways = both([leader.name, ...friends, ...inside], [...others, ...outside]);
    this.#parts.cut(ways, forMs);
    this.#break(leader, others);
  }

  #handOver({ draw, shardDraw, toDraw, forMs }: FaultOf<"handover">): void {
    const leader = this.#leader(draw);
    if (leader === undefined) return;
    this.#handingOver.set(leader, forMs);
    this.#parts.heal(forMs, () => this.#handingOver.delete(leader));
    const led = ledShards(leader).filter(isOfUsers);
    const shardId = led[Math.floor(shardDraw * led.length)];
    this.#transfer(leader, toDraw, (each) => each === shardId);
  }

  #transfer(leader: Machine, toDraw: number, isMeant: (shardId: number) => boolean): void {
    this.#parts.inside(leader, (replica) => {
      if (replica.raft.role !== "leader" || !isMeant(replica.shardId)) return;
      const others = replica.raft.configuration.voters.filter((id) => id !== replica.replicaId);
      const to = others[Math.floor(toDraw * others.length)];
      if (to === undefined) return;
      replica.raft.transferLeader(to, replica.clockMs());
      replica.wake();
    });
  }

  #amnesia({ draw, power, downMs, stepMs, forMs }: FaultOf<"amnesia">): void {
    const { cluster, cut, heal } = this.#parts;
    const leader = this.#leader(draw);
    if (leader === undefined) return;
    cut(both([leader.name], this.#namesBut(leader)), forMs);
    const others = cluster.machines.filter((machine) => machine !== leader);
    for (const machine of others) {
      if (power) cluster.cutPower(machine, "mixed");
      else cluster.kill(machine);
      heal(downMs, () => cluster.start(machine));
    }
    this.#campaigns(others, { fromMs: downMs + stepMs, stepMs, untilMs: forMs });
  }

  /** Replicas of these machines that may do so campaign, one machine after the other. */
  #campaigns(
    machines: readonly Machine[],
    { fromMs, stepMs, untilMs }: Record<"fromMs" | "stepMs" | "untilMs", number>,
    may: (replica: Replica) => boolean = () => true,
  ): void {
    const { heal, inside } = this.#parts;
    for (let turn = 0; fromMs + turn * stepMs < untilMs; turn++) {
      heal(fromMs + turn * stepMs, () => {
        inside(machines[turn % machines.length]!, (replica) => {
          if (!may(replica)) return;
          replica.raft.campaign(replica.clockMs());
          replica.wake();
        });
      });
    }
  }

  #slowEchoes({ draw, delayMs, cutAfterMs, forMs }: FaultOf<"slowEchoes">): void {
    const leader = this.#leader(draw);
    if (leader === undefined) return;
    const others = this.#namesBut(leader);
    for (const other of others) this.#slow(other, leader.name, delayMs, forMs);
    this.#parts.heal(cutAfterMs, () => {
      this.#parts.cut(across([leader.name], others), forMs - cutAfterMs);
    });
    const machines = this.#parts.cluster.machines.filter((machine) => machine !== leader);
    const stepMs = delayMs / 6;
    this.#campaigns(machines, { fromMs: cutAfterMs + stepMs, stepMs, untilMs: forMs });
  }

  #slowRevisions({ draw, delayMs, forMs }: FaultOf<"slowRevisions">): void {
    const leader = this.#sequencer();
    if (leader === undefined) return;
    const others = this.#parts.cluster.machines.filter((machine) => machine !== leader);
    const leaders = others.filter((machine) => ledShards(machine).length > 0);
    const from = leaders.length > 0 ? leaders : others;
    this.#slow(leader.name, from[Math.floor(draw * from.length)]!.name, delayMs, forMs);
  }

  #twoSequencers({ breaks, fromMs, stepMs, forMs }: FaultOf<"twoSequencers">): void {
    const { cluster, tap, heal } = this.#parts;
    const leader = this.#sequencer();
    const term = leader?.node?.core.host.replica(PLACEMENT_SHARD_ID)?.raft.term;
    if (leader === undefined || term === undefined || this.#cutOff !== undefined) return;
    this.#cutOff = new ShardCutOff(leader.name, PLACEMENT_SHARD_ID);
    tap.filters.add(this.#cutOff);
    heal(forMs, () => this.#joinSequencers());
    if (breaks) this.#break(leader, this.#namesBut(leader));
    const others = cluster.machines.filter((machine) => machine !== leader);
    // Whoever was refused asks again, before another one does and both lose.
    const inTurn = others.flatMap((machine) => [machine, machine]);
    // In a term after that one somebody has been elected, or soon will be.
    this.#campaigns(inTurn, { fromMs, stepMs, untilMs: forMs }, ({ shardId, raft }) => {
      return shardId === PLACEMENT_SHARD_ID && raft.term === term;
    });
  }

  #joinSequencers(): void {
    if (this.#cutOff !== undefined) this.#parts.tap.filters.delete(this.#cutOff);
    this.#cutOff = undefined;
  }

  #flushAhead(machine: Machine, { shardId }: Replica, downMs: number): void {
    const { cluster, heal, inside } = this.#parts;
    const { program, node } = machine;
    inside(machine, (replica) => {
      if (replica.shardId !== shardId || node === undefined || !mayFlush(replica)) return;
      void node.core.store.flushNow(replica.tree, replica.flushedState()).then(() => {
        heal(0, () => {
          if (machine.program !== program) return;
          cluster.cutPower(machine, "mixed");
          heal(downMs, () => cluster.start(machine));
        });
      });
    });
  }

  #leaveBehind(fault: FaultOf<"leaveBehind">): void {
    const { draw, toDraw, forMs } = fault;
    const watched = this.#parts.cluster.machines.filter(isWatched);
    const machine = watched[Math.floor(draw * watched.length)] ?? this.#leader(draw);
    if (machine === undefined) return;
    this.#leaving.set(machine, fault);
    this.#parts.heal(forMs, () => this.#leaving.delete(machine));
    this.#transfer(machine, toDraw, isOfUsers);
  }

  #awaitSuccessor(machine: Machine, { forMs }: FaultOf<"leaveBehind">): void {
    if (ledShards(machine).some(isOfUsers)) return;
    this.#leaving.delete(machine);
    const { cluster, cut, heal } = this.#parts;
    cut(both([machine.name], this.#namesBut(machine)), forMs);
    for (const other of cluster.machines) {
      if (other !== machine) heal(0.6 * forMs, () => this.#dropLogs(other));
    }
  }

  /** What has happened so far is flushed, and the log behind that is dropped. */
  #dropLogs(machine: Machine): void {
    const { node } = machine;
    this.#parts.inside(machine, (replica) => {
      if (node === undefined || !mayFlush(replica)) return;
      void node.core.store.flushNow(replica.tree, replica.flushedState()).then(() => {
        replica.releaseLog(replica.tree.flushed.index, true);
      });
    });
  }

  /** What is said from one machine to another takes so much longer, for a while. */
  #slow(from: string, to: string, byMs: number, forMs: number): void {
    const road = this.#parts.network.road(from, to);
    road.lateMs += byMs;
    this.#parts.heal(forMs, () => {
      road.lateMs -= byMs;
    });
  }

  /** Breaks the connections of a machine to others; who is told looks for other leaders. */
  #break({ name }: Machine, others: readonly string[]): void {
    for (const other of others) {
      this.#parts.network.reset(name, other);
      this.#parts.network.reset(other, name);
    }
  }

  /** One that leads a shard of users. */
  #leader(draw: number): Machine | undefined {
    const { machines } = this.#parts.cluster;
    const leaders = machines.filter((machine) => ledShards(machine).some(isOfUsers));
    return leaders[Math.floor(draw * leaders.length)];
  }

  #sequencer(): Machine | undefined {
    const { machines } = this.#parts.cluster;
    return machines.find((each) => ledShards(each).includes(PLACEMENT_SHARD_ID));
  }

  #namesBut(machine: Machine): readonly string[] {
    const { machines } = this.#parts.cluster;
    return machines.filter((each) => each !== machine).map(({ name }) => name);
  }
}

/** Not while a flush is under way, nor while the log is that of a snapshot and the tree is not. */
export function mayFlush({ raft, tree }: Replica): boolean {
  return tree.frozen.length === 0 && raft.appliedIndex >= raft.firstIndex - 1;
}

/** Clients watch there. */
function isWatched({ node }: Machine): boolean {
  return [...(node?.core.host.replicas ?? [])].some(({ machine }) => machine.hub.size > 0);
}

function isOfUsers(shardId: number): boolean {
  return shardId !== PLACEMENT_SHARD_ID;
}

function ledShards({ node }: Machine): readonly number[] {
  const replicas = [...(node?.core.host.replicas ?? [])];
  return replicas.filter(({ raft }) => raft.role === "leader").map(({ shardId }) => shardId);
}

function both(some: readonly string[], others: readonly string[]): readonly Way[] {
  return [...across(some, others), ...across(others, some)];
}
