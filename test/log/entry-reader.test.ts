/** Entries read back from the log: from segments full and active, after starts, and damaged. */
import { describe, expect, test } from "vitest";
import { lastIndexOf, sliceRun } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { segmentName } from "../../src/log/segment-format.js";
import { commitNow, contents, DIRECTORY, entries, openLog, settle, SMALL } from "./support.js";
import type { Opened } from "./support.js";

const BLOCK_SIZE_BYTES = 4096;
const SEGMENT_SIZE_BYTES = SMALL.segmentSizeBytes!;

/** Appends to two shards in turn, an entry a batch, so that one segment takes a dozen of each. */
function fill(opened: Opened, from: number, to: number): void {
  for (let index = from; index <= to; index++) {
    for (const shardId of [1, 2]) {
      opened.log.append(shardId, 1, entries(shardId, index, 1, 1, 1000 + (index % 7) * 500));
    }
    commitNow(opened);
    settle(opened);
  }
}

/** All of (from … to) as index → "term:bytes", read by as many calls as it takes. */
function read({ log }: Opened, shardId: number, from: number, to: number): Map<number, string> {
  const found = new Map<number, string>();
  for (let next = from; next <= to;) {
    const runs = log.entries.read(shardId, next, to);
    if (runs.length === 0) break;
    for (const run of runs) {
      expect(run.firstIndex).toBe(next);
      for (; next <= lastIndexOf(run); next++) {
        found.set(next, `${run.term}:${sliceRun(run, next, next).bytes.join()}`);
      }
    }
  }
  return found;
}

function crashed({ disk }: Opened): Opened {
  return openLog(disk.crash(new Prng(1), "loseAll"));
}

/** Both shards, as they are read back, and as a start finds them. */
function readAndHeld(opened: Opened): readonly [unknown, unknown] {
  const found = [1, 2].map((shardId) => read(opened, shardId, 1, 100));
  const { recovered } = crashed(opened);
  return [found, [1, 2].map((shardId) => contents(recovered.get(shardId)!))];
}

describe("entries that nobody keeps in memory", () => {
  test("are read back from full segments and from the active one", () => {
    const opened = openLog();
    fill(opened, 1, 100);
    expect(opened.log.stats().segments).toBeGreaterThan(5);
    const [found, held] = readAndHeld(opened);
    expect(found).toEqual(held);
  });

  test("are read back after crashes, also of what a start has written again", () => {
    let opened = openLog();
    for (let from = 1; from <= 100; from += 20) {
      fill(opened, from, from + 19);
      opened = crashed(opened);
    }
    const [found, held] = readAndHeld(opened);
    expect(found).toEqual(held);
  });

  test("are read back after orderly closes", async () => {
    let opened = openLog(undefined, { ...SMALL, run: 1 });
    for (let run = 1; run <= 5; run++) {
      fill(opened, run * 20 - 19, run * 20);
      const closed = opened.log.close();
      settle(opened);
      await closed;
      opened = openLog(opened.disk, { ...SMALL, run: run + 1 });
    }
    const [found, held] = readAndHeld(opened);
    expect(found).toEqual(held);
  });

  test("come in pieces that end where was asked", () => {
    const opened = openLog();
    opened.log.append(1, 1, entries(1, 1, 10, 1));
    commitNow(opened);
    const runs = opened.log.entries.read(1, 3, 7);
    expect(runs.map((run) => [run.firstIndex, lastIndexOf(run)])).toEqual([[3, 7]]);
    expect(opened.log.entries.read(1, 11, 12)).toEqual([]);
    expect(opened.log.entries.read(2, 1, 1)).toEqual([]);
  });

  test("are those of the newest term where entries were replaced", () => {
    const opened = openLog();
    opened.log.append(1, 1, entries(1, 1, 5, 1));
    commitNow(opened);
    opened.log.append(1, 1, entries(1, 3, 1, 2));
    commitNow(opened);
    opened.log.append(1, 1, entries(1, 4, 2, 3));
    commitNow(opened);
    const terms = [...read(opened, 1, 1, 5).values()].map((text) => text.split(":")[0]);
    expect(terms).toEqual(["1", "1", "2", "3", "3"]);
  });

  test("are those of the replica that is there now", () => {
    const opened = openLog();
    opened.log.append(1, 1, entries(1, 1, 5, 1));
    commitNow(opened);
    opened.log.append(1, 2, entries(1, 1, 2, 1, 30));
    commitNow(opened);
    expect(read(opened, 1, 1, 5)).toEqual(contents(crashed(opened).recovered.get(1)!));
  });

  test("may be longer than what is read at once", () => {
    const opened = openLog(undefined, { segmentSizeBytes: 4 * 1024 * 1024 });
    opened.log.append(1, 1, entries(1, 1, 3, 1, 300_000));
    commitNow(opened);
    expect([...read(opened, 1, 1, 3).keys()]).toEqual([1, 2, 3]);
  });

  test("are not given out where they or the index of their segment are damaged", () => {
    const opened = openLog();
    fill(opened, 1, 100);
    const sealed = opened.log.sealedSegments();
    const path = (number: number): string => `${DIRECTORY}/${segmentName(number)}`;
    // In the first segment the batch after the checkpoint's, in the second the index.
    opened.disk.flipBit(path(sealed[0]!.number), (3 * BLOCK_SIZE_BYTES + 500) * 8);
    opened.disk.flipBit(path(sealed[1]!.number), (sealed[1]!.endOffset + 120) * 8);
    const readable = read(opened, 1, 1, 100);
    expect(readable.size).toBeLessThan(5);
    const missing = Array.from({ length: 100 }, (_, i) => i + 1).filter(
      (index) => opened.log.entries.read(1, index, index).length === 0,
    );
    expect(missing.length).toBeGreaterThan(5);
    expect(missing.length).toBeLessThan(30);
  });

  test("are found by an index in memory where a full disk left no room for it", () => {
    const quotaBytes = 3 * SEGMENT_SIZE_BYTES;
    const disk = new MemoryDisk({ completion: "manual", quotaBytes });
    const opened = openLog(disk, { ...SMALL, reservedBytes: 8192 });
    let index = 0;
    while (opened.log.hasRoom(5000)) {
      opened.log.append(1, 1, entries(1, ++index, 1, 1, 3000));
      commitNow(opened);
      settle(opened);
    }
    expect(index).toBeGreaterThan(20);
    expect([...read(opened, 1, 1, index).keys()]).toHaveLength(index);
  });

  test("can be read while the index of their segment is on its way to the disk", () => {
    const opened = openLog();
    const missing: number[] = [];
    for (let index = 1; index <= 60; index++) {
      opened.log.append(1, 1, entries(1, index, 1, 1, 3000));
      opened.log.commit(() => undefined);
      while (opened.disk.pendingWrites > 0) {
        if (index > 1 && read(opened, 1, index - 1, index - 1).size === 0) missing.push(index - 1);
        opened.disk.pump(1);
      }
    }
    expect(missing).toEqual([]);
  });

  test("can be read after a start although the index was damaged before, and nothing is lost", () => {
    const opened = openLog();
    fill(opened, 1, 100);
    for (const { number, endOffset } of opened.log.sealedSegments()) {
      const path = `${DIRECTORY}/${segmentName(number)}`;
      // Both headers of the index, and its rows.
      for (const at of [5, 110, 300, BLOCK_SIZE_BYTES - 20]) {
        opened.disk.flipBit(path, (endOffset + at) * 8);
      }
    }
    const restarted = crashed(opened);
    expect(restarted.shardsMayBeMissing).toBe(false);
    expect(restarted.recovered.get(1)!.health).toEqual({ kind: "intact" });
    expect(read(restarted, 1, 1, 100).size).toBe(100);
  });

  test("are missing where the disk does not give them, and nothing else fails", () => {
    const opened = openLog();
    fill(opened, 1, 100);
    for (const { path } of opened.log.sealedSegments()) opened.disk.remove(path);
    const { entries: reader } = opened.log;
    expect([reader.stretchOf(1, 1), reader.stretchOf(9, 1)]).toEqual([0, 0]);
    expect(reader.read(1, 1, 100)).toEqual([]);
    expect(reader.stretchOf(1, 100)).toBeGreaterThan(0);
    expect(reader.read(1, 100, 100)).toHaveLength(1);
  });
});
