/**
 * How fast the simulator is: five nodes under load without a fault, the same settings for each of a
 * fixed set of seeds, on one core. A first run is not counted: its code is not compiled yet.
 */
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import type { Settings } from "./settings.js";
import { simulate } from "./simulate.js";

const SEEDS = 8;
const DURATION_MS = 30_000;

/** As nodes are by default, with clients that pause less than the heartbeats do. */
function benchSettings(seed: number): Settings {
  return {
    seed,
    durationMs: DURATION_MS,
    cluster: {
      nodes: 5,
      keyspaces: [],
      heartbeatMs: 100,
      electionTimeoutMinMs: 1000,
      electionTimeoutMaxMs: 2000,
      leaderLeaseMs: 1000,
      quiesceAfterMs: 0,
      memtablesBytesMax: 2 * 1024 * 1024,
      segmentSizeBytes: 1024 * 1024,
      logSegmentsMax: 4,
      logBytesHeldMax: 8 * 1024 * 1024,
      jobMsMax: 10,
      writeMsMax: 5,
      entryCacheBytes: 64 * 1024 * 1024,
    },
    load: {
      clients: 8,
      keys: 16,
      valueBytesMax: 400,
      pauseMsMean: 50,
      requestTimeoutMs: 5000,
      watchers: 2,
      leaseHolders: 0,
      surveys: 0,
      compactions: 0,
    },
    delayMsMin: 0.5,
    delayMsMean: 2,
    timerDelayMsMax: 0,
    turnMsMax: 0.1,
    clockDriftMax: 0,
    faults: {},
    flow: DEFAULT_CONFIG.flow,
  };
}

export async function runBench(say: (line: string) => void): Promise<number> {
  Error.stackTraceLimit = 0;
  await simulate(benchSettings(0), []);
  const totals = { simulatedMs: 0, events: 0, operations: 0 };
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure, simulatedMs, events, operations } = await simulate(benchSettings(seed), []);
    if (failure !== undefined) {
      say(`seed ${seed} FAILED: ${failure}`);
      return 1;
    }
    totals.simulatedMs += simulatedMs;
    totals.events += events;
    totals.operations += operations;
  }
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(startCpu);
  for (const line of told(totals, wallMs, (user + system) / 1000)) say(line);
  return 0;
}

function told(
  totals: { readonly simulatedMs: number; readonly events: number; readonly operations: number },
  wallMs: number,
  cpuMs: number,
): readonly string[] {
  const { simulatedMs, events, operations } = totals;
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  const rate = (count: number, ms: number): string => ((count * 1000) / ms).toFixed(0);
  const times = (ms: number): string => (simulatedMs / ms).toFixed(1);
  return [
    `${SEEDS} seeds, five nodes, no faults: ${seconds(simulatedMs)} s simulated, ` +
      `${operations} operations`,
    `wall ${seconds(wallMs)} s: ${times(wallMs)} times real time, ` +
      `${rate(events, wallMs)} events a second`,
    `CPU ${seconds(cpuMs)} s: ${times(cpuMs)} times real time, ` +
      `${rate(events, cpuMs)} events a second`,
    `events: ${events}, ${rate(events, simulatedMs)} a simulated second; ` +
      "after each the ledger looks at the replicas of the node that ran",
  ];
}
