/**
 * The faults of one run: a list made before the run begins. Each says when, what and to whom, with
 * all its parameters, so that a list from which some were taken out still means the same; that is
 * how a failing run is made smaller.
 */
import type { Prng } from "../../src/base/prng.js";
import type { Message } from "../../src/raft/message.js";
import { DIRECTED_DRAWS } from "./faults-directed.js";
import type { DirectedFault } from "./faults-directed.js";
import type { CrashStyle, DiskOperation, FailedWrite } from "./memory-disk.js";
import type { Way } from "./roads.js";
import type { Flip, Misdirected, RotKind } from "./rot.js";
import {
  DIRECTED_CLASSES,
  FAULT_CLASSES,
  drawClockRate,
  isDirected,
  logUniform,
  pick,
} from "./settings.js";
import type { DirectedClass, FaultClass, Settings } from "./settings.js";

/** Machines by name; `forMs`, `downMs`: until it is healed. */
export type Fault = { readonly atMs: number } & (
  | DirectedFault
  | { readonly kind: "kill"; readonly machine: string; readonly downMs: number }
  | {
      readonly kind: "power";
      readonly machine: string;
      readonly style: CrashStyle;
      readonly downMs: number;
    }
  | {
      /** Power fails in the middle of what the node is doing, so many disk operations from now. */
      readonly kind: "crashAtWrite";
      readonly machine: string;
      readonly operations: number;
      readonly downMs: number;
    }
  | {
      /** Whoever says the next message of this kind loses power at once, the message on its way. */
      readonly kind: "trigger";
      readonly on: Message["kind"];
      readonly downMs: number;
    }
  /** In the next election the votes arrive when their candidate asks again. */
  | { readonly kind: "lateVotes" }
  /** What is appended arrives only when it is sent again. */
  | { readonly kind: "firstLost"; readonly forMs: number }
  | {
      /** A leader is left alone with its entries, and comes back after others; see usurper.ts. */
      readonly kind: "usurp";
      readonly entries: number;
      readonly ending: "swap" | "hand" | "trim";
      readonly inside: readonly string[];
      readonly outside: readonly string[];
      readonly electionMs: number;
    }
  | { readonly kind: "killAll"; readonly power: boolean; readonly downMs: number }
  | { readonly kind: "pause"; readonly machine: string; readonly forMs: number }
  /** A leader, of those that there are then: for longer than it takes to elect another. */
  | { readonly kind: "pauseLeader"; readonly draw: number; readonly forMs: number }
  | { readonly kind: "restart"; readonly machine: string; readonly downMs: number }
  | {
      /** Nothing passes between those inside and those outside; one way: only out. */
      readonly kind: "partition";
      readonly inside: readonly string[];
      /** The other machines; clients that are on neither side reach both. */
      readonly outside: readonly string[];
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  | {
      /** A leader is cut off from all machines, but not from these clients. */
      readonly kind: "isolate";
      /** Which leader, of those that there are then. */
      readonly draw: number;
      readonly inside: readonly string[];
      /** Clients that do not reach it. */
      readonly outside: readonly string[];
      readonly forMs: number;
    }
  | { readonly kind: "clog"; readonly roads: readonly Way[]; readonly forMs: number }
  | {
      readonly kind: "slow";
      readonly roads: readonly Way[];
      readonly factor: number;
      readonly forMs: number;
    }
  | { readonly kind: "reset"; readonly way: Way }
  | { readonly kind: "flap"; readonly way: Way; readonly periodMs: number; readonly times: number }
  | {
      readonly kind: "frames";
      readonly lose: number;
      readonly double: number;
      readonly delay: number;
      readonly delayMsMax: number;
      readonly replay: number;
      readonly forMs: number;
    }
  | { readonly kind: "stall"; readonly machine: string; readonly forMs: number }
  | {
      readonly kind: "diskError";
      readonly machine: string;
      readonly operation: DiskOperation;
      /** Only of files like this. */
      readonly pathPart: string;
      /** Of a failed sync: what is read then is what is durable. */
      readonly reverts: boolean;
      /** Of a failed write. */
      readonly leaves: FailedWrite;
      readonly skip: number;
      /** How often in a row; a table that fails twice is taken for damaged. */
      readonly times: number;
    }
  | { readonly kind: "diskFull"; readonly machine: string; readonly forMs: number }
  | { readonly kind: "transfer"; readonly draw: number }
  | { readonly kind: "flush"; readonly machine: string }
  | ({
      readonly kind: "bitRot";
      readonly machine: string;
      /** For how long the node is down where it is killed with it. */
      readonly downMs: number;
    } & Flip)
  /** A place on its disk cannot be read any more, after a restart neither. */
  | ({ readonly kind: "badSector"; readonly machine: string } & Flip)
  | ({ readonly kind: "misdirect"; readonly machine: string } & Misdirected)
  | {
      /** The disk is lost. The node is started as before, and later replaced by a new one. */
      readonly kind: "wipe";
      readonly machine: string;
      readonly downMs: number;
      readonly replaceMs: number;
    }
  /** A sound node leaves the cluster, and a new one takes its place. */
  | { readonly kind: "rejoin"; readonly machine: string }
  | { readonly kind: "replicas"; readonly shardDraw: number; readonly nodeDraw: number }
  | { readonly kind: "wallClock"; readonly machine: string; readonly stepMs: number }
  | {
      /** A wall clock stands still; then it goes on from there, or catches up. */
      readonly kind: "freezeWall";
      readonly machine: string;
      readonly catchesUp: boolean;
      readonly forMs: number;
    }
  /** A clock goes on at another rate, within the run's bound. */
  | { readonly kind: "drift"; readonly machine: string; readonly clockRate: number }
  | {
      /** A machine sleeps, and its monotonic clock with it: only uptime goes on. */
      readonly kind: "sleep";
      readonly machine: string;
      readonly forMs: number;
    }
);

const MINUTE_MS = 60_000;
/** The last batch often is a marker, which has nothing that could flip. */
const ROT_KINDS: readonly RotKind[] = [
  "log",
  "lastBatch",
  "lastBatch",
  "lastBatch",
  "table",
  "table",
  "manifest",
  "small",
];
/** Faults begin when the cluster has had this long to form, and a little less. */
const QUIET_MS = 1000;

export function drawFaults(settings: Settings, prng: Prng): readonly Fault[] {
  const machines = Array.from({ length: settings.cluster.nodes }, (_, i) => `n${i + 1}`);
  const faults: Fault[] = [];
  const victim = pick(prng.split(), machines);
  for (const name of FAULT_CLASSES) {
    const own = prng.split();
    const perMinute = settings.faults[name];
    if (perMinute === undefined) continue;
    // Nobody could repair a node that is alone.
    if (machines.length === 1 && NEEDS_OTHERS.has(name)) continue;
    let atMs = own.fraction() * QUIET_MS;
    for (;;) {
      atMs += (-Math.log(1 - own.fraction()) * MINUTE_MS) / perMinute;
      if (atMs > settings.durationMs) break;
      faults.push({ atMs, ...drawFault(name, settings, { machines, victim }, own) });
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}

const NEEDS_OTHERS: ReadonlySet<FaultClass> = new Set([
  "bitRot",
  "badSector",
  "misdirect",
  "wipe",
  "rejoin",
  "replicas",
  ...DIRECTED_CLASSES,
]);

type Drawn = Fault extends infer F ? (F extends Fault ? Omit<F, "atMs"> : never) : never;

/** What every fault may draw from. */
interface Draw {
  readonly prng: Prng;
  readonly machines: readonly string[];
  readonly clients: readonly string[];
  readonly machine: string;
  /** The one machine of a run whose disk lies or is lost: the others hold a good copy of all. */
  readonly victim: string;
  readonly electionMs: number;
  readonly clockDriftMax: number;
  /** From a moment to several elections. */
  readonly someMs: number;
}

function drawFault(
  name: FaultClass,
  settings: Settings,
  { machines, victim }: { readonly machines: readonly string[]; readonly victim: string },
  prng: Prng,
): Drawn {
  const electionMs = settings.cluster.electionTimeoutMaxMs;
  const machine = pick(prng, machines);
  const someMs = logUniform(prng, 10, 6 * electionMs);
  const clients = Array.from({ length: settings.load.clients }, (_, i) => `c${i + 1}`);
  const { clockDriftMax } = settings;
  const draw: Draw = {
    prng,
    machines,
    victim,
    clients,
    machine,
    electionMs,
    clockDriftMax,
    someMs,
  };
  if (!isDirected(name)) return DRAWS[name](draw);
  const { electionTimeoutMinMs, leaderLeaseMs } = settings.cluster;
  return DIRECTED_DRAWS[name]({
    prng,
    machine,
    electionMs: electionTimeoutMinMs,
    leaseMs: leaderLeaseMs || electionTimeoutMinMs,
    sides: () => drawClients(draw),
  });
}

const DRAWS: Readonly<Record<Exclude<FaultClass, DirectedClass>, (draw: Draw) => Drawn>> = {
  kill: ({ machine, someMs }) => ({ kind: "kill", machine, downMs: someMs }),
  power: ({ prng, machine, someMs }) => {
    const style = pick(prng, ["mixed", "mixed", "loseAll", "keepAll"] as const);
    return { kind: "power", machine, style, downMs: someMs };
  },
  crashAtWrite: ({ prng, machine, someMs }) => {
    return { kind: "crashAtWrite", machine, operations: prng.between(1, 60), downMs: someMs };
  },
  killAll: ({ prng, someMs }) => ({ kind: "killAll", power: prng.chance(0.5), downMs: someMs }),
  pause: ({ machine, someMs }) => ({ kind: "pause", machine, forMs: someMs }),
  restart: ({ machine, someMs }) => ({ kind: "restart", machine, downMs: someMs }),
  partition: (draw) => drawPartition(draw, false),
  oneWay: (draw) => drawPartition(draw, true),
  clog: ({ prng, machines, someMs }) => {
    return { kind: "clog", roads: drawWays(prng, machines), forMs: someMs };
  },
  slow: ({ prng, machines, someMs }) => {
    const factor = logUniform(prng, 2, 200);
    return { kind: "slow", roads: drawWays(prng, machines), factor, forMs: someMs };
  },
  reset: ({ prng, machines }) => ({ kind: "reset", way: drawWay(prng, machines) }),
  flap: ({ prng, machines, electionMs }) => {
    const periodMs = logUniform(prng, 5, electionMs);
    return { kind: "flap", way: drawWay(prng, machines), periodMs, times: prng.between(2, 12) };
  },
  frames: ({ prng, electionMs, someMs }) => ({
    kind: "frames",
    lose: drawRate(prng, 0.3),
    double: drawRate(prng, 0.3),
    delay: drawRate(prng, 0.3),
    delayMsMax: logUniform(prng, 1, 2 * electionMs),
    replay: drawRate(prng, 0.3),
    forMs: 3 * someMs,
  }),
  stall: ({ machine, someMs }) => ({ kind: "stall", machine, forMs: someMs }),
  diskError: ({ prng, machine }) => {
    const operation = pick(prng, DISK_OPERATIONS);
    const reverts = prng.chance(0.5);
    const [skip, times] = [prng.between(0, 20), pick(prng, [1, 1, 8])];
    const leaves = pick(prng, ["nothing", "half", "dirty", "clean"] as const);
    // Most writes are the log's, and few the manifest's.
    const pathPart = operation === "write" ? pick(prng, ["", "/log/", "/manifest-"]) : "";
    const error = { operation, pathPart, reverts, leaves, times };
    return { kind: "diskError", machine, ...error, skip: pathPart === "" ? skip : skip % 4 };
  },
  diskFull: ({ machine, someMs }) => ({ kind: "diskFull", machine, forMs: someMs }),
  transfer: ({ prng }) => ({ kind: "transfer", draw: prng.fraction() }),
  flush: ({ machine }) => ({ kind: "flush", machine }),
  wallClock: ({ prng, machine }) => {
    return { kind: "wallClock", machine, stepMs: prng.between(-300_000, 300_000) };
  },
  freezeWall: ({ prng, machine, someMs }) => {
    return { kind: "freezeWall", machine, catchesUp: prng.chance(0.5), forMs: someMs };
  },
  drift: ({ prng, machine, clockDriftMax }) => {
    return { kind: "drift", machine, clockRate: drawClockRate(prng, clockDriftMax) };
  },
  sleep: ({ prng, machine, someMs }) => {
    // Every other is too short to be noticed, or nearly so.
    return { kind: "sleep", machine, forMs: prng.chance(0.5) ? logUniform(prng, 1, 50) : someMs };
  },
  bitRot: ({ prng, victim: machine, someMs: downMs }) => {
    const what = pick(prng, ROT_KINDS);
    return { kind: "bitRot", machine, downMs, what, place: prng.fraction(), bit: prng.fraction() };
  },
  badSector: ({ prng, victim: machine }) => {
    const what = pick(prng, ["table", "table", "manifest"] as const);
    return { kind: "badSector", machine, what, place: prng.fraction(), bit: prng.fraction() };
  },
  misdirect: ({ prng, victim: machine }) => {
    const what = pick(prng, ["table", "log", "manifest"] as const);
    const [place, ahead] = [prng.fraction(), prng.chance(0.5)];
    return { kind: "misdirect", machine, what, place, ahead };
  },
  wipe: ({ prng, victim: machine, someMs, electionMs }) => {
    return { kind: "wipe", machine, downMs: someMs, replaceMs: electionMs * prng.between(1, 6) };
  },
  rejoin: ({ victim: machine }) => ({ kind: "rejoin", machine }),
  replicas: ({ prng }) => {
    return { kind: "replicas", shardDraw: prng.fraction(), nodeDraw: prng.fraction() };
  },
  trigger: ({ prng }) => {
    return { kind: "trigger", on: pick(prng, TRIGGERS), downMs: logUniform(prng, 5, 100) };
  },
  lateVotes: () => ({ kind: "lateVotes" }),
  firstLost: ({ prng, electionMs }) => {
    return { kind: "firstLost", forMs: electionMs * (1 + 5 * prng.fraction()) };
  },
  usurp: (draw) => {
    const { prng, electionMs } = draw;
    const ending = pick(prng, ["swap", "hand", "trim"] as const);
    const entries = prng.between(1, 5);
    // With all clients at the old leader its log stays the longest.
    const isShared = ending !== "trim" && prng.chance(0.5);
    const clients = isShared ? drawClients(draw) : { inside: draw.clients, outside: [] };
    return { kind: "usurp", entries, ending, ...clients, electionMs };
  },
  pauseLeader: ({ prng, electionMs }) => {
    const forMs = electionMs * (0.5 + 1.5 * prng.fraction());
    return { kind: "pauseLeader", draw: prng.fraction(), forMs };
  },
  isolate: (draw) => {
    const forMs = drawCutMs(draw);
    return { kind: "isolate", draw: draw.prng.fraction(), ...drawClients(draw), forMs };
  },
};

/** Where a crash right after the word hurts most. */
const TRIGGERS: readonly Message["kind"][] = [
  "voteResponse",
  "voteResponse",
  "vote",
  "appendResponse",
  "append",
  "timeoutNow",
  "heartbeatResponse",
];

/** What may fail. */
const DISK_OPERATIONS: readonly DiskOperation[] = [
  "write",
  "write",
  "write",
  "write",
  "sync",
  "create",
  "rename",
  "syncDirectory",
  "read",
];

function drawPartition(draw: Draw, oneWay: boolean): Drawn {
  const { prng, machines } = draw;
  const machinesInside = drawSome(prng, machines);
  const machinesOutside = machines.filter((name) => !machinesInside.includes(name));
  const clients = drawClients(draw);
  const inside = [...machinesInside, ...clients.inside];
  const outside = [...machinesOutside, ...clients.outside];
  return { kind: "partition", inside, outside, oneWay, forMs: drawCutMs(draw) };
}

/**
 * Some clients are on one side with the machines there: or else nobody would ask a leader that was
 * cut off while others are served by its successor.
 */
function drawClients({ prng, clients }: Draw): {
  readonly inside: readonly string[];
  readonly outside: readonly string[];
} {
  const inside: string[] = [];
  const outside: string[] = [];
  const free = pick(prng, [0, 0.3, 1]);
  for (const client of clients) {
    if (prng.chance(free)) continue;
    if (prng.chance(0.5)) inside.push(client);
    else outside.push(client);
  }
  return { inside, outside };
}

/** Long enough for a successor to serve somebody, in half of all cases. */
function drawCutMs({ prng, electionMs, someMs }: Draw): number {
  return prng.chance(0.5) ? someMs : electionMs * (1 + 3 * prng.fraction());
}

function drawRate(prng: Prng, max: number): number {
  return prng.chance(0.5) ? 0 : logUniform(prng, 0.005, max);
}

function drawWay(prng: Prng, machines: readonly string[]): Way {
  const from = pick(prng, machines);
  const others = machines.filter((name) => name !== from);
  return { from, to: others.length === 0 ? from : pick(prng, others) };
}

function drawWays(prng: Prng, machines: readonly string[]): readonly Way[] {
  return Array.from({ length: prng.between(1, machines.length) }, () => drawWay(prng, machines));
}

/** At least one machine, and not all of them where there are more. */
function drawSome(prng: Prng, machines: readonly string[]): readonly string[] {
  const shuffled = [...machines];
  for (let i = shuffled.length - 1; i > 0; i--) {
    const other = prng.between(0, i);
    [shuffled[i], shuffled[other]] = [shuffled[other]!, shuffled[i]!];
  }
  return shuffled.slice(0, prng.between(1, Math.max(1, machines.length - 1)));
}
