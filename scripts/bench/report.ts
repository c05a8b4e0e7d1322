/** The results of a benchmark: medians over rounds, as a table for people and JSON for programs. */
import type { Level } from "./bench-cluster.js";
import type { LoadResult, Work } from "./load.js";

/** One round of one side. */
export interface Round {
  readonly result: LoadResult;
  /** Of each server. */
  readonly serverCpuMicros: readonly number[] | undefined;
  readonly clientCpuMicros: number;
}

export interface Side {
  readonly opsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of all three servers together; undefined where the system does not say. */
  readonly cpuMicrosPerOp: number | undefined;
  /** Of the one that has most to do. */
  readonly busiestMicrosPerOp: number | undefined;
  /** Of the load generator. */
  readonly clientCpuMicrosPerOp: number;
  readonly errors: number;
}

export interface Row {
  readonly work: Work;
  readonly clients: number;
  readonly connections: number;
  readonly valueBytes: number;
  readonly level: Level;
  readonly ours: Side | undefined;
  readonly etcd: Side | undefined;
  /** Our operations per second over etcd's. */
  readonly ratio: number | undefined;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const high = sorted[Math.floor(middle)] ?? 0;
  return Number.isInteger(middle) ? (high + (sorted[middle - 1] ?? 0)) / 2 : high;
}

function sum(values: readonly number[]): number {
  return values.reduce((whole, value) => whole + value, 0);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The medians of these rounds, or undefined where there were none. */
export function sideOf(rounds: readonly Round[]): Side | undefined {
  if (rounds.length === 0) return undefined;
  const of = (value: (round: Round) => number, digits: number): number =>
    rounded(median(rounds.map(value)), digits);
  const perOp = (micros: number, { result }: Round): number =>
    micros / Math.max(1, result.operations);
  const cpuKnown = rounds.every((round) => round.serverCpuMicros !== undefined);
  return {
    opsPerSecond: of(({ result }) => (1000 * result.operations) / Math.max(1, result.elapsedMs), 0),
    p50Ms: of(({ result }) => result.latencies.percentileMs(0.5), 3),
    p99Ms: of(({ result }) => result.latencies.percentileMs(0.99), 3),
    cpuMicrosPerOp: cpuKnown
      ? of((round) => perOp(sum(round.serverCpuMicros ?? []), round), 1)
      : undefined,
    busiestMicrosPerOp: cpuKnown
      ? of((round) => perOp(Math.max(...(round.serverCpuMicros ?? [])), round), 1)
      : undefined,
    clientCpuMicrosPerOp: of((round) => perOp(round.clientCpuMicros, round), 1),
    errors: sum(rounds.map(({ result }) => result.errors)),
  };
}

export function ratioOf(ours: Side | undefined, etcd: Side | undefined): number | undefined {
  if (ours === undefined || etcd === undefined || etcd.opsPerSecond === 0) return undefined;
  return rounded(ours.opsPerSecond / etcd.opsPerSecond, 2);
}

const COLUMNS = [
  ["work", 6],
  ["clients", 8],
  ["", 6],
  ["ops/s", 9],
  ["p50 ms", 9],
  ["p99 ms", 9],
  ["cpu µs/op", 10],
  ["busiest", 9],
  ["client µs", 10],
  ["errors", 7],
  ["ratio", 9],
] as const;

function line(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padStart(COLUMNS[i]?.[1] ?? 0)).join("");
}

export function tableHead(): string {
  return line(COLUMNS.map(([title]) => title));
}

/** A line for each side that was measured; the ratio stands with the last. */
export function tableLines(row: Row): readonly string[] {
  const sides = [
    ["ours", row.ours],
    ["etcd", row.etcd],
  ] as const;
  const measured = sides.filter(([, side]) => side !== undefined);
  return measured.map(([name, side], i) =>
    line([
      i === 0 ? row.work : "",
      i === 0 ? String(row.clients) : "",
      name,
      String(side?.opsPerSecond),
      String(side?.p50Ms),
      String(side?.p99Ms),
      String(side?.cpuMicrosPerOp ?? "–"),
      String(side?.busiestMicrosPerOp ?? "–"),
      String(side?.clientCpuMicrosPerOp),
      String(side?.errors),
      i === measured.length - 1 && row.ratio !== undefined ? `${row.ratio}x` : "",
    ]),
  );
}
