/**
 * Churn: the same keys are overwritten again and again on a real disk, old revisions are compacted
 * now and then, as a cluster does it, and at the end everything settles. Told are what was written
 * for each byte that came in, and how much more the tables take than the live data do.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { singleRun } from "../../src/base/entry-run.js";
import { utf8 } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import { Store } from "../../src/store/store.js";

const HELP = `Usage: npm run -s bench -- churn [options]

Overwrites keys on a real disk and says what space and writing that took.

  --megabytes N   what is written in all (2048)
  --keys N        different keys (200000)
  --value N       bytes of a value, half of them random (1000)
  --compact N     old revisions are given up after every N writes (500000)
  --style STYLE   auto, tiered or leveled (auto)
  --segment N     MiB of a segment of the log (64, as in a node; a store opened alone has 8)
  --directory DIR where; a new one below the system's temporary directory`;

const OPTIONS = {
  megabytes: { type: "string", default: "2048" },
  keys: { type: "string", default: "200000" },
  value: { type: "string", default: "1000" },
  compact: { type: "string", default: "500000" },
  style: { type: "string", default: "auto" },
  segment: { type: "string", default: "64" },
  directory: { type: "string" },
  help: { type: "boolean" },
} as const;

const MIB = 1024 * 1024;
const SHARD = 1;
const BATCH = 64;
const KEY_BYTES = 15;
const EVERYTHING = { start: new Uint8Array(0), end: undefined };

interface Churn {
  readonly writes: number;
  readonly keys: number;
  readonly valueBytes: number;
  readonly compactEvery: number;
}

interface Source {
  readonly prng: Prng;
  readonly churn: Churn;
  readonly value: Uint8Array;
}

interface Outcome {
  /** Into tables, by flushes and merges together. */
  readonly writtenBytes: number;
  readonly liveKeys: number;
  readonly writeSeconds: number;
  readonly settleSeconds: number;
  readonly largestBytes: number;
  readonly tableBytes: number;
  readonly logBytes: number;
  readonly tables: number;
  readonly runsMax: number;
}

export async function churnBench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  const { style } = values;
  if (values.help === true || !isStyle(style)) {
    console.log(HELP);
    return values.help === true ? 0 : 2;
  }
  const directory = values.directory ?? mkdtempSync(join(tmpdir(), "flotilla-churn-"));
  const valueBytes = Number(values.value);
  const churn = {
    writes: Math.floor((Number(values.megabytes) * MIB) / valueBytes),
    keys: Number(values.keys),
    valueBytes,
    compactEvery: Number(values.compact),
  };
  const worker = new URL("../../src/store/worker.js", import.meta.url);
  const env = createNodeEnv({ tracer: { level: "error" }, jobs: { worker, workersMax: 2 } });
  const segmentSizeBytes = Number(values.segment) * MIB;
  const { store } = await Store.open(env, directory, {
    compaction: { style },
    logOptions: { segmentSizeBytes },
  });
  const outcome = await run(store, churn);
  await store.close();
  await env.jobs.close();
  if (values.directory === undefined) rmSync(directory, { recursive: true });
  console.log(told(churn, outcome));
  return 0;
}

async function run(store: Store, churn: Churn): Promise<Outcome> {
  const tree = store.createTree(SHARD, EVERYTHING, stateAt(0, 0));
  let index = 0;
  let horizon = 0;
  const state = (): FlushedState => stateAt(index, horizon);
  store.observe({
    flushed: (shardId, { index: upTo }) => store.log.trim(shardId, upTo),
    flushWanted: () => store.maybeFlush(tree, state),
    trimWanted: (shardId, upTo) => (store.log.trim(shardId, upTo), true),
    treeDamaged: (_shardId, error) => {
      throw error;
    },
    treeSound: () => undefined,
  });
  const source = { prng: new Prng(1), churn, value: new Uint8Array(churn.valueBytes) };
  let largestBytes = 0;
  const startMs = performance.now();
  while (index < churn.writes) {
    for (let i = 0; i < BATCH && index < churn.writes; i++) write(store, tree, ++index, source);
    if (Math.floor(index / churn.compactEvery) * churn.compactEvery > horizon) horizon = index;
    await new Promise<void>((resolve) => store.log.commit(resolve));
    store.maybeFlush(tree, state);
    while (!store.hasRoom(MIB)) await new Promise((resolve) => setTimeout(resolve, 10));
    largestBytes = Math.max(largestBytes, store.stats().sizeBytes);
  }
  const writtenMs = performance.now();
  horizon = index;
  await store.flushNow(tree, state());
  await store.idle();
  const { sizeBytes, tableCount, flushBytesWritten, mergeBytesWritten } = store.stats();
  return {
    writtenBytes: flushBytesWritten + mergeBytesWritten,
    liveKeys: liveKeysOf(tree),
    writeSeconds: (writtenMs - startMs) / 1000,
    settleSeconds: (performance.now() - writtenMs) / 1000,
    largestBytes,
    tableBytes: sizeBytes,
    logBytes: store.log.stats().sizeBytes,
    tables: tableCount,
    runsMax: tree.stats().runsMax,
  };
}

function liveKeysOf(tree: Tree): number {
  const cursor = tree.cursor(FAMILY.data, EVERYTHING, Infinity, "newest");
  let count = 0;
  while (cursor.next()) count++;
  cursor.close();
  return count;
}

function write(store: Store, tree: Tree, index: number, source: Source): void {
  const { prng, churn, value } = source;
  const key = utf8(`key${String(prng.between(1, churn.keys)).padStart(12, "0")}`);
  for (let at = 0; at + 8 < value.length; at += 8) value[at] = prng.u32();
  store.log.append(SHARD, 1, singleRun("command", 1, index, value));
  tree.insert(FAMILY.data, key, 0, key.length, index, false, value, 0, value.length);
}

function stateAt(index: number, compactedRevision: number): FlushedState {
  const rest = { closedRevision: 0, logicalClock: 0, configuration: new Uint8Array(0) };
  return { index, term: 1, revision: index, compactedRevision, ...rest };
}

function told(churn: Churn, outcome: Outcome): string {
  const { writeSeconds, settleSeconds, writtenBytes, largestBytes, tableBytes, logBytes } = outcome;
  const logicalBytes = churn.writes * churn.valueBytes;
  const liveBytes = outcome.liveKeys * (churn.valueBytes + KEY_BYTES);
  return [
    `${mib(logicalBytes)} MiB written in ${writeSeconds.toFixed(1)} s, ` +
      `${(churn.writes / writeSeconds).toFixed(0)} writes/s; settled in ${settleSeconds.toFixed(1)} s`,
    `tables written ${mib(writtenBytes)} MiB: ${(writtenBytes / logicalBytes).toFixed(2)} for each byte`,
    `tables at most ${mib(largestBytes)} MiB, in the end ${mib(tableBytes)} MiB in ` +
      `${outcome.tables} files, ${outcome.runsMax} runs`,
    `live data ${mib(liveBytes)} MiB: ${(tableBytes / liveBytes).toFixed(3)} times as much is stored`,
    `segments of the log ${mib(logBytes)} MiB, however much is stored: with them ` +
      `${((tableBytes + logBytes) / liveBytes).toFixed(3)} times as much`,
  ].join("\n");
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(0);
}

function isStyle(style: string): style is "auto" | "tiered" | "leveled" {
  return style === "auto" || style === "tiered" || style === "leveled";
}
