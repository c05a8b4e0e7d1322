/** How a start reads segments: what of them, how often, and what becomes of many small runs. */
import { expect, test } from "vitest";
import { concatBytes, equalBytes } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import type { Disk, DiskFile, OpenOptions } from "../../src/env/disk.js";
import { LogRecovery } from "../../src/log/recovery.js";
import { SegmentLoader } from "../../src/log/segment-loader.js";
import { storeTagOf } from "../../src/log/segment-format.js";
import type { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ForwardingDisk, ForwardingFile } from "../support/forwarding-disk.js";
import {
  commitNow,
  DIRECTORY,
  entries,
  openLog,
  outline,
  settle,
  SMALL,
  STORE_ID,
} from "./support.js";
import type { Opened } from "./support.js";

const MIB = 1024 * 1024;
const BLOCK = 4096;

/** Notes how much each read of a segment asked for. */
class ReadsNoted extends ForwardingDisk {
  readonly reads: number[] = [];

  override open(path: string, options: OpenOptions): DiskFile {
    return new ReadsNotedFile(this.inner.open(path, options), this.reads);
  }
}

class ReadsNotedFile extends ForwardingFile {
  readonly #reads: number[];

  constructor(inner: DiskFile, reads: number[]) {
    super(inner);
    this.#reads = reads;
  }

  override readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    this.#reads.push(length);
    return super.readSync(target, offset, length, position);
  }
}

function crashed(opened: Opened): MemoryDisk {
  return opened.disk.crash(new Prng(1), "loseAll");
}

function segmentOf(disk: Disk, number: number): Parameters<SegmentLoader["load"]>[0] {
  const path = `${DIRECTORY}/${String(number).padStart(10, "0")}.log`;
  return { number, path, sizeBytes: disk.open(path, { readOnly: true }).sizeBytes() };
}

test("what is not used of a segment is looked at once, in pieces", () => {
  const large = { segmentSizeBytes: 2 * MIB, firstSegmentSizeBytes: 2 * MIB };
  const opened = openLog(undefined, large);
  settle(opened);
  opened.log.append(1, 1, entries(1, 1, 3, 1));
  commitNow(opened);
  const left = crashed(opened);
  left.setContent(`${DIRECTORY}/0000000002.log`, new Uint8Array(2 * MIB));
  const disk = new ReadsNoted(left);
  const recovery = new LogRecovery(disk, DIRECTORY, STORE_ID);
  recovery.scan();
  expect([recovery.used.length, recovery.prepared.length]).toEqual([1, 1]);
  expect(Math.max(...disk.reads)).toBeLessThanOrEqual(256 * 1024);
  const total = disk.reads.reduce((sum, length) => sum + length, 0);
  expect(total).toBeLessThanOrEqual(2 * 2 * MIB + 8 * BLOCK);
});

test("many small runs, of shards in turns, come back as few, over all segments", () => {
  const opened = openLog();
  const runs = new Map<number, Uint8Array[]>();
  for (let index = 1; index <= 60; index++) {
    for (const shard of [1, 2]) {
      const run = entries(shard, index, 1, 1, 500);
      opened.log.append(shard, 1, run);
      runs.set(shard, [...(runs.get(shard) ?? []), run.bytes]);
    }
    commitNow(opened);
    settle(opened);
  }
  const { recovered, disk } = openLog(opened.disk.crash(new Prng(1), "loseAll"));
  expect(disk.list(DIRECTORY).length).toBeGreaterThan(4);
  for (const [shard, parts] of runs) {
    const found = recovered.get(shard)!;
    expect(outline(found)).toBe("1-60@1");
    expect(found.runs.length).toBeLessThanOrEqual(2);
    const bytes = concatBytes(...found.runs.map((run) => run.bytes));
    expect(equalBytes(bytes, concatBytes(...parts))).toBe(true);
  }
});

test("a trace is a header, or a trailer where that has rotted; not what another segment left", () => {
  const opened = openLog();
  settle(opened);
  opened.log.append(1, 1, entries(1, 1, 1, 1, 3 * BLOCK));
  commitNow(opened);
  const end = Number(/at (\d+)/.exec(opened.log.describe())?.[1]);
  const start = end - 4 * BLOCK;
  const place = { storeTag: storeTagOf(STORE_ID), number: 1 };
  const traceEnd = (changed: (bytes: Uint8Array) => void, number = 1): number => {
    const disk = opened.disk.crash(new Prng(1), "loseAll");
    const segment = segmentOf(disk, 1);
    const bytes = disk.content(segment.path);
    changed(bytes);
    disk.setContent(segment.path, bytes);
    return new SegmentLoader(disk).traceEnd(segment, { ...place, number });
  };
  expect(traceEnd(() => undefined)).toBe(end);
  expect(traceEnd((bytes) => bytes.fill(0, start, start + BLOCK))).toBe(end);
  expect(traceEnd((bytes) => bytes.fill(0, end - BLOCK, end))).toBe(end);
  expect(traceEnd((bytes) => bytes.fill(0, start, end))).toBe(start);
  expect(traceEnd(() => undefined, 2)).toBe(BLOCK);
});

test("what is loaded is not read again, nor more than is asked for", () => {
  const opened = openLog(undefined, SMALL);
  settle(opened);
  const disk = new ReadsNoted(opened.disk);
  const loader = new SegmentLoader(disk);
  const segment = segmentOf(disk, 1);
  expect(loader.load(segment, 3 * BLOCK).length).toBe(3 * BLOCK);
  expect(loader.load(segment, 2 * BLOCK).length).toBe(2 * BLOCK);
  expect(disk.reads).toEqual([3 * BLOCK]);
  expect(loader.load(segment, segment.sizeBytes + BLOCK).length).toBe(segment.sizeBytes);
});
