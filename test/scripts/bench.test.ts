/** The parts of the benchmark whose mistakes would look like results. */
import { describe, expect, test } from "vitest";
import { putMessage, rangeMessage } from "../../scripts/bench/etcd-load.js";
import { Histogram } from "../../scripts/bench/histogram.js";
import { LoadData, preload, runLoad } from "../../scripts/bench/load.js";
import type { Done, LoadTarget } from "../../scripts/bench/load.js";
import { median, ratioOf, sideOf } from "../../scripts/bench/report.js";
import type { Round } from "../../scripts/bench/report.js";
import { connectionsFor, parseSettings } from "../../scripts/bench/settings.js";
import type { Settings } from "../../scripts/bench/settings.js";
import { hex, utf8, utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";

describe("histogram", () => {
  test("percentiles are within 1.6 % of the sorted truth", () => {
    const prng = new Prng(7);
    const histogram = new Histogram();
    const all: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      const milliseconds = 10 ** (prng.fraction() * 5 - 1);
      all.push(milliseconds);
      histogram.record(milliseconds);
    }
    all.sort((a, b) => a - b);
    for (const fraction of [0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
      const truth = all[Math.ceil(fraction * all.length) - 1]!;
      expect(Math.abs(histogram.percentileMs(fraction) / truth - 1)).toBeLessThan(0.016);
    }
    expect(histogram.total).toBe(20_000);
  });

  test("the edges: nothing, zero, the ends of steps, more than it can hold", () => {
    const histogram = new Histogram();
    expect(histogram.percentileMs(0.5)).toBe(0);
    histogram.record(0);
    expect(histogram.percentileMs(1)).toBe(0);
    for (const micros of [63, 64, 65, 127, 128, 255, 256, 2 ** 20 - 1, 2 ** 20]) {
      const one = new Histogram();
      one.record(micros / 1000);
      expect(Math.abs((one.percentileMs(1) * 1000) / micros - 1)).toBeLessThan(0.016);
    }
    histogram.record(1e12);
    expect(histogram.percentileMs(1)).toBeGreaterThan(4_000_000);
  });
});

test("etcd's messages, byte by byte", () => {
  expect(hex(putMessage(utf8("k"), utf8("vv")))).toBe("00" + "00000007" + "0a016b" + "12027676");
  expect(hex(rangeMessage(utf8("k"), false))).toBe("00" + "00000003" + "0a016b");
  expect(hex(rangeMessage(utf8("k"), true))).toBe("00" + "00000005" + "0a016b" + "3801");
  const long = putMessage(utf8("k"), new Uint8Array(300));
  expect(hex(long.subarray(0, 11))).toBe("00" + "00000132" + "0a016b" + "12ac02");
  expect(long.length).toBe(5 + 3 + 3 + 300);
});

/** Answers in a later turn; fails as told; remembers what it holds. */
class MemoryTarget implements LoadTarget {
  readonly held = new Map<string, Uint8Array>();
  failing = false;
  inFlight = 0;
  inFlightMax = 0;
  puts = 0;
  gets = 0;

  put(_: number, key: Uint8Array, value: Uint8Array, done: Done): void {
    this.puts++;
    this.held.set(utf8Text(key), value);
    this.#answer(done, undefined);
  }

  get(_: number, key: Uint8Array, done: Done): void {
    this.gets++;
    this.#answer(done, this.held.has(utf8Text(key)) ? undefined : "absent");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #answer(done: Done, error: string | undefined): void {
    this.inFlightMax = Math.max(this.inFlightMax, ++this.inFlight);
    setImmediate(() => {
      this.inFlight--;
      done(this.failing ? "down" : error);
    });
  }
}

describe("load", () => {
  const data = new LoadData(50, 256, 1);

  test("keys and values are of the sizes that are reported", () => {
    expect(data.keys.map((key) => key.length)).toEqual(data.keys.map(() => 12));
    expect(data.value().length).toBe(256);
  });

  test("preloading puts every key; a failure is thrown", async () => {
    const target = new MemoryTarget();
    await preload(target, data, 8);
    expect(target.held.size).toBe(50);
    expect(target.inFlightMax).toBe(8);
    target.failing = true;
    await expect(preload(target, data, 8)).rejects.toThrow("down");
  });

  test("as many operations in flight as clients, all counted", async () => {
    const target = new MemoryTarget();
    await preload(target, data);
    target.puts = 0;
    target.inFlightMax = 0;
    const result = await runLoad(target, { work: "mixed", clients: 5, seconds: 0.1, data });
    expect(target.inFlightMax).toBe(5);
    expect(result.operations).toBe(target.puts + target.gets);
    expect(result.latencies.total).toBe(result.operations);
    expect(result.errors).toBe(0);
    expect(result.elapsedMs).toBeGreaterThanOrEqual(100);
    expect(target.puts / result.operations).toBeGreaterThan(0.4);
    expect(target.puts / result.operations).toBeLessThan(0.6);
  });

  test("errors are counted, not measured, and slow the clients down", async () => {
    const target = new MemoryTarget();
    target.failing = true;
    const result = await runLoad(target, { work: "get", clients: 2, seconds: 0.1, data });
    expect(result.operations).toBe(0);
    expect(result.firstError).toBe("down");
    expect(result.errors).toBe(target.gets);
    // A client waits 10 ms after an error; the end of the time may be noticed late.
    expect(result.errors).toBeLessThanOrEqual(2 * (result.elapsedMs / 10 + 2));
  });
});

describe("settings", () => {
  const parse = (...args: readonly string[]): Settings => parseSettings(args) as Settings;

  test("the defaults are the documented ones", () => {
    expect(parse()).toMatchObject({
      works: ["put", "get", "mixed"],
      clients: [1, 64, 1000],
      seconds: 10,
      rounds: 2,
      valueBytes: 256,
      keys: 100_000,
      compareEtcd: false,
      ours: true,
      json: false,
    });
    expect(parse("--compare", "etcd", "--json")).toMatchObject({ compareEtcd: true, json: true });
    expect(parse("--only-etcd")).toMatchObject({ compareEtcd: true, ours: false });
    expect(parseSettings(["--help"])).toBe("help");
  });

  test.each([
    [["--work", "put,delete"], "--work"],
    [["--clients", "0"], "--clients"],
    [["--clients", "1,,2"], "--clients"],
    [["--seconds", "ten"], "--seconds"],
    [["--compare", "consul"], "--compare"],
    [["--level", "eventual"], "--level"],
    [["--unknown"], "unknown"],
  ])("%s is refused", (args, message) => {
    expect(() => parseSettings(args)).toThrow(message);
  });

  test("connections by the number of clients", () => {
    const counts = [1, 10, 64, 65, 1000].map((clients) => connectionsFor(parse(), clients));
    expect(counts).toEqual([1, 10, 16, 65, 100]);
    expect(connectionsFor(parse("--connections", "3"), 64)).toBe(3);
    expect(connectionsFor(parse("--connections", "3"), 1)).toBe(1);
  });
});

describe("report", () => {
  function round(operations: number, elapsedMs: number, errors = 0): Round {
    const latencies = new Histogram();
    latencies.record(1);
    const result = { operations, errors, firstError: undefined, elapsedMs, latencies };
    return {
      result,
      serverCpuMicros: [operations * 8, operations * 12],
      clientCpuMicros: operations * 5,
    };
  }

  test("medians over rounds, errors summed", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1])).toBe(2.5);
    expect(median([])).toBe(0);
    const side = sideOf([round(1000, 1000, 1), round(3000, 1000, 2)]);
    expect(side).toMatchObject({
      opsPerSecond: 2000,
      cpuMicrosPerOp: 20,
      busiestMicrosPerOp: 12,
      clientCpuMicrosPerOp: 5,
      errors: 3,
    });
  });

  test("a ratio needs both sides", () => {
    expect(ratioOf(sideOf([round(3000, 1000)]), sideOf([round(1000, 1000)]))).toBe(3);
    expect(ratioOf(sideOf([round(3000, 1000)]), sideOf([]))).toBeUndefined();
  });
});
