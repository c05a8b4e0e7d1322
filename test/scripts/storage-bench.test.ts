/** The storage benchmark: that it measures what it says, on an engine that is known to be right. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { StorageData } from "../../scripts/bench/storage-data.js";
import type { StorageEngine, Tally } from "../../scripts/bench/storage-engines.js";
import { parseStorageSettings, TIMED_WORKS, WORKS } from "../../scripts/bench/storage-settings.js";
import { runSteady } from "../../scripts/bench/storage-steady.js";
import { runWork } from "../../scripts/bench/storage-works.js";

/** Counts what it is asked for; may lose a key. */
class MapEngine implements StorageEngine {
  readonly values = new Map<string, Buffer>();
  readonly calls = new Map<string, number>();
  inFlight = 0;
  inFlightMax = 0;
  lost: string | undefined = undefined;

  write(keys: readonly Buffer[], values: readonly Buffer[]): Promise<void> {
    this.#count("write");
    for (const [i, key] of keys.entries()) this.values.set(key.toString(), values[i]!);
    return Promise.resolve();
  }

  async putSync(key: Buffer, value: Buffer): Promise<void> {
    this.#count("putSync");
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    this.values.set(key.toString(), value);
    await new Promise((resolve) => setImmediate(resolve));
    this.inFlight--;
  }

  get(key: Buffer): Buffer | undefined {
    this.#count("get");
    return key.toString() === this.lost ? undefined : this.values.get(key.toString());
  }

  seek(key: Buffer, count: number, tally: Tally): void {
    this.#count("seek");
    tally.entries += this.#keys()
      .filter((other) => other >= key.toString())
      .slice(0, count).length;
  }

  scan(tally: Tally): Promise<void> {
    tally.entries += this.#keys().length;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #keys(): readonly string[] {
    return [...this.values.keys()].filter((key) => key !== this.lost).toSorted();
  }

  #count(call: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
  }
}

test("keys are in the order of their numbers, and the shuffled numbers are all there are", () => {
  const data = new StorageData(1000, 100);
  const keys = Array.from({ length: 1000 }, (_, n) => data.key(n).toString());
  expect(keys).toEqual(keys.toSorted());
  expect(new Set(keys.map((key) => key.length))).toEqual(new Set([16]));
  expect([...data.shuffled].toSorted((a, b) => a - b)).toEqual(keys.map((_, n) => n));
  expect([...data.shuffled]).not.toEqual(keys.map((_, n) => n));
  expect([...data.asked].toSorted((a, b) => a - b)).toEqual(keys.map((_, n) => n));
  expect([...data.asked]).not.toEqual([...data.shuffled]);
  expect(data.value(1)).toHaveLength(100);
  expect(data.value(1)).not.toEqual(data.value(2));
});

test("every work does as many operations as it says", async () => {
  const data = new StorageData(5000, 10);
  const engine = new MapEngine();
  const counts: number[] = [];
  for (const work of TIMED_WORKS) counts.push(await runWork(work, engine, data));
  expect(counts).toEqual([5000, 5000, 5000, 1000, 1000, 100, 5000, 50, 100]);
  expect(Object.fromEntries(engine.calls)).toEqual({
    write: 150,
    get: 2000,
    seek: 100,
    putSync: 150,
  });
  expect(engine.inFlightMax).toBe(64);
});

test("an engine that loses an entry is found out", async () => {
  const data = new StorageData(5000, 10);
  const engine = new MapEngine();
  await runWork("fill-random", engine, data);
  engine.lost = data.key(data.shuffled[7]!).toString();
  await expect(runWork("get-recent", engine, data)).rejects.toThrow("a get found something else");
  engine.lost = data.key(data.asked[7]!).toString();
  await expect(runWork("get", engine, data)).rejects.toThrow("a get found something else");
  await expect(runWork("scan", engine, data)).rejects.toThrow("a scan found 4999 entries");
});

test("a steady load comes whether or not the engine keeps up, and each write counts", async () => {
  const data = new StorageData(5000, 10);
  const engine = new MapEngine();
  const load = { batchesPerSecond: 100, putsPerSecond: 200, seconds: 1 };
  // Held up for a tenth of a second: the writes due meanwhile come late, and say so.
  setTimeout(() => {
    const endMs = performance.now() + 100;
    while (performance.now() < endMs);
  }, 500);
  const { operations, latencies } = await runSteady(engine, data, load);
  expect(Object.fromEntries(engine.calls)).toEqual({ write: 100, putSync: 200 });
  expect(operations).toBe(10_200);
  expect(latencies.maxMs).toBeGreaterThan(80);
  expect(latencies.p99Ms).toBeGreaterThan(60);
  expect(latencies.medianMs).toBeLessThan(latencies.p99Ms);
});

test("settings: defaults, choices, refusals", () => {
  expect(parseStorageSettings([])).toMatchObject({ entries: 1_000_000, valueBytes: [100, 1000] });
  const some = parseStorageSettings(["--work", "scan,get", "--engines", "ours", "--json"]);
  expect(some).toMatchObject({ works: ["get", "scan"], engines: ["ours"], json: true });
  expect(parseStorageSettings(["--help"])).toBe("help");
  expect(() => parseStorageSettings(["--work", "sing"])).toThrow("--work: some of");
  expect(() => parseStorageSettings(["--entries", "12x"])).toThrow("--entries: a whole number");
});

test("a small run ends with its rows as JSON, and leaves nothing behind", () => {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-storage-bench-"));
  try {
    const args = [
      "storage",
      "--entries",
      "1000",
      "--value-bytes",
      "20",
      "--engines",
      "ours",
      "--seconds",
      "1",
    ];
    const command = ["dist/scripts/bench/main.js", ...args, "--data", directory, "--json"];
    const output = execFileSync(process.execPath, command, { encoding: "utf8" });
    const { rows } = JSON.parse(output.trim().split("\n").at(-1)!);
    expect(rows.map(({ work }: { work: string }) => work)).toEqual([...WORKS, "reopen"]);
    for (const { ours, valueBytes } of rows) {
      expect(valueBytes).toBe(20);
      expect(ours.microsPerOp).toBeGreaterThan(0);
      expect(ours.cpuMicrosPerOp).toBeGreaterThan(0);
    }
    const steady = rows.filter(({ ours }: { ours: { latencies?: object } }) => ours.latencies);
    expect(steady.map(({ work }: { work: string }) => work)).toEqual(["steady", "steady-sync"]);
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
