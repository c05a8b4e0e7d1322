/** What of the log is kept in memory, and what a follower is sent that lacks more. */
import { describe, expect, test } from "vitest";
import { boundEntries } from "../../src/shard/entry-cache.js";
import { DIRECTORY } from "../store/store-bench.js";
import { HostBench, put } from "./host-bench.js";
import type { BenchNode } from "./host-bench.js";

class FakeLog {
  cachedBytes: number;
  readonly #unneededBytes: number;

  constructor(cachedBytes: number, unneededBytes: number) {
    this.cachedBytes = cachedBytes;
    this.#unneededBytes = unneededBytes;
  }

  evictUnneeded(): void {
    this.cachedBytes -= this.#unneededBytes;
  }

  evictEntries(sizeBytes: number): void {
    this.cachedBytes -= sizeBytes;
  }
}

function bounded(sizes: readonly number[], bytesMax: number, unneeded = 0): number[] {
  const logs = sizes.map((size) => new FakeLog(size, unneeded));
  boundEntries(logs, bytesMax);
  return logs.map(({ cachedBytes }) => cachedBytes);
}

describe("the memory for entries", () => {
  test("is left alone while it suffices", () => {
    expect(bounded([5, 90, 5], 100)).toEqual([5, 90, 5]);
  });

  test("is taken from what nobody is going to ask for, first", () => {
    expect(bounded([10, 50, 50], 100, 10)).toEqual([0, 40, 40]);
    expect(bounded([10, 90, 50], 100, 10)).toEqual([0, 60, 40]);
    expect(bounded([10, 50, 40], 100, 10)).toEqual([10, 50, 40]);
  });

  test("is taken from those that have most, down to the same size", () => {
    expect(bounded([10, 500, 70, 20], 100)).toEqual([10, 35, 35, 20]);
    expect(bounded([10, 500], 0)).toEqual([0, 0]);
  });
});

/** A leader that has written much while a follower was cut off, and has let go of what it could. */
async function lagging(entryCacheBytes: number): Promise<HostBench> {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0, entryCacheBytes });
  bench.cutOff(3);
  for (let i = 0; i < 300; i++) {
    const answer = put(bench.node(1), `key ${i}`, "v".repeat(1000));
    await bench.until(() => answer() === "ok");
  }
  bench.pass(1100);
  return bench;
}

async function caughtUp(bench: HostBench): Promise<BenchNode> {
  bench.reconnect(3);
  const last = bench.node(3);
  const { raft } = bench.node(1).replica;
  await bench.until(() => last.replica.raft.appliedIndex === raft.appliedIndex);
  expect(last.replica.machine.revision).toBe(bench.node(1).replica.machine.revision);
  return last;
}

describe("a follower that lags", () => {
  test("is sent entries from the leader's log where they are not in memory", async () => {
    const bench = await lagging(0);
    for (const id of [1, 2]) expect(bench.node(id).replica.raft.cachedBytes).toBe(0);
    const { replica } = await caughtUp(bench);
    expect(replica.raft.firstIndex).toBe(1);
    expect(bench.node(1).store.log.segmentCount).toBeGreaterThan(5);
  });

  test("is sent them from memory as far as that goes", async () => {
    const bench = await lagging(100_000);
    const { cachedBytes } = bench.node(1).replica.raft;
    expect(cachedBytes).toBeGreaterThan(90_000);
    expect(cachedBytes).toBeLessThan(101_000);
    expect(bench.node(2).replica.raft.cachedBytes).toBeLessThan(101_000);
    const { replica } = await caughtUp(bench);
    expect(replica.raft.firstIndex).toBe(1);
  });

  test("takes a snapshot where they can be read no more", async () => {
    const bench = await lagging(0);
    const { disk } = bench.node(1);
    const log = `${DIRECTORY}/log`;
    for (const name of disk.list(log)) {
      for (let at = 5000; at < 60_000; at += 1000) disk.flipBit(`${log}/${name}`, at * 8);
    }
    const { replica } = await caughtUp(bench);
    expect(replica.raft.firstIndex).toBeGreaterThan(100);
  });
});
