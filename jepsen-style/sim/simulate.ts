/**
 * One run from a seed: the cluster under its faults and its load, then what has to follow when the
 * faults of a majority end and all others stay for ever.
 *
 *   form → faults strike, clients work, the ledger is compared after each event
 *   → a random majority is healed, everybody else is cut off or down for good
 *   → within a bound every key can be written and read, and the replicas of the majority are equal
 *   → the history is judged
 */
import type { Prng } from "../../src/base/prng.js";
import type { Tracer } from "../../src/env/tracer.js";
import type { ClusterMap, ReplicaDescriptor } from "../../src/protocol/cluster.js";
import type { Message } from "../../src/raft/message.js";
import { LeaseTable } from "../../src/mvcc/lease-table.js";
import { logicalHash } from "../../src/mvcc/logical-hash.js";
import { foundingKeyspaces } from "../../src/node/default-keyspace.js";
import { haveMostCome } from "../../src/placement/members.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import type { Replica } from "../../src/shard/replica.js";
import { SimCluster } from "./cluster.js";
import type { Machine } from "./cluster.js";
import type { Fault } from "./faults.js";
import { FrameTap } from "./frame-tap.js";
import { Injector } from "./injector.js";
import { Ledger } from "./ledger.js";
import { SimClient } from "./load.js";
import type { History } from "./load.js";
import { Marks } from "./marks.js";
import { SimOperator } from "./operator.js";
import { SimNetwork } from "./network.js";
import { checkHistory } from "./judge.js";
import type { Finding } from "./judge.js";
import { streamsOf } from "./settings.js";
import type { Settings } from "./settings.js";
import { World } from "./world.js";
import type { SimEvent } from "./world.js";

export interface RunObserver {
  readonly cluster?: ((machines: readonly Machine[]) => void) | undefined;
  /** For tests of the simulator: called before anything runs. */
  readonly network?: ((network: SimNetwork) => void) | undefined;
  /** For tests of the simulator: the network is not healed at the end. */
  readonly keepBlocked?: boolean | undefined;
  /** A line of a trace that people read. */
  readonly line?: ((atMs: number, who: string, what: string) => void) | undefined;
  readonly tracer?: ((machine: Machine, world: World) => Tracer) | undefined;
}

/** What found that something is wrong; an exception is often an assertion of the product. */
export type FoundBy = "ledger" | "exception" | "liveness" | Finding["by"];

export interface RunResult {
  readonly seed: number;
  /** What is wrong, in words; undefined where nothing is. */
  readonly failure: string | undefined;
  readonly foundBy: FoundBy | undefined;
  readonly digest: string;
  readonly simulatedMs: number;
  readonly events: number;
  readonly commits: number;
  readonly elections: number;
  readonly operations: number;
  readonly acknowledged: number;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** What happened inside: how often nodes traced what, and what clients were told. */
  readonly marks: Readonly<Record<string, number>>;
}

/** How long the healed majority may take, in its longest election timeouts, and something over. */
const CONVERGENCE_ELECTIONS = 60;
const CONVERGENCE_MS = 20_000;
/** How often the disk of a machine that is left out stalls for good. */
const STALLED_SHARE = 0.5;
const POLL_MS = 100;
/** Of a keyspace that says nothing else, where there are so many nodes. */
const REPLICAS = 3;

export async function simulate(
  settings: Settings,
  faults: readonly Fault[],
  observer: RunObserver = {},
): Promise<RunResult> {
  const run = new Run(settings, observer);
  const unheard = (error: unknown): void => run.unheard(error);
  process.on("unhandledRejection", unheard);
  try {
    await run.execute(faults);
  } finally {
    process.off("unhandledRejection", unheard);
  }
  return run.result();
}

class Run {
  readonly #settings: Settings;
  readonly #observer: RunObserver;
  readonly #world = new World();
  readonly #ledger = new Ledger();
  readonly #network: SimNetwork;
  readonly #cluster: SimCluster;
  readonly #operator: SimOperator;
  readonly #injector: Injector;
  readonly #clients: SimClient[] = [];
  readonly #marks = new Marks();
  readonly #ending: Prng;
  readonly #byProgram: Map<string, Machine> = new Map();
  /** Twice as long as a leader may go on without hearing a majority. */
  readonly #deafMs: number;
  readonly #history: History = { operations: [], ranges: [], watches: [], leases: [] };
  #failure: string | undefined;
  #foundBy: FoundBy | undefined;

  constructor(settings: Settings, observer: RunObserver) {
    this.#settings = settings;
    this.#observer = observer;
    this.#deafMs = 2 * settings.cluster.electionTimeoutMaxMs;
    const world = this.#world;
    const streams = streamsOf(settings.seed);
    this.#ending = streams.end;
    this.#network = new SimNetwork(world, streams.network, settings);
    const tap = new FrameTap(world, streams.frames, {
      said: (socket, shardId, message) => this.#said(socket.machine, shardId, message),
    });
    this.#network.tap = tap;
    this.#cluster = new SimCluster(this.#network, settings, streams, {
      started: (machine) => {
        this.#ledger.started(machine);
        this.#line(machine.name, `started, run ${machine.runs}`);
      },
      wiped: (machine) => this.#ledger.wiped(machine),
      ended: (machine) => {
        this.#ledger.ended(machine);
        this.#line(machine.name, "ended");
      },
      failed: (name, error) => this.#fail("exception", `${name} threw ${textOf(error)}`),
      tracerOf: (machine) => this.#marks.tracer(observer.tracer?.(machine, world)),
    });
    observer.cluster?.(this.#cluster.machines);
    observer.network?.(this.#network);
    for (const machine of this.#cluster.machines) this.#byProgram.set(machine.name, machine);
    for (let i = 1; i <= settings.load.clients; i++)
      this.#clients.push(this.#client(i, streams.load));
    this.#operator = new SimOperator({
      network: this.#network,
      cluster: this.#cluster,
      settings,
      prng: streams.operator,
      failed: (name, error) => this.#fail("exception", `${name} threw ${textOf(error)}`),
    });
    this.#injector = new Injector({
      world,
      cluster: this.#cluster,
      network: this.#network,
      tap,
      operator: this.#operator,
      struck: (fault) => this.#line("fault", JSON.stringify(fault)),
    });
    world.observer = { after: (event) => this.#after(event) };
  }

  async execute(faults: readonly Fault[]): Promise<void> {
    const { endpoints, machines } = this.#cluster;
    for (const machine of machines) this.#cluster.start(machine);
    for (const client of this.#clients) client.start(endpoints);
    this.#injector.plan(faults);
    await this.#world.run(this.#settings.durationMs);
    if (this.#failure === undefined) await this.#converge();
    for (const client of this.#clients) client.kill();
    const finding = checkHistory(this.#history);
    if (finding !== undefined) this.#fail(finding.by, finding.text);
  }

  unheard(error: unknown): void {
    const program = this.#world.current;
    if (program === undefined) this.#fail("exception", `nobody heard of ${textOf(error)}`);
    else program.threw(error);
  }

  result(): RunResult {
    const { operations } = this.#history;
    return {
      seed: this.#settings.seed,
      failure: this.#failure,
      foundBy: this.#foundBy,
      digest: this.#world.digest,
      simulatedMs: this.#world.nowMs,
      events: this.#world.events,
      commits: this.#ledger.commits,
      elections: this.#ledger.elections,
      operations: operations.length,
      acknowledged: operations.filter(({ outcome }) => outcome === "ok").length,
      faults: Object.fromEntries(this.#injector.counts),
      marks: this.#marks.counts(this.#history),
    };
  }

  #client(number: number, prng: Prng): SimClient {
    return new SimClient(
      {
        world: this.#world,
        network: this.#network,
        settings: this.#settings,
        prng: prng.split(),
        history: this.#history,
        failed: (name, error) => this.#fail("exception", `${name} threw ${textOf(error)}`),
      },
      number,
    );
  }

  #after(event: SimEvent): void {
    const { program } = event;
    if (program === undefined) return;
    const machine = this.#byProgram.get(program.name.slice(0, program.name.indexOf(".")));
    if (machine === undefined) return;
    this.#ledger.check(machine);
    this.#ledger.checkHearing(machine, this.#deafMs, this.#network);
    if (this.#ledger.violation !== undefined) this.#fail("ledger", this.#ledger.violation);
    this.#injector.ran(machine);
    this.#cluster.checkHalted(machine);
  }

  #said(machine: string, shardId: number, message: Message): void {
    this.#ledger.said(machine, shardId, message);
    this.#injector.said(this.#cluster.machine(machine), message.kind);
    if (this.#observer.line === undefined) return;
    this.#line(machine, `shard ${shardId} → ${JSON.stringify(message, withoutBytes)}`);
  }

  /** A majority is healed; the others stay as they are, or worse. */
  async #converge(): Promise<void> {
    this.#injector.end();
    this.#operator.end();
    const core = this.#heal();
    if (core === undefined) return;
    this.#line("end", `healed: ${core.map(({ name }) => name).join(" ")}`);
    const { electionTimeoutMaxMs } = this.#settings.cluster;
    const boundMs = CONVERGENCE_ELECTIONS * electionTimeoutMaxMs + CONVERGENCE_MS;
    const untilMs = this.#world.nowMs + boundMs;
    await this.#world.run(this.#world.nowMs + electionTimeoutMaxMs);
    for (const client of this.#clients) client.finish();
    let unequal: string | undefined = "";
    while (this.#world.nowMs < untilMs && this.#failure === undefined) {
      await this.#world.run(this.#world.nowMs + POLL_MS);
      const busy = this.#clients.find((client) => !client.finished);
      unequal = busy === undefined ? inequality(core) : this.#plight(busy);
      if (unequal === undefined) return;
    }
    if (this.#failure === undefined) {
      this.#fail("liveness", `${boundMs} ms after the faults of a majority had ended: ${unequal}`);
    }
  }

  #plight({ number }: SimClient): string {
    const last = this.#history.operations.findLast(({ client }) => client === number);
    return `client ${number} is not served: ${JSON.stringify(last)}`;
  }

  /** undefined where what was lost, or has rotted, was all that was left of some shard. */
  #heal(): readonly Machine[] | undefined {
    const prng = this.#ending;
    const cluster = this.#cluster;
    const machines = cluster.machines.filter((machine) => !machine.isLost);
    for (const machine of cluster.machines) {
      if (!machine.isLost) continue;
      machine.dead = true;
      cluster.kill(machine);
    }
    for (let i = machines.length - 1; i > 0; i--) {
      const other = prng.between(0, i);
      [machines[i], machines[other]] = [machines[other]!, machines[i]!];
    }
    const majority = Math.floor(cluster.machines.length / 2) + 1;
    let size = prng.between(Math.min(majority, machines.length), machines.length);
    // A step that somebody asked for may still be taken, and need whoever was left out.
    if (this.#operator.busy) size = machines.length;
    while (size < machines.length && !this.#holdsMajorities(machines.slice(0, size))) size++;
    const core = machines.slice(0, size);
    // A change that may still be made can want the machine that was lost for a voter.
    const mayFail = this.#operator.changesReplicas || !this.#holdsMajorities(core);
    const isShort = machines.length < cluster.machines.length && mayFail;
    if (isShort || this.#needsRotten()) {
      this.#marks.excused();
      return undefined;
    }
    const inTouch = machines
      .slice(core.length)
      .filter((machine) => this.#leaveBroken(machine, core, prng) === "inTouch");
    for (const machine of core) {
      cluster.makeRoom(machine);
      machine.disk.clearFaults();
      machine.disk.haltAt(Number.POSITIVE_INFINITY);
      machine.stalledUntilMs = 0;
      cluster.resume(machine);
      if (machine.stopping) cluster.kill(machine);
      cluster.start(machine);
    }
    const clients = this.#clients.map(({ number }) => `c${number}`);
    const healed = [...[...core, ...inTouch].map(({ name }) => name), ...clients];
    if (this.#observer.keepBlocked !== true) this.#network.heal(healed);
    return core;
  }

  /**
   * Whether somebody has taken so many voters of a shard away that there is no majority without one
   * whose disk has rotted: two of whom one has lost the end of its log may wait for ever. So may
   * who is to be let in yet, by a majority of the others.
   */
  #needsRotten(): boolean {
    const { machines: all } = this.#cluster;
    const map = newestMap(all);
    const rotten = all.filter(({ isRotten }) => isRotten);
    const isClosed = map !== undefined && haveMostCome(map);
    const late = isClosed ? all.filter((machine) => !isKnownTo(all, machine)) : [];
    const names = new Set([...rotten, ...late].map(({ name }) => name));
    return this.#ledger.quorums().some((machines) => {
      const sound = machines.filter((name) => !names.has(name));
      return machines.length > 0 && sound.length <= machines.length / 2;
    });
  }

  /** Whether these machines have a majority of every shard, as far as replicas and maps say. */
  #holdsMajorities(core: readonly Machine[]): boolean {
    // What anybody knows is committed: others need not know it yet.
    const newest = newestMap(this.#cluster.machines);
    if (newest === undefined || !this.#isFounded(newest)) return false;
    // Who waits for a repair, or to be admitted, may need all the others.
    const sound = core.filter((one) => !one.isRotten && isKnownTo(core, one));
    const names = new Set(sound.map(({ name }) => name));
    const maps = [newest, ...core.flatMap(({ node }) => node?.core.view.map ?? [])];
    const wanted = maps.flatMap(({ shards }) => shards.map(({ target = [] }) => target));
    const placed = newest.shards.map(({ replicas }) => replicas);
    const sets = [...placed, ...wanted].map((replicas) => this.#votersOf(replicas));
    return [...this.#ledger.quorums(), ...sets].every((machines) => {
      const inside = machines.filter((name) => names.has(name));
      return machines.length === 0 || inside.length > machines.length / 2;
    });
  }

  /**
   * Whether the first keyspaces are made, the default one and the settings' own, or will be. Where
   * not all founders have come, or there are more than replicas, nobody knows who will hold them.
   */
  #isFounded({ keyspaces, nodes }: ClusterMap): boolean {
    const { cluster } = this.#settings;
    if (keyspaces.length >= foundingKeyspaces(cluster.keyspaces).length) return true;
    const members = nodes.filter(
      ({ state, incarnation }) => state === undefined && incarnation !== "",
    );
    return members.length >= cluster.nodes && cluster.nodes <= REPLICAS;
  }

  /** The voters among replicas, as machines. */
  #votersOf(replicas: readonly ReplicaDescriptor[]): readonly string[] {
    return replicas.flatMap(({ nodeId, role }) => {
      const machine = this.#cluster.machines.find((each) => each.nodeId === nodeId);
      return role === "voter" ? [machine?.name ?? ""] : [];
    });
  }

  /**
   * Down for good; or alive and cut off from the majority: both ways, mute, or deaf; or in touch
   * with it, but its disk finishes no write any more, whatever it leads.
   */
  #leaveBroken(machine: Machine, core: readonly Machine[], prng: Prng): "inTouch" | "apart" {
    const stalls = prng.chance(STALLED_SHARE) || machine.stalledUntilMs > this.#world.nowMs;
    const draw = prng.between(0, 3);
    if (draw === 0 && !stalls) {
      machine.dead = true;
      this.#cluster.kill(machine);
    }
    this.#cluster.start(machine);
    this.#cluster.resume(machine);
    if (stalls) {
      machine.stalledUntilMs = Number.POSITIVE_INFINITY;
      return "inTouch";
    }
    for (const { name } of core) {
      if (draw !== 2) this.#network.block(machine.name, name);
      if (draw !== 1) this.#network.block(name, machine.name);
    }
    return "apart";
  }

  #fail(foundBy: FoundBy, failure: string): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#foundBy = foundBy;
    this.#line("end", failure);
    this.#world.stop();
  }

  #line(who: string, what: string): void {
    this.#observer.line?.(this.#world.nowMs, who, what);
  }
}

/** Whether one of these that run knows which disk it has: the others hear of it. */
function isKnownTo(core: readonly Machine[], { nodeId }: Machine): boolean {
  return core.some(({ node }) => (node?.core.view.node(nodeId)?.incarnation ?? "") !== "");
}

/** Of those that run. */
function newestMap(machines: readonly Machine[]): ClusterMap | undefined {
  const maps = machines.flatMap(({ node }) => node?.core.view.map ?? []);
  return maps.toSorted((a, b) => b.version - a.version)[0];
}

/** What keeps the replicas of these nodes from being equal. */
function inequality(core: readonly Machine[]): string | undefined {
  const hashes = new Map<number, { readonly name: string; readonly hash: string }>();
  for (const { name, node, mayStayClosed } of core) {
    if (node === undefined) return `${name} does not run`;
    const { host, view, nodeId } = node.core;
    for (const [shardId, reason] of host.damagedShards) {
      if (mayStayClosed && reason.endsWith("may have been lost")) continue;
      return `the replica of shard ${shardId} on ${name} is damaged: ${reason}`;
    }
    for (const { shardId, replicas } of view.map.shards) {
      if (mayStayClosed && host.damagedShards.has(shardId)) continue;
      const wanted = replicas.some((each) => each.nodeId === nodeId);
      if (wanted !== (host.replica(shardId) !== undefined)) return `shard ${shardId} at ${name}`;
    }
    for (const replica of host.replicas) {
      const { shardId, raft } = replica;
      if (raft.appliedIndex !== raft.commitIndex) return `${name} applies shard ${shardId}`;
      const hash = stateOf(replica);
      const known = hashes.get(shardId);
      if (known === undefined) hashes.set(shardId, { name, hash });
      else if (known.hash !== hash) {
        return `shard ${shardId}: ${known.name} has ${known.hash}, ${name} has ${hash}`;
      }
    }
  }
  return undefined;
}

/** A read of everything may find what has rotted, as anybody's read would. */
function stateOf(replica: Replica): string {
  const { raft, machine, tree } = replica;
  const { revision, compactedRevision } = machine;
  let hash: number;
  let leases: string;
  try {
    hash = logicalHash(tree, revision, compactedRevision);
    leases = leasesOf(machine.leases);
    const stored = leasesOf(new LeaseTable(tree));
    if (stored !== leases) return `leases ${leases} in memory and ${stored} in the tree`;
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    replica.damaged(error);
    return `damage: ${error.message}`;
  }
  const revisions = `revision ${revision} compacted ${compactedRevision}`;
  return `index ${raft.appliedIndex} ${revisions} hash ${hash} leases ${leases}`;
}

function leasesOf(table: LeaseTable): string {
  return table
    .list()
    .map(({ id, deadlineMs, keyCount }) => `${id.toString(16)}@${deadlineMs}:${keyCount}`)
    .sort()
    .join();
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function withoutBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? `${value.length} bytes` : value;
}
