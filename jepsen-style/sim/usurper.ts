/**
 * A fault with a plan: a leader is left with entries that nobody else has, others elect a successor
 * that commits, and then the old leader comes back, in a way that tests how logs are compared. Each
 * step waits for what the replicas do, not for a time; one that does not come in time ends it.
 *
 *   1. what a busy leader appends is lost, until it has so many entries
 *   2. it is cut off, with some clients; another leader commits in its term
 *   3. swap     that one is cut off as well, and the old leader comes back to the rest
 *      hand     it hands over, and the old leader comes back to the second successor
 *      trim     the log that the old leader lacks is flushed and dropped: it needs a snapshot
 *   4. after the next election, or a while, everybody is connected again
 *
 * Whoever comes back has new connections: what was on its way for so long is lost.
 */
import type { Replica } from "../../src/shard/replica.js";
import { waysAcross } from "./blockades.js";
import type { Blockades } from "./blockades.js";
import type { SimCluster, Machine } from "./cluster.js";
import type { Fault } from "./faults.js";
import { AppendsLost } from "./frame-filters.js";
import type { FrameTap } from "./frame-tap.js";
import type { SimNetwork } from "./network.js";
import type { Way } from "./roads.js";

export interface UsurperParts {
  readonly cluster: SimCluster;
  readonly network: SimNetwork;
  readonly tap: FrameTap;
  readonly blockades: Blockades;
  /** Does something with each replica of a node, as if the node did so itself. */
  readonly inside: (machine: Machine, act: (replica: Replica) => void) => void;
  readonly flush: (machine: Machine) => void;
}

export type UsurpFault = Extract<Fault, { kind: "usurp" }>;

/** Who leads a shard. */
interface Reign {
  readonly machine: Machine;
  readonly replica: Replica;
  readonly term: number;
}

/** A shard has changed its leader. */
interface Change {
  readonly shardId: number;
  readonly old: Machine;
  readonly first: Reign;
}

const POLL_MS = 5;

export class Usurper {
  readonly #parts: UsurperParts;
  #busy = false;
  #over = false;
  #starved: AppendsLost | undefined;

  constructor(parts: UsurperParts) {
    this.#parts = parts;
  }

  /** No further step is taken, and what is cut off stays so. */
  end(): void {
    this.#over = true;
    this.#feed();
  }

  async strike(fault: UsurpFault): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    const blocked: Way[] = [];
    const old = await this.#until(fault.electionMs, () => this.#busyLeader());
    if (old !== undefined) await this.#play(fault, old, blocked);
    this.#feed();
    if (!this.#over) for (const way of blocked) this.#parts.blockades.open(way);
    this.#busy = false;
  }

  async #play(fault: UsurpFault, old: Machine, blocked: Way[]): Promise<void> {
    const { electionMs } = fault;
    this.#starve(old);
    const isAhead = (replica: Replica): boolean => tailOf(replica) >= fault.entries;
    const leads = (): boolean => ledBy(old).length > 0;
    await this.#until(2 * electionMs, () => ledBy(old).some(isAhead) || !leads() || undefined);
    const longest = ledBy(old).sort((a, b) => tailOf(b) - tailOf(a))[0];
    if (this.#over || longest === undefined || tailOf(longest) === 0) return;
    const { shardId } = longest;
    this.#cutOff(old, fault, blocked);
    this.#feed();
    const first = await this.#until(4 * electionMs, () => this.#reign(shardId, [old]));
    if (first === undefined) return;
    await this.#end(fault, { old, shardId, first }, blocked);
  }

  async #end({ ending, electionMs }: UsurpFault, change: Change, blocked: Way[]): Promise<void> {
    const { old, shardId, first } = change;
    const next = (except: Machine): Reign | undefined =>
      this.#reign(shardId, [except, first.machine], first.term);
    if (ending === "swap") {
      const back = blocked.splice(0);
      this.#cutOff(first.machine, { inside: [], outside: [] }, blocked);
      this.#bringBack(old, back);
      await this.#until(4 * electionMs, () => next(first.machine));
      return;
    }
    if (ending === "hand") {
      this.#handOver(change);
      if ((await this.#until(2 * electionMs, () => next(old))) === undefined) return;
    } else {
      const last = first.replica.raft.commitIndex;
      for (const machine of this.#parts.cluster.machines) this.#parts.flush(machine);
      await this.#until(2 * electionMs, () => this.#trimmed(change, last));
    }
    if (this.#over) return;
    this.#bringBack(old, blocked.splice(0));
    await this.#until(electionMs, () => undefined);
  }

  /** A machine that leads and has something to commit. */
  #busyLeader(): Machine | undefined {
    return this.#parts.cluster.machines.find((each) => ledBy(each).some((led) => tailOf(led) > 0));
  }

  #starve(machine: Machine): void {
    this.#starved = new AppendsLost(machine.name);
    this.#parts.tap.filters.add(this.#starved);
  }

  #feed(): void {
    if (this.#starved !== undefined) this.#parts.tap.filters.delete(this.#starved);
    this.#starved = undefined;
  }

  #cutOff(
    machine: Machine,
    clients: { readonly inside: readonly string[]; readonly outside: readonly string[] },
    blocked: Way[],
  ): void {
    const { cluster, network, blockades } = this.#parts;
    const others = cluster.machines.map(({ name }) => name).filter((name) => name !== machine.name);
    const inside = [machine.name, ...clients.inside];
    for (const way of waysAcross({ inside, outside: [...others, ...clients.outside] }, false)) {
      blockades.block(way);
      blocked.push(way);
    }
    for (const other of others) network.reset(machine.name, other);
  }

  #bringBack({ name }: Machine, ways: readonly Way[]): void {
    const { cluster, network, blockades } = this.#parts;
    for (const other of cluster.machines) network.reset(name, other.name);
    for (const way of ways) blockades.open(way);
  }

  #handOver({ first, shardId, old }: Change): void {
    this.#parts.inside(first.machine, (replica) => {
      if (replica.shardId !== shardId) return;
      const isOld = (id: number): boolean => replicaIn(old, shardId)?.replicaId === id;
      const { voters } = replica.raft.configuration;
      const to = voters.find((id) => id !== replica.replicaId && !isOld(id));
      if (to !== undefined) replica.raft.transferLeader(to, replica.clockMs());
      replica.wake();
    });
  }

  /** Drops what was flushed, as a node does whose log is too large; whether nobody has it still. */
  #trimmed({ shardId, old }: Change, last: number): true | undefined {
    let isDone = true;
    for (const machine of this.#parts.cluster.machines) {
      const replica = machine === old ? undefined : replicaIn(machine, shardId);
      if (replica === undefined || replica.raft.firstIndex > last) continue;
      isDone = false;
      if (replica.tree.flushed.index < last) continue;
      this.#parts.inside(machine, (each) => {
        if (each === replica) replica.releaseLog(replica.tree.flushed.index, true);
      });
    }
    return isDone || undefined;
  }

  /** Who leads a shard, other than these, and has committed in a term after this one. */
  #reign(shardId: number, except: readonly Machine[], after = 0): Reign | undefined {
    for (const machine of this.#parts.cluster.machines) {
      const replica = except.includes(machine) ? undefined : replicaIn(machine, shardId);
      if (replica === undefined || !replica.raft.noopApplied) continue;
      const { term } = replica.raft;
      if (term > after) return { machine, replica, term };
    }
    return undefined;
  }

  /** What it finds, once it does; undefined when it takes too long, or the faults are over. */
  async #until<T>(forMs: number, find: () => T | undefined): Promise<T | undefined> {
    const { world } = this.#parts.network;
    const untilMs = world.nowMs + forMs;
    while (!this.#over) {
      const found = find();
      if (found !== undefined) return found;
      if (world.nowMs >= untilMs) return undefined;
      await world.sleep(POLL_MS);
    }
    return undefined;
  }
}

/** What it leads that has a majority without it. */
function ledBy({ node }: Machine): Replica[] {
  return [...(node?.core.host.replicas ?? [])].filter(
    ({ raft }) => raft.noopApplied && raft.configuration.voters.length >= 3,
  );
}

/** How many entries are not committed. */
function tailOf({ raft }: Replica): number {
  return raft.lastIndex - raft.commitIndex;
}

function replicaIn({ node }: Machine, shardId: number): Replica | undefined {
  return node?.core.host.replica(shardId);
}
