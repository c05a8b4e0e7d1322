/** The command line of the storage benchmark, and what it tells the processes that it starts. */
import { parseArgs } from "node:util";

export const ENGINES = ["ours", "classic-level", "lmdb"] as const;
export type EngineName = (typeof ENGINES)[number];

/** In the order in which they run: each finds the data that the ones before it left. */
export const TIMED_WORKS = [
  "fill-sequential",
  "fill-random",
  "overwrite",
  "get-recent",
  "get",
  "seek-10",
  "scan",
  "put-sync",
  "put-sync-64",
] as const;
/** At a constant rate, which follows from what the ones before could do. */
export const STEADY_WORKS = ["steady", "steady-sync"] as const;
export type TimedWork = (typeof TIMED_WORKS)[number];
export type SteadyWork = (typeof STEADY_WORKS)[number];
export type StorageWork = TimedWork | SteadyWork;
export const WORKS: readonly StorageWork[] = [...TIMED_WORKS, ...STEADY_WORKS];

export function isSteady(work: string): work is SteadyWork {
  return STEADY_WORKS.some((steady) => steady === work);
}

export interface StorageSettings {
  readonly entries: number;
  readonly valueBytes: readonly number[];
  readonly works: readonly StorageWork[];
  readonly engines: readonly EngineName[];
  readonly rounds: number;
  /** How long a steady work goes on. */
  readonly seconds: number;
  readonly directory: string;
  readonly keep: boolean;
  readonly json: boolean;
}

export const STORAGE_HELP = `Usage: npm run -s bench -- storage [options]

Measures the storage engine, opened alone, beside classic-level (LevelDB) and lmdb: the same work,
the same memory, each in a process of its own, in turns within each row.

  --entries 1000000      how many entries the stores are filled with
  --value-bytes 100,1000 size of the values; keys have 16 bytes
  --work get,scan        which rows are shown (default: all); fills that they need run anyway
  --engines ours,lmdb    who takes part (default: all that are installed)
  --rounds 1             how often all of it is done; the medians are shown
  --seconds 10           how long each of the steady rows goes on
  --data dist/bench-data where the data go
  --keep                 leave the data there
  --json                 print the results as one JSON object in the last line

Rows: fills and overwrites in batches of 100 without sync; get of one value, in random order;
get-recent: the same of the fifth that the overwrite wrote last; seek-10: seek and ten steps; scan
of everything; put-sync: one put at a time, durable when it settles; put-sync-64: 64 of them at
once; reopen, always measured last: closing the store, opening it and a get. µs/op is wall time for
each entry, get, seek or put; cpu µs is processor time of all threads, with the merging that a row
leaves behind. The ratio is classic-level's wall time over ours. Pause is the longest that the event
loop was held up.

The steady rows come at a constant rate, the same for all engines: half of what the slowest one
could do. steady: batches of 100 without sync, by the rate of overwrite. steady-sync: single synced
puts, by the rate of put-sync-64, while half as many batches as in steady keep the merging going.
Below each stand median, 99 %, 99.9 % and maximum of the latencies in ms ("latencies" in the JSON),
counted from the moment at which a write was due, of the batches or of the synced puts. The ratio
is classic-level's 99.9 % over ours. They run overwrite and put-sync-64 first.
`;

/** The settings that these arguments ask for, or "help"; throws on what makes no sense. */
export function parseStorageSettings(args: readonly string[]): StorageSettings | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      entries: { type: "string", default: "1000000" },
      "value-bytes": { type: "string", default: "100,1000" },
      work: { type: "string", default: WORKS.join() },
      engines: { type: "string", default: ENGINES.join() },
      rounds: { type: "string", default: "1" },
      seconds: { type: "string", default: "10" },
      data: { type: "string", default: "dist/bench-data" },
      keep: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false, short: "h" },
    },
  });
  if (values.help) return "help";
  return {
    entries: number("entries", values.entries, 1000, 100_000_000),
    valueBytes: values["value-bytes"].split(",").map((v) => number("value-bytes", v, 1, 65_536)),
    works: choices("work", values.work, WORKS),
    engines: choices("engines", values.engines, ENGINES),
    rounds: number("rounds", values.rounds, 1, 100),
    seconds: number("seconds", values.seconds, 1, 3600),
    directory: values.data,
    keep: values.keep,
    json: values.json,
  };
}

function number(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= low && value <= high) return value;
  throw new Error(`--${name}: a whole number from ${low} to ${high} is expected, not "${text}"`);
}

function choices<T extends string>(name: string, text: string, all: readonly T[]): readonly T[] {
  const wanted = text.split(",");
  const strange = wanted.find((one) => !all.some((known) => known === one));
  if (strange === undefined) return all.filter((one) => wanted.includes(one));
  throw new Error(`--${name}: some of ${all.join(",")} are expected, not "${strange}"`);
}
