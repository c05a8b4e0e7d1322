/** Clusters that speak etcd's API, side by side: ours, and beside it, if wanted, one of etcd. */
import { mkdirSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import { leaderAddress, startEtcd } from "./etcd-cluster.js";
import { startOurs } from "./our-cluster.js";
import { Processes, findCommand } from "./processes.js";

export interface Side {
  readonly name: string;
  readonly addresses: readonly string[];
  cpuMicros(): readonly number[] | undefined;
}

/** Runs a benchmark on clusters of its own, which end with it; gives the exit code. */
export async function onSides(
  options: { readonly data: string; readonly compare: string },
  work: (sides: readonly Side[]) => Promise<void>,
): Promise<number> {
  const processes = new Processes();
  const directory = resolve(options.data, String(process.pid));
  mkdirSync(directory, { recursive: true });
  try {
    await work(await startSides(processes, directory, options.compare === "etcd"));
    processes.requireAlive();
    return 0;
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startSides(
  processes: Processes,
  directory: string,
  withEtcd: boolean,
): Promise<readonly Side[]> {
  const ours = await startOurs(processes, { directory, api: "etcd", members: "leader" });
  const sides: Side[] = [
    { name: "ours", addresses: ours.addresses, cpuMicros: () => ours.cpuMicros() },
  ];
  const command = findCommand("etcd");
  if (!withEtcd || command === undefined) return sides;
  const etcd = await startEtcd(processes, { command, directory, members: "leader" });
  sides.push({ name: "etcd", addresses: etcd.addresses, cpuMicros: () => etcd.cpuMicros() });
  return sides;
}

export async function leaderOf(side: Side): Promise<string> {
  const address = await leaderAddress(side.addresses);
  if (address === undefined) throw new Error(`${side.name} has no leader`);
  return address;
}

/** Runs what is measured; adds how busy the busiest server was, in percent of a processor. */
export async function busiestDuring(side: Side, work: () => Promise<void>): Promise<number> {
  const before = side.cpuMicros() ?? [];
  const startedMs = performance.now();
  await work();
  const tookMs = performance.now() - startedMs;
  const after = side.cpuMicros() ?? [];
  return Math.max(...after.map((micros, i) => micros - before[i]!)) / tookMs / 10;
}

/** A row of figures under each other's heads. */
export function line(cells: readonly string[]): string {
  return cells.map((cell) => cell.padStart(10)).join("");
}

/** An option of parseArgs with its default. */
export function text(fallback: string): { type: "string"; default: string } {
  return { type: "string", default: fallback };
}
