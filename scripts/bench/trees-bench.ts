/**
 * Many small trees in one store, on a real disk: what one that nobody uses costs in memory, files
 * and time, and what is done for all of them together, as a flush of what keeps the log from being
 * trimmed, a start and an end.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { must } from "../../src/base/assert.js";
import { utf8 } from "../../src/base/bytes.js";
import { singleRun } from "../../src/base/entry-run.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import { Store } from "../../src/store/store.js";

const HELP = `Usage: npm run -s bench -- trees [options]

Says what many small trees in one store cost, in time of the wall / of all processors, and for how
long the event loop was held up at most.

  --trees N,N     how many (100,1000,10000)
  --entries N     in each, each time before they are flushed (4)
  --hot N         trees that get a thousand times as many (8)
  --rounds N      how often all are written and flushed (6)
  --idle MS       how long nothing happens (2000)
  --directory DIR where; a new one below the system's temporary directory`;

const OPTIONS = {
  trees: { type: "string", default: "100,1000,10000" },
  entries: { type: "string", default: "4" },
  hot: { type: "string", default: "8" },
  rounds: { type: "string", default: "6" },
  idle: { type: "string", default: "2000" },
  directory: { type: "string" },
  help: { type: "boolean" },
} as const;

const EVERYTHING = { start: new Uint8Array(0), end: undefined };
const VALUE = new Uint8Array(100).fill(7);
const LARGE_VALUE = new Uint8Array(64 * 1024);
const HOT_FACTOR = 1000;
const MIB = 1024 * 1024;
const SEGMENT_SIZE_BYTES = 8 * MIB;
/** Trees that are written to, flushed or read in one turn. */
const TURN_COUNT = 64;

interface Load {
  readonly trees: number;
  readonly entries: number;
  readonly hot: number;
  readonly rounds: number;
  readonly idleMs: number;
}

export async function treesBench(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help === true) {
    console.log(HELP);
    return 0;
  }
  setFlagsFromString("--expose-gc");
  for (const trees of values.trees.split(",").map(Number)) {
    const directory = values.directory ?? mkdtempSync(join(tmpdir(), "flotilla-trees-"));
    const load = {
      trees,
      entries: Number(values.entries),
      hot: Number(values.hot),
      rounds: Number(values.rounds),
      idleMs: Number(values.idle),
    };
    console.log(`${trees} trees, ${load.hot} of them hot`);
    await new Run(directory, load).run();
    if (values.directory === undefined) rmSync(directory, { recursive: true });
  }
  return 0;
}

class Run {
  readonly #directory: string;
  readonly #load: Load;
  #store: Store | undefined = undefined;
  #closeJobs: () => Promise<void> = () => Promise.resolve();
  readonly #indexes: Map<number, number> = new Map();
  #baseBytes = 0;

  constructor(directory: string, load: Load) {
    this.#directory = directory;
    this.#load = load;
  }

  async run(): Promise<void> {
    const { trees, rounds, entries } = this.#load;
    await this.#open();
    this.#baseBytes = memoryBytes();
    await timed("make", () => this.#make());
    this.#memory("nothing written");
    await timed(`write ${entries} entries`, () => this.#write(entries));
    this.#memory("unflushed");
    await timed("flush all", () => this.#flush());
    this.#files();
    this.#memory("flushed");
    await timed(`idle for ${this.#load.idleMs} ms`, () => pause(this.#load.idleMs));
    await timed(`${rounds - 2} times more, and merges`, async () => {
      for (let round = 2; round < rounds; round++) await this.#writeAndFlush();
      await this.#current.idle();
    });
    this.#files();
    await this.#write(entries);
    await timed("let go of the log", () => this.#unpin());
    this.#files();
    await timed("close", () => this.#close());
    await timed("open", () => this.#open());
    const { writtenBytes } = this.#current.log.stats();
    line("log written at the start", `${writtenBytes} bytes, ${each(writtenBytes, trees)}`);
    this.#memory("opened");
    await timed("read a key of each", () => this.#read());
    this.#memory("read");
    this.#files();
    await timed("close", () => this.#close());
  }

  get #current(): Store {
    return must(this.#store, "store");
  }

  async #open(): Promise<void> {
    const worker = new URL("../../src/store/worker.js", import.meta.url);
    const env = createNodeEnv({ tracer: { level: "error" }, jobs: { worker, workersMax: 2 } });
    const { store } = await Store.open(env, this.#directory, {
      logSegmentsMax: 4,
      logOptions: { segmentSizeBytes: SEGMENT_SIZE_BYTES, firstSegmentSizeBytes: MIB },
    });
    this.#store = store;
    this.#closeJobs = () => env.jobs.close();
    store.observe({
      flushed: (shardId, { index }) => store.log.trim(shardId, index),
      flushWanted: (shardId) => {
        const tree = must(store.tree(shardId), "tree");
        store.maybeFlush(tree, () => this.#stateOf(tree));
      },
      trimWanted: (shardId, upTo) => (store.log.trim(shardId, upTo), true),
      treeDamaged: (_shardId, error) => {
        throw error;
      },
      treeSound: () => undefined,
    });
  }

  async #close(): Promise<void> {
    await this.#current.close();
    await this.#closeJobs();
    this.#store = undefined;
  }

  #make(): void {
    const { trees } = this.#load;
    const added = Array.from({ length: trees }, (_, at) => ({
      shardId: at + 1,
      range: EVERYTHING,
      flushed: stateAt(0),
    }));
    this.#current.createTrees(added);
  }

  async #write(entries: number): Promise<void> {
    for (const tree of this.#current.trees()) {
      const isHot = tree.shardId <= this.#load.hot;
      const count = isHot ? entries * HOT_FACTOR : entries;
      for (let i = 0; i < count; i++) this.#writeOne(tree, VALUE);
      if (isHot) await this.#commit();
      await this.#turnAfter(tree);
    }
    await this.#commit();
  }

  #writeOne(tree: Tree, value: Uint8Array): void {
    const { shardId } = tree;
    const index = (this.#indexes.get(shardId) ?? 0) + 1;
    this.#indexes.set(shardId, index);
    const { log } = this.#current;
    if (index === 1) log.saveHardState(shardId, 1, { term: 1, vote: 1, commitIndex: 0 });
    log.append(shardId, 1, singleRun("command", 1, index, value));
    const key = utf8(`key ${index}`);
    tree.insert(FAMILY.data, key, 0, key.length, index, false, value, 0, value.length);
    tree.insert(FAMILY.meta, key, 0, 3, index, false, key, 0, key.length);
  }

  #commit(): Promise<void> {
    return new Promise((resolve) => this.#current.log.commit(resolve));
  }

  async #flush(): Promise<void> {
    const flushes: Promise<void>[] = [];
    for (const tree of this.#current.trees()) {
      flushes.push(this.#current.flushNow(tree, this.#stateOf(tree)));
      await this.#turnAfter(tree);
    }
    await Promise.all(flushes);
  }

  async #writeAndFlush(): Promise<void> {
    await this.#write(this.#load.entries);
    await this.#flush();
  }

  /** Writes to one tree until the log is too large, and waits until it no longer is. */
  async #unpin(): Promise<void> {
    const store = this.#current;
    const [hot] = store.trees();
    while (store.log.stats().segments <= 6) {
      for (let i = 0; i < 16; i++) this.#writeOne(must(hot), LARGE_VALUE);
      await this.#commit();
    }
    await store.flushNow(must(hot), this.#stateOf(must(hot)));
    while (store.log.stats().segments > 4) await pause(10);
  }

  async #read(): Promise<void> {
    const key = utf8("key 1");
    for (const tree of this.#current.trees()) {
      must(tree.get(FAMILY.data, key, 0, key.length, Infinity), "what was written");
      await this.#turnAfter(tree);
    }
  }

  /** What is held up here is held up by the store and not by what it is given to do. */
  async #turnAfter({ shardId }: Tree): Promise<void> {
    if (shardId % TURN_COUNT === 0) await turn();
  }

  #stateOf({ shardId }: Tree): FlushedState {
    return stateAt(this.#indexes.get(shardId) ?? 0);
  }

  #memory(when: string): void {
    const bytes = memoryBytes() - this.#baseBytes;
    const { trees } = this.#load;
    const { memtableBytes } = this.#current.stats();
    const memtables = `memtables ${mib(memtableBytes)} MiB, ${each(memtableBytes, trees)}`;
    line(`memory, ${when}`, `${mib(bytes)} MiB, ${each(bytes, trees)}; ${memtables}`);
  }

  #files(): void {
    const { manifestBytes, sizeBytes, tableCount } = this.#current.stats();
    const { trees } = this.#load;
    const files = readdirSync(`${this.#directory}/tables`).length;
    const handles = readdirSync("/proc/self/fd").length;
    const manifest = `manifest ${mib(manifestBytes)} MiB, ${each(manifestBytes, trees)}`;
    const tables = `${tableCount} tables of ${mib(sizeBytes)} MiB in ${files} files`;
    line("on disk", `${tables}, ${handles} handles; ${manifest}`);
  }
}

function stateAt(index: number): FlushedState {
  const rest = { compactedRevision: 0, closedRevision: 0, logicalClock: 0 };
  return { index, term: 1, revision: index, ...rest, configuration: new Uint8Array(16) };
}

/** Of the collected heap and of buffers; memtables lie in shared ones, which are not among them. */
function memoryBytes(): number {
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function timed(what: string, work: () => void | Promise<void>): Promise<void> {
  const startMs = performance.now();
  const before = process.cpuUsage();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  // What work does at its end holds up the turn that comes then.
  await pause(2);
  delay.disable();
  const wallMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  const cpuMs = (user + system) / 1000;
  const pauseMs = delay.max / 1e6;
  line(what, `${wallMs.toFixed(0)} ms / ${cpuMs.toFixed(0)} ms, pause ${pauseMs.toFixed(0)} ms`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function line(what: string, told: string): void {
  console.log(`  ${what.padEnd(26)} ${told}`);
}

function each(bytes: number, count: number): string {
  return `${(bytes / count).toFixed(0)} each`;
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1);
}
