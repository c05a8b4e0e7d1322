/**
 * The machines of a simulated cluster: each has a disk that outlives the runs of its node. A node
 * is the product itself, started by the function that starts real ones.
 */
import { assert, must } from "../../src/base/assert.js";
import type { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import type { Tracer } from "../../src/env/tracer.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import type { NodeConfig } from "../../src/node/config.js";
import { KvError } from "../../src/protocol/errors.js";
import { startNode } from "../../src/node/node.js";
import type { RunningNode } from "../../src/node/node.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { StoreJob } from "../../src/store/jobs.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import { MemoryDisk } from "./memory-disk.js";
import type { CrashStyle } from "./memory-disk.js";
import type { SimNetwork } from "./network.js";
import { SimProgram } from "./program.js";
import type { ProgramOwner } from "./program.js";
import { drawProgramSettings } from "./settings.js";
import type { Settings } from "./settings.js";
import type { World } from "./world.js";

export interface Machine {
  readonly name: string;
  disk: MemoryDisk;
  program: SimProgram | undefined;
  /** Once it has started. */
  node: RunningNode | undefined;
  /** Runs so far. */
  runs: number;
  /** Asynchronous writes complete no earlier than this, which may be never. */
  stalledUntilMs: number;
  /** How long it stays down when its disk has come to a crash point. */
  restartMs: number;
  /** Its node is ending in an orderly way. */
  stopping: boolean;
  /** Of the node and the store on its disk; 0 and empty before it first started. */
  nodeId: number;
  storeId: string;
  /** What has rotted on its disk, so that nothing is hit twice. */
  readonly rotten: Set<string>;
  isRotten: boolean;
  /** A whole batch of its log was lost, perhaps with a vote: it may refuse to vote again. */
  mayStayClosed: boolean;
  /** Its disk was lost or its node is to leave, and that was not replaced yet. */
  isLost: boolean;
  /** Its node was added to the cluster after another had been lost or had left. */
  wasReplaced: boolean;
  /** Stays down for good. */
  dead: boolean;
}

export interface ClusterObserver {
  started(machine: Machine): void;
  /** Its disk is about to be lost, or was lost before. */
  wiped(machine: Machine): void;
  /** It runs no more, and `machine.node` is still there to be looked at. */
  ended(machine: Machine): void;
  /** A program threw what nothing in the run explains. */
  failed(machine: string, error: unknown): void;
  tracerOf(machine: Machine): Tracer;
}

const RESTART_MS = 300;
/** A node ends within this time where it must, unless it is paused. */
const END_MS_MAX = 50;
/** What says which data there are. */
const SPEAKS_FOR_ALL = /\/log\/|\/manifest-/;
const CLIENT_PORT = 2379;
const PEER_PORT = 2380;
const BLOCK_CACHE_BYTES = 64 * 1024;
const BATCH_BYTES_MAX = 128 * 1024;
/** A disk of a simulated machine; faults make it smaller. */
const DISK_BYTES = 256 * 1024 * 1024;

export class SimCluster implements ProgramOwner {
  readonly world: World;
  readonly network: SimNetwork;
  readonly machines: readonly Machine[];
  readonly #settings: Settings;
  readonly #disks: Prng;
  readonly #programs: Prng;
  readonly #observer: ClusterObserver;

  constructor(
    network: SimNetwork,
    settings: Settings,
    streams: { readonly disk: Prng; readonly programs: Prng },
    observer: ClusterObserver,
  ) {
    this.world = network.world;
    this.network = network;
    this.#settings = settings;
    this.#disks = streams.disk;
    this.#programs = streams.programs;
    this.#observer = observer;
    this.machines = Array.from({ length: settings.cluster.nodes }, (_, i) => this.#machine(i + 1));
  }

  get endpoints(): readonly string[] {
    return this.machines.map(({ name }) => `${name}:${CLIENT_PORT}`);
  }

  machine(name: string): Machine {
    return must(this.machines.find((each) => each.name === name));
  }

  /** Starts the node of a machine that is down. */
  start(machine: Machine): void {
    if (machine.program !== undefined || machine.dead) return;
    machine.runs++;
    this.network.powerOn(machine.name);
    const program = new SimProgram(this.world, this, {
      name: `${machine.name}.${machine.runs}`,
      machine: machine.name,
      prng: this.#programs.split(),
      settings: drawProgramSettings(this.#settings, this.#programs.split()),
    });
    machine.program = program;
    program.whenEnded(() => this.network.programEnded(program));
    this.world.after(0, "start", program, () => this.#startNode(machine, program));
  }

  /**
   * Ends the process; what it wrote and did not sync is in the page cache. Where its last turn came
   * to a crash point of the disk, the power went first.
   */
  kill(machine: Machine): void {
    if (machine.program === undefined) return;
    if (machine.disk.halted) return this.cutPower(machine, "mixed");
    this.#end(machine);
    machine.disk.kill(this.#disks);
  }

  /** Cuts the power: what was not synced may be gone, and nobody is told. */
  cutPower(machine: Machine, style: CrashStyle): void {
    this.network.dark.add(machine.name);
    if (machine.program !== undefined) this.#end(machine);
    machine.disk = machine.disk.crash(this.#disks, style, this.#diskOptions(machine));
  }

  /** Whether all others run and know which disk this machine's node has. */
  isRegistered(machine: Machine): boolean {
    const { nodeId, storeId } = machine;
    return this.machines.every(({ node, name }) => {
      const known = node?.core.view.node(nodeId);
      return name === machine.name || known?.incarnation === storeId;
    });
  }

  /** The disk is gone, and everything on it. */
  wipe(machine: Machine): void {
    this.#observer.wiped(machine);
    this.#clear(machine);
    machine.isLost = true;
  }

  /** The cluster expects a new node here. */
  replaced(machine: Machine): void {
    this.#observer.wiped(machine);
    this.#clear(machine);
    machine.isLost = false;
    machine.wasReplaced = true;
    this.start(machine);
  }

  peerAddressOf({ name }: Machine): string {
    return `${name}:${PEER_PORT}`;
  }

  /** Orderly: leaderships go first. */
  async stop(machine: Machine): Promise<void> {
    const { node, program } = machine;
    if (node === undefined || program === undefined) return this.kill(machine);
    machine.stopping = true;
    await node.close();
    if (machine.program === program) this.kill(machine);
  }

  pause(machine: Machine): void {
    machine.program?.pause();
  }

  sleep(machine: Machine): void {
    machine.program?.sleep();
  }

  resume(machine: Machine): void {
    if (machine.program?.paused === true) machine.program.resume();
  }

  /** A machine whose disk has come to a crash point goes dark; to be called after every event. */
  checkHalted(machine: Machine): void {
    if (!machine.disk.halted || machine.program === undefined) return;
    this.cutPower(machine, "mixed");
    this.world.after(machine.restartMs, "restart", undefined, () => this.start(machine));
  }

  /** The disk has its whole size again. */
  makeRoom(machine: Machine): void {
    machine.disk.quotaBytes = DISK_BYTES;
  }

  halted(program: SimProgram): boolean {
    return this.machine(program.machine).disk.halted;
  }

  threw(program: SimProgram, error: unknown): void {
    const machine = this.machine(program.machine);
    if (machine.program !== program || machine.disk.halted) return;
    if (error instanceof DiskError && isExplained(error, machine)) {
      return this.#die(machine, program);
    }
    // Nobody lets it in, for now or for ever.
    if (error instanceof KvError && machine.node === undefined) return this.#die(machine, program);
    this.#observer.failed(program.name, error);
  }

  #machine(number: number): Machine {
    const name = `n${number}`;
    const machine: Machine = {
      name,
      disk: new MemoryDisk(),
      program: undefined,
      node: undefined,
      runs: 0,
      stalledUntilMs: 0,
      restartMs: RESTART_MS,
      stopping: false,
      nodeId: 0,
      storeId: "",
      rotten: new Set(),
      isRotten: false,
      mayStayClosed: false,
      isLost: false,
      wasReplaced: false,
      dead: false,
    };
    machine.disk = new MemoryDisk(this.#diskOptions(machine));
    return machine;
  }

  #diskOptions(machine: Machine): ConstructorParameters<typeof MemoryDisk>[0] {
    return {
      quotaBytes: DISK_BYTES,
      completion: (complete) => {
        const { program } = machine;
        assert(program !== undefined, "a write without a program");
        const stallMs = Math.max(0, machine.stalledUntilMs - this.world.nowMs);
        if (stallMs === Number.POSITIVE_INFINITY) return;
        const delayMs = this.#disks.fraction() * this.#settings.cluster.writeMsMax;
        this.world.after(stallMs + delayMs, "written", program, complete);
      },
      failed: (operation, path) => {
        if (SPEAKS_FOR_ALL.test(path) && (operation === "write" || operation === "sync")) {
          this.#expectEnd(machine, path);
        }
      },
    };
  }

  /** Whoever does not know what is durable may not go on. */
  #expectEnd({ name, program }: Machine, path: string): void {
    this.world.after(END_MS_MAX, "ended?", undefined, () => {
      const goesOn = this.machine(name).program === program && program?.paused === false;
      if (goesOn) this.#observer.failed(name, new Error(`it goes on after ${path} has failed`));
    });
  }

  #startNode(machine: Machine, program: SimProgram): void {
    const { disk } = machine;
    const env = program.env({
      disk,
      network: this.network.portOf(program),
      tracer: this.#observer.tracerOf(machine),
      jobs: program.jobs(
        (job) => runStoreJob(disk, job as StoreJob),
        this.#settings.cluster.jobMsMax,
      ),
    });
    startNode(env, this.#config(machine), this.#storeOptions()).then(
      (node) => {
        if (machine.program !== program) return;
        machine.node = node;
        machine.nodeId = node.nodeId;
        machine.storeId = node.core.store.storeId;
        void node.failed.then(() => this.#die(machine, program));
        this.#observer.started(machine);
      },
      (error: unknown) => {
        if (machine.program !== program || disk.halted) return;
        this.threw(program, error);
      },
    );
  }

  /** The node stopped itself; whoever runs it starts it again. */
  #die(machine: Machine, program: SimProgram): void {
    this.world.after(0, "died", undefined, () => {
      if (machine.program !== program) return;
      this.kill(machine);
      machine.disk.clearFaults();
      this.world.after(RESTART_MS, "restart", undefined, () => this.start(machine));
    });
  }

  #clear(machine: Machine): void {
    this.kill(machine);
    machine.disk = new MemoryDisk(this.#diskOptions(machine));
    machine.rotten.clear();
    machine.isRotten = false;
    machine.mayStayClosed = false;
  }

  #end(machine: Machine): void {
    const { program } = machine;
    this.#observer.ended(machine);
    machine.program = undefined;
    machine.node = undefined;
    machine.stopping = false;
    program?.kill();
  }

  #config(machine: Machine): NodeConfig {
    const { cluster, flow } = this.#settings;
    return {
      ...DEFAULT_CONFIG,
      flow,
      name: machine.name,
      dataDirectory: "/data",
      listenClient: `${machine.name}:${CLIENT_PORT}`,
      listenPeer: `${machine.name}:${PEER_PORT}`,
      initialCluster: this.machines.map(({ name }) => ({
        name,
        peerAddress: `${name}:${PEER_PORT}`,
      })),
      initialClusterState: machine.wasReplaced ? "existing" : "new",
      initialKeyspaces: cluster.keyspaces,
      heartbeatMs: cluster.heartbeatMs,
      electionTimeoutMinMs: cluster.electionTimeoutMinMs,
      electionTimeoutMaxMs: cluster.electionTimeoutMaxMs,
      leaderLeaseMs: cluster.leaderLeaseMs,
      quiesceAfterMs: cluster.quiesceAfterMs,
      requestSizeBytesMax: 8 * 1024,
      memtablesBytesMax: cluster.memtablesBytesMax,
      blockCacheBytes: BLOCK_CACHE_BYTES,
      entryCacheBytes: cluster.entryCacheBytes,
      reservedBytes: 64 * 1024,
    };
  }

  #storeOptions(): StoreOptions {
    const { cluster } = this.#settings;
    return {
      logSegmentsMax: cluster.logSegmentsMax,
      logBytesHeldMax: cluster.logBytesHeldMax,
      logOptions: {
        segmentSizeBytes: cluster.segmentSizeBytes,
        firstSegmentSizeBytes: cluster.segmentSizeBytes,
        reservedBytes: BATCH_BYTES_MAX + 8192,
        batchSizeBytesMax: BATCH_BYTES_MAX,
      },
    };
  }
}

/** A fault made it, or the node could not start because its disk is full. */
function isExplained(error: DiskError, { node }: Machine): boolean {
  if (error.code === "noSpace") return node === undefined;
  return error.cause instanceof Error && error.cause.message === "injected";
}

/** Whether an address is one on which nodes listen for each other. */
export function isPeerAddress(address: string): boolean {
  return address.endsWith(`:${PEER_PORT}`);
}
