/** Reads of entries for many shards: a few a turn, each once, in the order of the log. */
import { expect, test } from "vitest";
import { lastIndexOf } from "../../src/base/entry-run.js";
import type { EntryRun } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import type { EntryReader } from "../../src/log/entry-reader.js";
import type { EntriesRequest } from "../../src/raft/types.js";
import { EntryReads } from "../../src/shard/entry-reads.js";
import type { Replica } from "../../src/shard/replica.js";

import { commitNow, entries as entriesOf, openLog, settle } from "../log/support.js";

const MIB = 1024 * 1024;

/** Every read loads so many bytes from the disk. */
class FakeEntries {
  loadedBytes = 0;
  readonly shards: number[] = [];
  readonly #bytesEach: number;

  constructor(bytesEach: number) {
    this.#bytesEach = bytesEach;
  }

  /** Shards with high numbers come first in the log. */
  stretchOf(shardId: number): number {
    return 1000 - Math.floor(shardId / 10);
  }

  read(shardId: number): readonly [] {
    this.shards.push(shardId);
    this.loadedBytes += this.#bytesEach;
    return [];
  }
}

function waiting(entries: FakeEntries, count: number, closed: readonly number[] = []): EntryReads {
  const reads = new EntryReads(entries as unknown as EntryReader);
  for (let shardId = 1; shardId <= count; shardId++) {
    const replica = { shardId, closed: closed.includes(shardId), entriesRead: () => undefined };
    const request = { to: 2, firstIndex: 1, lastIndex: 9 };
    reads.add(replica as unknown as Replica, request);
  }
  return reads;
}

/** How many are served in each turn until none is left. */
function turns(reads: EntryReads, entries: FakeEntries): number[] {
  const counts: number[] = [];
  while (reads.isPending) {
    const before = entries.shards.length;
    reads.serve();
    counts.push(entries.shards.length - before);
  }
  return counts;
}

test("of many shards some are served in each turn, by their place in the log", () => {
  const entries = new FakeEntries(0);
  expect(turns(waiting(entries, 100), entries)).toEqual([32, 32, 32, 4]);
  const tens = entries.shards.map((shardId) => Math.floor(shardId / 10));
  expect(tens).toEqual(tens.toSorted((a, b) => b - a));
  expect(new Set(entries.shards).size).toBe(100);
});

test("a turn ends sooner where the disk has to be read", () => {
  const half = new FakeEntries(MIB / 2);
  expect(turns(waiting(half, 5), half)).toEqual([2, 2, 1]);
  const large = new FakeEntries(4 * MIB);
  expect(turns(waiting(large, 2), large)).toEqual([1, 1]);
});

test("who was closed meanwhile is passed over", () => {
  const entries = new FakeEntries(0);
  expect(turns(waiting(entries, 3, [2]), entries)).toEqual([2]);
  expect(entries.shards.toSorted((a, b) => a - b)).toEqual([1, 3]);
});

/** A log in which the entries of many shards lie between each other; how many each shard has. */
function mixedLog(shards: number): { log: ReturnType<typeof openLog>["log"]; counts: number[] } {
  const prng = new Prng(7);
  const sizes = { segmentSizeBytes: 4 * MIB, firstSegmentSizeBytes: 4 * MIB };
  const opened = openLog(undefined, sizes);
  const counts = Array.from({ length: shards }, () => 0);
  for (let batch = 0; opened.log.segmentCount < 4; batch++) {
    for (let i = 0; i < 50; i++) {
      const shardId = prng.between(0, shards - 1);
      opened.log.append(shardId, 1, entriesOf(shardId, ++counts[shardId]!, 1, 1, 300));
    }
    commitNow(opened);
    if (batch % 20 === 0) settle(opened);
  }
  return { log: opened.log, counts };
}

test("many shards that lag by the same stretches read the log about once", () => {
  const { log, counts } = mixedLog(300);
  const reads = new EntryReads(log.entries);
  let got = 0;
  const ask = (shardId: number, firstIndex: number): void => {
    if (firstIndex > counts[shardId]!) return;
    const entriesRead = (_: EntriesRequest, runs: readonly EntryRun[]): void => {
      for (const run of runs) got += run.count;
      expect(runs[0]?.firstIndex).toBe(firstIndex);
      ask(shardId, lastIndexOf(runs.at(-1)!) + 1);
    };
    const replica = { shardId, closed: false, entriesRead };
    const request = { to: 2, firstIndex, lastIndex: counts[shardId]! };
    reads.add(replica as unknown as Replica, request);
  };
  for (let shardId = 0; shardId < counts.length; shardId++) ask(shardId, 1);
  while (reads.isPending) reads.serve();
  expect(got).toBe(counts.reduce((sum, count) => sum + count, 0));
  expect(log.entries.loadedBytes).toBeLessThan(1.3 * log.stats().writtenBytes);
});
