/**
 * What one seed means: the size and settings of the cluster, what the clients do, and which faults
 * are on and how often they strike. Everything is drawn here, before the run begins; a run draws
 * the rest from streams of its own, one a concern, so that a draw added in one shifts no other.
 */
import { Prng } from "../../src/base/prng.js";
import { DEFAULT_KEYSPACE } from "../../src/node/default-keyspace.js";
import type { KeyspaceCreateRequest } from "../../src/protocol/admin-messages.js";
import type { FlowLimits } from "../../src/raft/types.js";
import type { ProgramSettings } from "./program.js";

const UNDIRECTED_CLASSES = [
  "kill",
  "power",
  "crashAtWrite",
  "killAll",
  "pause",
  "restart",
  "partition",
  "oneWay",
  "clog",
  "slow",
  "reset",
  "flap",
  "frames",
  "stall",
  "diskError",
  "diskFull",
  "transfer",
  "flush",
  "wallClock",
  "freezeWall",
  "drift",
  "sleep",
  "bitRot",
  "badSector",
  "misdirect",
  "wipe",
  "rejoin",
  "replicas",
  "isolate",
  "pauseLeader",
  "trigger",
  "lateVotes",
  "firstLost",
  "usurp",
] as const;

/** Those that aim at a situation. */
export const DIRECTED_CLASSES = [
  "depose",
  "handover",
  "amnesia",
  "slowEchoes",
  "slowRevisions",
  "flushAhead",
  "leaveBehind",
  "slowStart",
  "twoSequencers",
  "oversleep",
] as const;

export type DirectedClass = (typeof DIRECTED_CLASSES)[number];

export type FaultClass = (typeof UNDIRECTED_CLASSES)[number] | DirectedClass;

export const FAULT_CLASSES: readonly FaultClass[] = [...UNDIRECTED_CLASSES, ...DIRECTED_CLASSES];

export interface ClusterSettings {
  readonly nodes: number;
  readonly keyspaces: readonly KeyspaceCreateRequest[];
  readonly heartbeatMs: number;
  readonly electionTimeoutMinMs: number;
  readonly electionTimeoutMaxMs: number;
  readonly leaderLeaseMs: number;
  readonly quiesceAfterMs: number;
  readonly memtablesBytesMax: number;
  readonly segmentSizeBytes: number;
  readonly logSegmentsMax: number;
  readonly logBytesHeldMax: number;
  readonly jobMsMax: number;
  readonly writeMsMax: number;
  readonly entryCacheBytes: number;
}

const MEBIBYTE = 1024 * 1024;
/** Often nothing is kept in memory that is on the disk; else some, or all. */
const ENTRY_CACHE_BYTES: readonly number[] = [0, 0, 0, 4096, 64 * MEBIBYTE];

export interface LoadSettings {
  readonly clients: number;
  readonly keys: number;
  readonly valueBytesMax: number;
  /** Mean pause of a client between two operations. */
  readonly pauseMsMean: number;
  readonly requestTimeoutMs: number;
  readonly watchers: number;
  /** Clients that also live by leases. */
  readonly leaseHolders: number;
  /** Part of all operations that read a whole keyspace instead. */
  readonly surveys: number;
  /** Part of all operations that compact revisions instead. */
  readonly compactions: number;
}

export interface Settings {
  readonly seed: number;
  readonly durationMs: number;
  readonly cluster: ClusterSettings;
  readonly load: LoadSettings;
  readonly flow: FlowLimits;
  readonly delayMsMin: number;
  readonly delayMsMean: number;
  readonly timerDelayMsMax: number;
  readonly turnMsMax: number;
  /** Clock rates lie within 1 ± this. */
  readonly clockDriftMax: number;
  /** Mean faults a minute, by class; a class that is absent is off. */
  readonly faults: Readonly<Partial<Record<FaultClass, number>>>;
}

/** The streams of chance of one run. */
export interface Streams {
  readonly network: Prng;
  readonly frames: Prng;
  readonly disk: Prng;
  readonly programs: Prng;
  readonly load: Prng;
  readonly faults: Prng;
  readonly end: Prng;
  readonly operator: Prng;
}

/** Drawn apart, so that nothing else of a seed depends on them. */
const LEASES = 0x1ea5e;
const ENTRY_CACHE = 0xe7c4;

export function drawSettings(seed: number): Settings {
  const settings = drawAll(seed);
  const { load, delayMsMean, cluster } = settings;
  // Where every write waits for those of all other clients, one way after the other, it has to get
  // through: one that comes too late is done all the same, and its client sends the next.
  const writeMs = load.clients * (4 * delayMsMean + cluster.writeMsMax);
  const requestTimeoutMs = Math.max(load.requestTimeoutMs, writeMs);
  const leaseHolders = new Prng(seed ^ LEASES).between(0, 2);
  const entryCacheBytes = pick(new Prng(seed ^ ENTRY_CACHE), ENTRY_CACHE_BYTES);
  return {
    ...settings,
    cluster: { ...cluster, entryCacheBytes },
    load: { ...load, requestTimeoutMs, leaseHolders },
  };
}

function drawAll(seed: number): Settings {
  const prng = new Prng(seed);
  const heartbeatMs = pick(prng, [50, 100, 100, 200]);
  const electionTimeoutMinMs = heartbeatMs * pick(prng, [4, 6, 8]);
  const delayMsMin = logUniform(prng, 0.05, 2);
  const faults = drawFaults(prng, heartbeatMs);
  const isSurveyed = SURVEYED.some((name) => faults[name] !== undefined);
  const nodes = pick(prng, isSurveyed ? [3, 3, 3, 5, 5, 7] : [1, 3, 3, 3, 3, 5, 5, 5, 7]);
  return {
    seed,
    // A larger cluster has more events a second: all runs cost about the same.
    durationMs: Math.round((prng.between(40, 120) * heartbeatMs * 3) / Math.max(3, nodes)),
    cluster: {
      nodes,
      keyspaces: drawKeyspaces(prng, nodes, isSurveyed),
      heartbeatMs,
      electionTimeoutMinMs,
      // The wider apart, the longer an old leader that is cut off does not know of its successor.
      electionTimeoutMaxMs: electionTimeoutMinMs * pick(prng, [1.5, 2, 4]),
      leaderLeaseMs: pick(prng, [0, heartbeatMs * 3, electionTimeoutMinMs, electionTimeoutMinMs]),
      quiesceAfterMs: prng.chance(0.4) ? 0 : heartbeatMs * logUniform(prng, 1, 30),
      memtablesBytesMax: Math.floor(logUniform(prng, 64, 2048)) * 1024,
      segmentSizeBytes: pick(prng, [256, 512, 1024]) * 1024,
      logSegmentsMax: prng.between(2, 4),
      logBytesHeldMax: pick(prng, [256, 1024, 8192]) * 1024,
      jobMsMax: logUniform(prng, 1, 200),
      writeMsMax: logUniform(prng, 0.5, 20),
      entryCacheBytes: 0,
    },
    load: {
      clients: prng.between(isSurveyed ? 4 : 2, 8),
      keys: prng.chance(0.2) ? prng.between(1, 2) : prng.between(3, 16),
      valueBytesMax: pick(prng, [16, 400, 4000]),
      pauseMsMean: heartbeatMs * logUniform(prng, 0.2, isSurveyed ? 0.6 : 2),
      requestTimeoutMs: heartbeatMs * pick(prng, [3, 5, 20, 50]),
      watchers: prng.between(0, 6),
      leaseHolders: 0,
      surveys: isSurveyed || prng.chance(0.3) ? 0.3 : 0,
      compactions: prng.chance(0.5) ? 0 : 0.02,
    },
    delayMsMin,
    delayMsMean: delayMsMin * prng.between(2, 10),
    timerDelayMsMax: prng.chance(0.5) ? 0 : logUniform(prng, 1, 100),
    turnMsMax: logUniform(prng, 0.02, 1),
    clockDriftMax: prng.chance(0.5) ? 0 : 0.004,
    faults,
    flow: drawFlow(prng),
  };
}

/** From what lets one entry through at a time to what is never reached. */
function drawFlow(prng: Prng): FlowLimits {
  const appendBytesMax = Math.floor(logUniform(prng, 64, MEBIBYTE));
  return {
    inflightMessagesMax: Math.floor(logUniform(prng, 1, 257)),
    inflightBytesMax: Math.floor(appendBytesMax * logUniform(prng, 1, 16)),
    appendBytesMax,
    uncommittedBytesMax: Math.floor(logUniform(prng, 256, 64 * MEBIBYTE)),
  };
}

/**
 * What goes wrong under these shows only where reads over several shards meet writes, and not for
 * long: they get such keyspaces, more clients that pause less, and ranges over all of it.
 */
const SURVEYED: readonly FaultClass[] = ["slowRevisions", "twoSequencers"];

export function streamsOf(seed: number): Streams {
  const root = new Prng(seed ^ 0x5eed);
  return {
    network: root.split(),
    frames: root.split(),
    disk: root.split(),
    programs: root.split(),
    load: root.split(),
    faults: root.split(),
    end: root.split(),
    operator: root.split(),
  };
}

export function drawProgramSettings(settings: Settings, prng: Prng): ProgramSettings {
  const { clockDriftMax, timerDelayMsMax, turnMsMax } = settings;
  return {
    clockRate: drawClockRate(prng, clockDriftMax),
    wallOffsetMs: prng.between(-60_000, 60_000),
    timerDelayMsMax,
    turnMsMax,
  };
}

export function drawClockRate(prng: Prng, clockDriftMax: number): number {
  return 1 + (2 * prng.fraction() - 1) * clockDriftMax;
}

export function logUniform(prng: Prng, low: number, high: number): number {
  return low * (high / low) ** prng.fraction();
}

export function pick<T>(prng: Prng, from: readonly T[]): T {
  return from[prng.between(0, from.length - 1)] as T;
}

/** Of plans that run one at a time, most find another under way, or nothing to begin with. */
const USURP_STRIKES = 5;
const PLANS_ONLY = 0.15;
/** So that each class that aims is alone in one run of twenty. */
const FOCUSED = DIRECTED_CLASSES.length / 20;
const USURPS_PER_MINUTE = 12_000;

/**
 * What is on strikes rarely or often. In some runs one class that aims is on and few others, in
 * some there is nothing but plans: where everything strikes at once, nothing gets far enough to go
 * wrong in a subtle way.
 */
function drawFaults(prng: Prng, heartbeatMs: number): Partial<Record<FaultClass, number>> {
  const faults: Partial<Record<FaultClass, number>> = {};
  const calm = prng.chance(0.05);
  const focus = pick(prng, DIRECTED_CLASSES);
  const isFocused = prng.chance(FOCUSED);
  for (const name of FAULT_CLASSES) {
    const aims = isDirected(name);
    const density = aims ? 0.25 : isFocused ? 0.04 : 0.4;
    const on = prng.chance(density) || (isFocused && name === focus);
    const perMinute = logUniform(prng, aims ? 1500 : 400, 6000) / heartbeatMs;
    if (on && !calm) faults[name] = perMinute * (name === "usurp" ? USURP_STRIKES : 1);
  }
  if (!prng.chance(PLANS_ONLY)) return faults;
  const thwarting = Object.entries(faults).filter(() => prng.chance(0.1));
  return { ...Object.fromEntries(thwarting), usurp: USURPS_PER_MINUTE / heartbeatMs };
}

export function isDirected(name: FaultClass): name is DirectedClass {
  return (DIRECTED_CLASSES as readonly FaultClass[]).includes(name);
}

const UTF8 = new TextEncoder();

/** Replicas that move need nodes without one. */
const DEFAULT_OF_THREE: KeyspaceCreateRequest = { ...DEFAULT_KEYSPACE, replicationFactor: 3 };

/** The default one, where it says more than usual, and others; `some`: at least one of these. */
function drawKeyspaces(prng: Prng, nodes: number, some: boolean): readonly KeyspaceCreateRequest[] {
  const made: KeyspaceCreateRequest[] = [];
  // A replica on each node, or as many as is usual.
  const replicationFactor = pick(prng, [0, nodes]);
  if (prng.chance(0.4)) {
    made.push({
      name: "split",
      kind: "range",
      splitPoints: [UTF8.encode("k4")],
      shardCount: 2,
      replicationFactor,
    });
  }
  if (prng.chance(0.35) || (some && made.length === 0)) {
    const shardCount = prng.between(2, 3);
    made.push({ name: "hashed", kind: "hash", splitPoints: [], shardCount, replicationFactor });
  }
  return nodes > 3 && replicationFactor === 0 ? [DEFAULT_OF_THREE, ...made] : made;
}
