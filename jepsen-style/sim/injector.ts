/**
 * Lets the faults of a list strike, and heals what each did when its time is over. Faults of one
 * kind may overlap: what two of them hold is let go by the last.
 */
import type { Message } from "../../src/raft/message.js";
import type { Replica } from "../../src/shard/replica.js";
import type { SimCluster, Machine } from "./cluster.js";
import { Blockades, waysAcross } from "./blockades.js";
import type { Fault } from "./faults.js";
import { FirstAppendsLost, LateVotes } from "./frame-filters.js";
import { DirectedInjector, mayFlush } from "./injector-directed.js";
import type { FrameTap } from "./frame-tap.js";
import type { SimNetwork } from "./network.js";
import type { SimOperator } from "./operator.js";
import type { Way } from "./roads.js";
import { flipBit, misdirect, spoilSector } from "./rot.js";
import { Usurper } from "./usurper.js";
import type { World } from "./world.js";

export interface InjectorParts {
  readonly world: World;
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  readonly tap: FrameTap;
  readonly operator: SimOperator;
  readonly struck: (fault: Fault) => void;
}

export class Injector {
  /** How often each kind has struck. */
  readonly counts: Map<string, number> = new Map();
  readonly #parts: InjectorParts;
  readonly #blockades: Blockades;
  readonly #lateVotes: LateVotes;
  readonly #usurper: Usurper;
  readonly #directed: DirectedInjector;
  readonly #triggers: Extract<Fault, { kind: "trigger" }>[] = [];
  #over = false;

  constructor(parts: InjectorParts) {
    this.#parts = parts;
    const { world, network, tap } = parts;
    this.#blockades = new Blockades(network);
    this.#lateVotes = new LateVotes(world);
    tap.filters.add(this.#lateVotes);
    this.#usurper = new Usurper({
      ...parts,
      blockades: this.#blockades,
      inside: (machine, act) => this.#inside(machine, act),
      flush: (machine) => this.#flush(machine),
    });
    this.#directed = new DirectedInjector({
      ...parts,
      cut: (roads, forMs) => this.#blockFor(roads, forMs),
      heal: (afterMs, heal) => this.#heal(afterMs, heal),
      inside: (machine, act) => this.#inside(machine, act),
    });
  }

  plan(faults: readonly Fault[]): void {
    const { world } = this.#parts;
    for (const fault of faults) {
      world.after(fault.atMs - world.nowMs, `fault ${fault.kind}`, undefined, () => {
        if (!this.#over) this.#strike(fault);
      });
    }
  }

  /** A node says this to another: where a trigger waits for it, that is its last word. */
  said(machine: Machine, kind: Message["kind"]): void {
    if (this.#over) return;
    this.#directed.said(machine, kind);
    const trigger = this.#triggers.find(({ on }) => on === kind);
    if (trigger === undefined) return;
    this.#triggers.splice(this.#triggers.indexOf(trigger), 1);
    this.#parts.world.after(0, "triggered", undefined, () => {
      if (this.#over) return;
      this.#parts.cluster.cutPower(machine, "mixed");
      this.#startAfter(machine, trigger.downMs);
    });
  }

  /** A node's event has run. */
  ran(machine: Machine): void {
    if (!this.#over) this.#directed.ran(machine);
  }

  /** Nothing strikes any more, and nothing heals by itself. */
  end(): void {
    this.#over = true;
    this.#lateVotes.end();
    this.#directed.end();
    this.#usurper.end();
    // What some of them take would never come: the healed majority's roads are whole.
    this.#parts.tap.filters.clear();
    this.#parts.tap.faults = undefined;
  }

  #strike(fault: Fault): void {
    this.counts.set(fault.kind, (this.counts.get(fault.kind) ?? 0) + 1);
    this.#parts.struck(fault);
    switch (fault.kind) {
      case "kill":
      case "power":
      case "crashAtWrite":
      case "killAll":
      case "pause":
      case "sleep":
      case "restart":
        return this.#strikeProcess(fault);
      case "trigger":
        this.#triggers.push(fault);
        return;
      case "lateVotes":
        return this.#lateVotes.begin();
      case "firstLost":
        return this.#loseFirst(fault.forMs);
      case "usurp":
        void this.#usurper.strike(fault);
        return;
      case "pauseLeader":
        return this.#pause(this.#leader(fault.draw), fault.forMs);
      case "partition":
      case "isolate":
      case "clog":
      case "slow":
      case "reset":
      case "flap":
      case "frames":
        return this.#strikeNetwork(fault);
      case "stall":
      case "diskError":
      case "diskFull":
        return this.#strikeDisk(fault);
      case "bitRot":
      case "badSector":
      case "misdirect":
      case "wipe":
      case "rejoin":
        return this.#strikeVictim(fault);
      case "replicas":
        return this.#parts.operator.changeReplica(fault.shardDraw, fault.nodeDraw);
      case "transfer":
        return this.#transfer(fault.draw);
      case "flush":
        return this.#flush(this.#parts.cluster.machine(fault.machine));
      case "wallClock":
      case "freezeWall":
      case "drift":
        return this.#strikeClock(fault);
      default:
        return this.#directed.strike(fault);
    }
  }

  #strikeProcess(
    fault: Extract<
      Fault,
      { kind: "kill" | "power" | "crashAtWrite" | "killAll" | "pause" | "sleep" | "restart" }
    >,
  ): void {
    const { cluster } = this.#parts;
    if (fault.kind === "killAll") {
      for (const machine of cluster.machines) {
        if (fault.power) cluster.cutPower(machine, "mixed");
        else cluster.kill(machine);
        this.#startAfter(machine, fault.downMs);
      }
      return;
    }
    const machine = cluster.machine(fault.machine);
    switch (fault.kind) {
      case "kill":
        cluster.kill(machine);
        return this.#startAfter(machine, fault.downMs);
      case "power":
        cluster.cutPower(machine, fault.style);
        return this.#startAfter(machine, fault.downMs);
      case "crashAtWrite":
        // Whoever sees the disk halted cuts the power; until then it may go down otherwise.
        machine.disk.haltAt(machine.disk.operations + fault.operations);
        machine.restartMs = fault.downMs;
        return;
      case "pause":
        return this.#pause(machine, fault.forMs);
      case "sleep":
        cluster.sleep(machine);
        return this.#heal(fault.forMs, () => cluster.resume(machine));
      case "restart":
        void cluster.stop(machine).then(() => this.#startAfter(machine, fault.downMs));
        return;
    }
  }

  #strikeNetwork(
    fault: Extract<
      Fault,
      { kind: "partition" | "isolate" | "clog" | "slow" | "reset" | "flap" | "frames" }
    >,
  ): void {
    const { network, tap } = this.#parts;
    switch (fault.kind) {
      case "partition":
        return this.#blockFor(waysAcross(fault, fault.oneWay), fault.forMs);
      case "isolate":
        return this.#isolate(fault);
      case "clog":
        return this.#blockFor(fault.roads, fault.forMs);
      case "slow":
        for (const { from, to } of fault.roads) {
          const road = network.road(from, to);
          const { delayMsMin, delayMsMean } = road;
          road.delayMsMin = delayMsMin * fault.factor;
          road.delayMsMean = delayMsMean * fault.factor;
          this.#heal(fault.forMs, () => {
            road.delayMsMin /= fault.factor;
            road.delayMsMean /= fault.factor;
          });
        }
        return;
      case "reset":
        return network.reset(fault.way.from, fault.way.to);
      case "flap":
        return this.#flap(fault.way, fault.periodMs, fault.times);
      case "frames":
        tap.faults = fault;
        return this.#heal(fault.forMs, () => {
          if (tap.faults === fault) tap.faults = undefined;
        });
    }
  }

  #strikeDisk(fault: Extract<Fault, { kind: "stall" | "diskError" | "diskFull" }>): void {
    const { world, cluster } = this.#parts;
    const machine = cluster.machine(fault.machine);
    switch (fault.kind) {
      case "stall":
        machine.stalledUntilMs = world.nowMs + fault.forMs;
        return;
      case "diskError":
        machine.disk.inject({ ...fault, code: "io" });
        return;
      case "diskFull": {
        machine.disk.quotaBytes = Math.min(machine.disk.quotaBytes, machine.disk.usedBytes());
        return this.#heal(fault.forMs, () => cluster.makeRoom(machine));
      }
    }
  }

  #strikeClock(fault: Extract<Fault, { kind: "wallClock" | "freezeWall" | "drift" }>): void {
    const { program } = this.#parts.cluster.machine(fault.machine);
    switch (fault.kind) {
      case "wallClock":
        return program?.stepWallClock(fault.stepMs);
      case "freezeWall":
        program?.freezeWallClock();
        return this.#heal(fault.forMs, () => program?.thawWallClock(fault.catchesUp));
      case "drift":
        return program?.drift(fault.clockRate);
    }
  }

  #strikeVictim(
    fault: Extract<Fault, { kind: "bitRot" | "badSector" | "misdirect" | "wipe" | "rejoin" }>,
  ): void {
    const { cluster, operator } = this.#parts;
    const machine = cluster.machine(fault.machine);
    if (machine.isLost) return;
    const { disk, storeId, rotten } = machine;
    switch (fault.kind) {
      case "bitRot":
        if (fault.what === "lastBatch") {
          cluster.kill(machine);
          this.#startAfter(machine, fault.downMs);
        }
        if (flipBit(disk, storeId, fault, rotten)) machine.isRotten = true;
        return;
      case "badSector":
        if (spoilSector(disk, storeId, fault, rotten)) machine.isRotten = true;
        return;
      case "misdirect":
        if (!misdirect(disk, storeId, fault, rotten)) return;
        machine.isRotten = true;
        if (fault.what === "log") machine.mayStayClosed = true;
        return;
      case "wipe":
        if (machine.wasReplaced || !cluster.isRegistered(machine)) return;
        cluster.wipe(machine);
        this.#startAfter(machine, fault.downMs);
        this.#heal(fault.downMs + fault.replaceMs, () => operator.replace(machine));
        return;
      case "rejoin":
        if (machine.wasReplaced || !cluster.isRegistered(machine)) return;
        machine.isLost = true;
        return operator.replace(machine);
    }
  }

  /** Every leader hands over, all to replicas of one place in their lists. */
  #transfer(draw: number): void {
    for (const machine of this.#parts.cluster.machines) {
      this.#inside(machine, (replica) => {
        if (replica.raft.role !== "leader") return;
        const others = replica.raft.configuration.voters.filter((id) => id !== replica.replicaId);
        const to = others[Math.floor(draw * others.length)];
        if (to === undefined) return;
        replica.raft.transferLeader(to, replica.clockMs());
        replica.wake();
      });
    }
  }

  #flush(machine: Machine): void {
    this.#inside(machine, (replica) => {
      const store = machine.node?.core.store;
      if (mayFlush(replica)) void store?.flushNow(replica.tree, replica.flushedState());
    });
  }

  /** Does something with each replica of a node, as if it did so itself. */
  #inside(machine: Machine, act: (replica: Replica) => void): void {
    const { program, node } = machine;
    if (program === undefined || node === undefined) return;
    this.#parts.world.after(0, "administration", program, () => {
      for (const replica of node.core.host.replicas) act(replica);
    });
  }

  /** A node that leads some shard at this moment. */
  #leader(draw: number): Machine | undefined {
    const leaders = this.#parts.cluster.machines.filter(({ node }) => {
      return [...(node?.core.host.replicas ?? [])].some(({ raft }) => raft.role === "leader");
    });
    return leaders[Math.floor(draw * leaders.length)];
  }

  /** Cuts off a node that leads some shard at this moment. */
  #isolate(fault: Extract<Fault, { kind: "isolate" }>): void {
    const { machines } = this.#parts.cluster;
    const leader = this.#leader(fault.draw);
    if (leader === undefined) return;
    const others = machines.filter((machine) => machine !== leader).map(({ name }) => name);
    const inside = [leader.name, ...fault.inside];
    const outside = [...others, ...fault.outside];
    this.#blockFor(waysAcross({ inside, outside }, false), fault.forMs);
  }

  #blockFor(roads: readonly Way[], forMs: number): void {
    for (const way of roads) {
      this.#blockades.block(way);
      this.#heal(forMs, () => this.#blockades.open(way));
    }
  }

  #loseFirst(forMs: number): void {
    const { filters } = this.#parts.tap;
    const filter = new FirstAppendsLost();
    filters.add(filter);
    this.#heal(forMs, () => filters.delete(filter));
  }

  #pause(machine: Machine | undefined, forMs: number): void {
    if (machine === undefined) return;
    const { cluster } = this.#parts;
    cluster.pause(machine);
    this.#heal(forMs, () => cluster.resume(machine));
  }

  #flap(way: Way, periodMs: number, times: number): void {
    if (times === 0) return;
    this.#blockFor([way], periodMs / 2);
    this.#heal(periodMs, () => this.#flap(way, periodMs, times - 1));
  }

  #startAfter(machine: Machine, downMs: number): void {
    this.#heal(downMs, () => this.#parts.cluster.start(machine));
  }

  #heal(afterMs: number, heal: () => void): void {
    this.#parts.world.after(afterMs, "heal", undefined, () => {
      if (!this.#over) heal();
    });
  }
}
