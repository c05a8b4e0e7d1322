/** What a start reads of a log after an orderly close or a crash, and what it may not miss. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import type { DiskFile, OpenOptions } from "../../src/env/disk.js";
import { readStatement } from "../../src/log/closing-statement.js";
import type { RecoveredShard, SharedLogOptions } from "../../src/log/log-types.js";
import { LogRecovery } from "../../src/log/recovery.js";
import { segmentName, storeTagOf } from "../../src/log/segment-format.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ForwardingDisk, ForwardingFile } from "../support/forwarding-disk.js";
import { commitNow, contents, DIRECTORY, entries, openLog, outline, settle } from "./support.js";
import { STORE_ID } from "./support.js";
import type { Opened } from "./support.js";

const BLOCK = 4096;
const SEGMENT = 64 * 1024;
const STATEMENT = `${DIRECTORY}/closed`;

/** Adds up what is read. */
class ReadsCounted extends ForwardingDisk {
  readonly byPath: Map<string, number> = new Map();

  get bytes(): number {
    return [...this.byPath.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  override open(path: string, options: OpenOptions): DiskFile {
    return new ReadsCountedFile(this.inner.open(path, options), this);
  }
}

class ReadsCountedFile extends ForwardingFile {
  readonly #disk: ReadsCounted;

  constructor(inner: DiskFile, disk: ReadsCounted) {
    super(inner);
    this.#disk = disk;
  }

  override readSync(target: Uint8Array, offset: number, length: number, position: number): number {
    const count = super.readSync(target, offset, length, position);
    this.#disk.byPath.set(this.path, (this.#disk.byPath.get(this.path) ?? 0) + count);
    return count;
  }
}

function optionsOf(run: number): SharedLogOptions {
  return { segmentSizeBytes: SEGMENT, firstSegmentSizeBytes: SEGMENT, run };
}

function start(run: number, disk?: MemoryDisk): Opened {
  const opened = openLog(disk, optionsOf(run));
  settle(opened);
  return opened;
}

/** Closes in order; the disk as the next start finds it, unless the power goes meanwhile. */
function close(opened: Opened): MemoryDisk {
  void opened.log.close();
  settle(opened);
  return opened.disk.crash(new Prng(1), "keepAll");
}

/** Appends so much that it takes some segments. */
function appendMuch(opened: Opened, shard: number, from: number, count = 40): void {
  for (let index = from; index < from + count; index++) {
    opened.log.append(shard, 1, entries(shard, index, 1, 1, 3 * BLOCK));
    commitNow(opened);
    settle(opened);
  }
}

function numbersOf(disk: MemoryDisk): readonly string[] {
  return disk.list(DIRECTORY).filter((name) => name.endsWith(".log"));
}

function bytesRead(disk: MemoryDisk, run: number | undefined): number {
  const counted = new ReadsCounted(disk);
  new LogRecovery(counted, DIRECTORY, STORE_ID, { run }).scan();
  return counted.bytes;
}

function describeAll(recovered: ReadonlyMap<number, RecoveredShard>): string {
  const shards = [...recovered].map(([shardId, shard]) => {
    const { replicaId, hardState, baseIndex, baseTerm, health } = shard;
    const found = [...contents(shard)].map(([index, content]) => `${index}=${content.slice(0, 9)}`);
    return { shardId, replicaId, hardState, baseIndex, baseTerm, health, found };
  });
  return JSON.stringify(shards.sort((a, b) => a.shardId - b.shardId));
}

describe("a start reads", () => {
  test("after an orderly close no more than what was not trimmed", () => {
    const first = start(1);
    appendMuch(first, 1, 1);
    first.log.trim(1, 40);
    first.log.append(2, 1, entries(2, 1, 1, 1));
    commitNow(first);
    const disk = close(first);
    expect(numbersOf(disk).length).toBeGreaterThan(3);
    expect(bytesRead(disk, undefined)).toBeGreaterThan(3 * SEGMENT);
    expect(bytesRead(disk, 2)).toBeLessThan(1.5 * SEGMENT);
    const second = start(2, disk);
    expect(outline(second.recovered.get(2))).toBe("1-1@1");
    expect(second.recovered.get(1)!.baseIndex).toBe(40);
  });

  test("after a crash no segment before a checkpoint by which all of it was trimmed", () => {
    const first = start(1);
    appendMuch(first, 1, 1);
    // Two of the segments that this lets go of are kept, to be used again.
    first.log.trim(1, 40);
    commitNow(first);
    settle(first);
    first.log.append(2, 1, entries(2, 1, 13, 1, BLOCK));
    commitNow(first);
    const disk = first.disk.crash(new Prng(1), "keepAll");
    const counted = new ReadsCounted(disk);
    const recovery = new LogRecovery(counted, DIRECTORY, STORE_ID);
    recovery.scan();
    const unread = recovery.used.filter(({ path }) => !counted.byPath.has(path));
    expect([unread.length, recovery.used.length]).toEqual([1, 3]);
    expect(outline(start(2, disk).recovered.get(2))).toBe("1-13@1");
  });

  test("segments that nobody needs without minding what is damaged there", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 14);
    first.log.trim(1, 14);
    commitNow(first);
    appendMuch(first, 1, 15, 4);
    const disk = close(first);
    const [oldest] = numbersOf(disk);
    disk.setContent(`${DIRECTORY}/${oldest!}`, new Uint8Array(SEGMENT));
    const second = start(2, disk);
    expect(second.shardsMayBeMissing).toBe(false);
    expect(second.recovered.get(1)!.health.kind).toBe("intact");
    expect(outline(second.recovered.get(1))).toBe("15-18@1");
  });
});

describe("a start after an orderly close", () => {
  test("goes on in the last segment, and leaves nothing behind where nothing is written", () => {
    let disk = close(start(1));
    const before = numbersOf(disk);
    for (let run = 2; run < 30; run++) disk = close(start(run, disk));
    expect(numbersOf(disk)).toEqual(before);
  });

  test("takes over what the run before had prepared, and has all that it wrote itself", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 1);
    const disk = close(first);
    const before = numbersOf(disk);
    const second = start(2, disk);
    expect([second.log.describe(), before.length]).toEqual([first.log.describe(), 2]);
    appendMuch(second, 1, 2, 13);
    const third = start(3, second.disk.crash(new Prng(1), "loseAll"));
    expect(outline(third.recovered.get(1))).toBe("1-14@1");
  });

  test("leaves a segment in which a bit had flipped alone", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 2);
    const disk = close(first);
    const path = `${DIRECTORY}/${numbersOf(disk)[0]!}`;
    disk.flipBit(path, 8 * (2 * BLOCK + 2048));
    const second = start(2, disk);
    expect([second.mendedBatches, second.log.isCondemned]).toEqual([1, true]);
    expect(outline(second.recovered.get(1))).toBe("1-2@1");
  });

  test("begins a segment where the last one is nearly full", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 3);
    const second = start(2, close(first));
    expect(outline(second.recovered.get(1))).toBe("1-3@1");
    expect(second.log.describe()).toContain("segment 2");
  });
});

describe("the statement of a close", () => {
  test("is void for whoever comes after the next start", () => {
    const closed = close(start(1));
    const second = start(2, closed);
    appendMuch(second, 1, 1);
    const crashed = second.disk.crash(new Prng(1), "loseAll");
    expect(crashed.exists(STATEMENT)).toBe(true);
    expect(outline(start(3, crashed).recovered.get(1))).toBe("1-40@1");
  });

  test("is void with any bit flipped or any byte cut off", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 8);
    const disk = close(first);
    const size = disk.content(STATEMENT).length;
    for (let bit = 0; bit < size * 8; bit += 5) {
      const copy = disk.crash(new Prng(1), "keepAll");
      copy.flipBit(STATEMENT, bit);
      expect(outline(start(2, copy).recovered.get(1))).toBe("1-8@1");
    }
    for (let length = 0; length < size; length++) {
      const copy = disk.crash(new Prng(1), "keepAll");
      copy.setContent(STATEMENT, copy.content(STATEMENT).slice(0, length));
      expect(outline(start(2, copy).recovered.get(1))).toBe("1-8@1");
    }
  });

  test("is not of another store", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 8);
    const statement = close(start(1)).content(STATEMENT);
    const disk = first.disk.crash(new Prng(1), "keepAll");
    disk.setContent(STATEMENT, statement);
    const recovery = new LogRecovery(disk, DIRECTORY, "store-2", { run: 2 });
    expect(() => recovery.scan()).toThrow("belongs to store");
  });

  test("does not keep a start from what is needed after all", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 14);
    first.log.saveHardState(1, 1, { term: 1, vote: 1, commitIndex: 14 });
    appendMuch(first, 2, 1, 4);
    first.log.trim(1, 4);
    const disk = close(first);
    const tag = { storeTag: storeTagOf(STORE_ID), run: 1 };
    const { segment, end, neededFrom } = readStatement(disk, DIRECTORY, tag)!;
    expect(neededFrom).toBeGreaterThan(1);
    // The last batch is the trim: as if it had not been, the log has all of its entries.
    const path = `${DIRECTORY}/${segmentName(segment)}`;
    const content = disk.content(path);
    disk.setContent(path, content.fill(0, end - BLOCK, end));
    const { recovered } = start(2, disk);
    expect(outline(recovered.get(1))).toBe("1-14@1");
    expect(recovered.get(1)!.health).toMatchObject({ kind: "corrupt", tailUnknown: true });
  });

  test("tells of what is gone from the end of the log", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 3);
    const disk = close(first);
    const path = `${DIRECTORY}/0000000001.log`;
    disk.setContent(path, disk.content(path).fill(0, 6 * BLOCK));
    expect(start(2, disk).recovered.get(1)!.health.kind).toBe("corrupt");
  });

  test("tells of the last segment where that is gone, and a prepared one is left", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 14);
    const disk = close(first);
    const { segment } = readStatement(disk, DIRECTORY, {
      storeTag: storeTagOf(STORE_ID),
      run: 1,
    })!;
    disk.remove(`${DIRECTORY}/${segmentName(segment)}`);
    const { recovered } = start(2, disk);
    expect(recovered.get(1)!.health).toMatchObject({ kind: "corrupt", tailUnknown: true });
  });

  test("tells of a log of which nothing is left, at every start", () => {
    const first = start(1);
    appendMuch(first, 1, 1, 3);
    let disk = close(first);
    for (const name of disk.list(DIRECTORY)) {
      if (name.endsWith(".log")) disk.remove(`${DIRECTORY}/${name}`);
    }
    for (let run = 2; run <= 4; run++) {
      const opened = start(run, disk);
      expect([run, opened.shardsMayBeMissing]).toEqual([run, true]);
      disk = close(opened);
    }
  });
});

test("a start after a crash tells of a segment that a prepared one must have followed", () => {
  const first = start(1);
  appendMuch(first, 1, 1, 14);
  settle(first);
  const disk = first.disk.crash(new Prng(1), "keepAll");
  const [last, prepared] = disk.list(DIRECTORY).slice(-2);
  const before = scanned(disk);
  expect(before.prepared.map(({ path }) => path)).toEqual([`${DIRECTORY}/${prepared}`]);
  disk.remove(`${DIRECTORY}/${last}`);
  const { recovered } = start(2, disk);
  expect(recovered.get(1)!.health).toMatchObject({ kind: "corrupt", tailUnknown: true });
});

function scanned(disk: MemoryDisk): LogRecovery {
  const recovery = new LogRecovery(disk, DIRECTORY, STORE_ID, { run: 2 });
  recovery.scan();
  return recovery;
}

/** Random changes of three shards; some make others of the log's segments needless. */
function change(opened: Opened, prng: Prng, ends: Map<number, number>, term: number): void {
  const shard = prng.between(1, 3);
  const end = ends.get(shard) ?? 0;
  const draw = prng.between(0, 9);
  if (draw <= 5) {
    opened.log.append(shard, 1, entries(shard, end + 1, 2, term, prng.between(100, 9000)));
    ends.set(shard, end + 2);
  } else if (draw <= 7) {
    opened.log.trim(shard, prng.between(Math.max(0, end - 3), end));
  } else if (draw === 8) {
    opened.log.saveHardState(shard, 1, { term, vote: 1, commitIndex: 0 });
  } else {
    ends.set(shard, end + 7);
    opened.log.reset(shard, 1, end + 7, term);
  }
  if (prng.chance(0.6)) commitNow(opened);
  if (prng.chance(0.5)) settle(opened);
}

test("with and without it the same is recovered, whatever was written and however it ended", () => {
  for (let seed = 0; seed < 30; seed++) {
    const prng = new Prng(seed);
    const ends = new Map<number, number>();
    let disk = new MemoryDisk({ completion: "manual" });
    for (let run = 1; run <= 6; run++) {
      const plain = openLog(disk.crash(new Prng(1), "keepAll"), {
        ...optionsOf(run),
        run: undefined,
      });
      const opened = openLog(disk, optionsOf(run));
      expect(describeAll(opened.recovered)).toBe(describeAll(plain.recovered));
      for (const [shardId, shard] of opened.recovered) {
        ends.set(shardId, Math.max(shard.baseIndex, ...contents(shard).keys()));
      }
      for (let i = 0; i < 40; i++) change(opened, prng, ends, run);
      const isOrderly = prng.chance(0.7);
      if (isOrderly) void opened.log.close();
      if (isOrderly) settle(opened);
      disk = opened.disk.crash(prng.split(), prng.chance(0.5) ? "keepAll" : "mixed");
    }
  }
});
