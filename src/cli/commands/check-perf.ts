/** flotctl check perf: whether the cluster keeps up with a load, by etcdctl's measures. */
import { concatBytes, utf8 } from "../../base/bytes.js";
import type { KeyValue } from "../../protocol/key-value.js";
import { choiceOf, durationOf, switchOf, textOf } from "../arguments.js";
import { runBounded } from "../bounded-pool.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, CliError } from "../failure.js";
import { type LoadFacts, runLoad } from "../load-run.js";
import { Progress } from "../progress.js";
import { selectKeys } from "../selection.js";
import { boundsOf } from "../transfer.js";

interface Load {
  readonly writesPerSecond: number;
  readonly writers: number;
}

/** etcdctl's. */
const LOADS: Readonly<Record<string, Load>> = {
  s: { writesPerSecond: 150, writers: 50 },
  m: { writesPerSecond: 1000, writers: 200 },
  l: { writesPerSecond: 8000, writers: 500 },
  xl: { writesPerSecond: 15_000, writers: 1000 },
};
const NAMES: Readonly<Record<string, string>> = { s: "s", m: "m", l: "l", xl: "xl" };
const DURATION_MS = 60_000;
const KEY_BYTES = 256;
const VALUE_BYTES = 1024;
const RATE_SHARE = 0.9;
const SLOWEST_MS_MAX = 500;
const DEVIATION_MS_MAX = 100;
const PREFIX = "/flotctl-check-perf/";
const DEFRAGMENT_TIMEOUT_MS = 120_000;

export const checkPerf: CommandDefinition<Context> = {
  flags: {
    load: {
      type: "string",
      describe: "s, m, l or xl: 150, 1000, 8000, 15000 writes/s; s by default",
    },
    prefix: { type: "string", describe: "of the keys that are written, and deleted afterwards" },
    duration: { type: "string", describe: "how long; 60s by default" },
    "auto-compact": { type: "boolean", describe: "compact the history behind it" },
    "auto-defrag": { type: "boolean", describe: "defragment the endpoints behind it" },
  },
  writes: true,
  endsItself: true,
  examples: [["check perf --load m", "1000 writes/s by 200 writers for a minute"]],
  epilogue: [
    "Keys of 256 and values of 1024 bytes. It passes with 90% of the rate, no request above 500ms and a",
    "standard deviation of at most 100ms; otherwise the exit code is 1. One process writes: its own CPU",
    "counts, too.",
  ].join("\n"),
  run: async (context, argv) => {
    const load = LOADS[choiceOf(argv, "load", NAMES) ?? "s"]!;
    const prefix = textOf(argv, "prefix") ?? PREFIX;
    if (prefix === "") throw badArguments("--prefix must not be empty: its keys are deleted");
    const durationMs = durationOf(argv, "duration") ?? DURATION_MS;
    const client = await context.client();
    await checkUnused(client, prefix);
    const facts = await measure(context, client, { load, prefix, durationMs });
    const revision = await clean(context, client, prefix);
    if (switchOf(argv, "auto-compact")) await client.compact(revision);
    if (switchOf(argv, "auto-defrag")) await defragment(context, client);
    return report(context, facts, load);
  },
};

interface Wish {
  readonly load: Load;
  readonly prefix: string;
  readonly durationMs: number;
}

async function measure(
  context: Context,
  client: ClientPort,
  { load, prefix, durationMs }: Wish,
): Promise<LoadFacts> {
  const files = Math.floor((load.writesPerSecond * durationMs) / 1000);
  const totals = { files, bytes: files * (KEY_BYTES + VALUE_BYTES) };
  const progress = new Progress(context.terminal, "checking", totals, "writes");
  const value = new Uint8Array(VALUE_BYTES).fill(0x76);
  const start = utf8(prefix);
  const rest = Math.max(1, KEY_BYTES - start.length);
  try {
    return await runLoad({
      ratePerSecond: load.writesPerSecond,
      writers: load.writers,
      durationMs,
      signal: context.signal,
      write: async (n) => {
        const key = concatBytes(start, utf8(String(scattered(n)).padStart(rest, "0")));
        await client.put(key, value);
      },
      done: () => progress.add(KEY_BYTES + VALUE_BYTES),
    });
  } finally {
    progress.end();
  }
}

/** In no order of keys, and each but once. */
function scattered(n: number): number {
  return Math.imul(n, 0x9e37_79b1) >>> 0;
}

async function checkUnused(client: ClientPort, prefix: string): Promise<void> {
  const span = selectKeys(prefix, undefined, { prefix: true, fromKey: false });
  const { count } = await client.range({ ...span, countOnly: true, fanOut: true });
  if (count === 0) return;
  throw new CliError(EXIT.failed, `there are keys with the prefix ${prefix}`, {
    because: "a check was broken off, or the keys are somebody's",
    next: `flotctl del ${prefix} --prefix, or another --prefix`,
  });
}

/** Deletes what was written, key by key: so it need not lie in one shard. */
async function clean(context: Context, client: ClientPort, prefix: string): Promise<number> {
  const span = selectKeys(prefix, undefined, { prefix: true, fromKey: false });
  const rows = client.scan({ ...span, keysOnly: true, fanOut: true });
  const bounds = { ...boundsOf(context), signal: new AbortController().signal };
  let revision = 0;
  const sizeOf = ({ key }: KeyValue): number => key.length;
  await runBounded(rows, sizeOf, bounds, async ({ key }) => {
    const { header } = await client.delete(key);
    revision = Math.max(revision, header.revision);
  });
  return revision;
}

async function defragment(context: Context, client: ClientPort): Promise<void> {
  for (const endpoint of context.options.endpoints) {
    await client.admin.defragment(endpoint, DEFRAGMENT_TIMEOUT_MS);
  }
}

async function report(context: Context, facts: LoadFacts, load: Load): Promise<number> {
  if (context.signal.aborted) return EXIT.interrupted;
  const printer = await context.printer();
  const { perSecond, slowestMs, deviationMs, failed, failure } = facts;
  const rate = Math.round(perSecond);
  const [slowest, deviation] = [slowestMs, deviationMs].map((ms) => `${(ms / 1000).toFixed(6)}s`);
  const findings: readonly (readonly [boolean, string, string])[] = [
    [
      perSecond >= load.writesPerSecond * RATE_SHARE,
      `Throughput is ${rate} writes/s`,
      `Throughput too low: ${rate} writes/s`,
    ],
    [
      slowestMs <= SLOWEST_MS_MAX,
      `Slowest request took ${slowest}`,
      `Slowest request took too long: ${slowest}`,
    ],
    [deviationMs <= DEVIATION_MS_MAX, `Stddev is ${deviation}`, `Stddev too high: ${deviation}`],
    [failed === 0, "No request failed", `${failed} requests failed, the first: ${failure}`],
  ];
  const passes = findings.every(([passed]) => passed);
  const lines = findings.map(([passed, good, bad]) => (passed ? `PASS: ${good}` : `FAIL: ${bad}`));
  printer.done([...lines, passes ? "PASS" : "FAIL"].join("\n"), {
    passes,
    written: facts.written,
    failed,
    writesPerSecond: rate,
    slowestMs: Math.round(slowestMs),
    deviationMs: Math.round(deviationMs),
  });
  return passes ? EXIT.ok : EXIT.failed;
}
