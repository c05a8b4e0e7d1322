/** Segments come and go; the disk fills up; writes fail. */
import { describe, expect, test } from "vitest";
import { lastIndexOf } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import type { DiskError } from "../../src/env/disk.js";
import type { SharedLogOptions } from "../../src/log/log-types.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { commitNow, DIRECTORY, entries, openLog, outline, settle, SMALL } from "./support.js";
import type { Opened } from "./support.js";

const MIB = 1024 * 1024;

/** Appends and commits entries of 8 KiB to a shard until it has `last`. */
function fill(opened: Opened, shardId: number, from: number, last: number): void {
  for (let index = from; index <= last; index++) {
    opened.log.append(shardId, 1, entries(shardId, index, 1, 1, 8000));
    commitNow(opened);
  }
}

function crashed(opened: Opened, options: SharedLogOptions = SMALL): Opened {
  return openLog(opened.disk.crash(new Prng(1), "loseAll"), options);
}

const TIGHT = { ...SMALL, batchSizeBytesMax: 16 * 1024, reservedBytes: 32 * 1024 };

describe("segments", () => {
  test("are recycled when trimmed; stale bytes in them are never taken for new ones", () => {
    let opened = openLog();
    for (let round = 0; round < 8; round++) {
      fill(opened, 1, round * 10 + 1, round * 10 + 10);
      opened.log.trim(1, round * 10 + 10);
      commitNow(opened);
      settle(opened);
      expect(opened.log.stats().segments).toBeLessThanOrEqual(5);
      if (round % 3 === 2) opened = crashed(opened);
    }
    fill(opened, 1, 81, 81);
    const { recovered } = crashed(opened);
    expect(outline(recovered.get(1))).toBe("81-81@1");
    expect(recovered.get(1)!.health.kind).toBe("intact");
    expect(opened.disk.usedBytes()).toBeLessThanOrEqual(5 * 64 * 1024);
  });

  test("hard states and resets outlive the segment that they were written to", () => {
    const opened = openLog();
    opened.log.saveHardState(7, 3, { term: 42, vote: 3, commitIndex: 6 });
    opened.log.reset(8, 1, 1000, 17);
    fill(opened, 1, 1, 30);
    opened.log.trim(1, 30);
    commitNow(opened);
    settle(opened);
    expect(opened.disk.exists(`${DIRECTORY}/0000000001.log`)).toBe(false);
    const { recovered } = crashed(opened);
    expect(recovered.get(7)!.hardState).toEqual({ term: 42, vote: 3, commitIndex: 6 });
    expect(recovered.get(8)).toMatchObject({ baseIndex: 1000, baseTerm: 17 });
  });

  test("the shard that keeps the oldest one is named, with the trim that lets it go", () => {
    const opened = openLog();
    opened.log.append(9, 1, entries(9, 1, 3, 1));
    fill(opened, 1, 1, 20);
    opened.log.trim(1, 20);
    commitNow(opened);
    const before = opened.log.stats().segments;
    expect(opened.log.oldestPinned()).toEqual({ shardId: 9, index: 3 });
    expect(opened.log.stats().pinnedBy).toEqual({ shardId: 9, index: 3 });
    opened.log.trim(9, 3);
    opened.env.fake.advance(200);
    settle(opened);
    expect(opened.log.oldestPinned()).toBeUndefined();
    expect(opened.log.stats().segments).toBeLessThan(before);
  });

  test("a trim that nobody commits is written when the log has been idle", () => {
    const opened = openLog();
    fill(opened, 1, 1, 2);
    opened.log.trim(1, 2);
    opened.env.fake.advance(200);
    settle(opened);
    expect(crashed(opened).recovered.get(1)!.baseIndex).toBe(2);
  });

  test("an idle log writes one marker and then rests", () => {
    const opened = openLog();
    fill(opened, 1, 1, 1);
    settle(opened);
    const { syncs } = opened.log.stats();
    for (let i = 0; i < 10; i++) {
      opened.env.fake.advance(100);
      settle(opened);
    }
    expect(opened.log.stats().syncs).toBe(syncs + 1);
    expect(opened.env.fake.waiting).toBe(0);
  });
});

describe("the next segment", () => {
  const LARGE = { segmentSizeBytes: 2 * MIB, firstSegmentSizeBytes: 2 * MIB };
  const NEXT = `${DIRECTORY}/0000000002.log`;

  function filledBytes({ disk }: Opened): number {
    return disk.open(NEXT, { readOnly: true }).sizeBytes();
  }

  test("is filled in step with the active one, and there when that is half full", () => {
    const opened = openLog(undefined, LARGE);
    settle(opened);
    const chunk = filledBytes(opened);
    expect(chunk).toBeLessThanOrEqual(128 * 1024);
    for (let index = 1; index <= 100; index++) {
      fill(opened, 1, index, index);
      settle(opened);
      const wanted = 2 * opened.log.stats().writtenBytes;
      expect(filledBytes(opened)).toBeGreaterThanOrEqual(Math.min(wanted, 2 * MIB));
      expect(filledBytes(opened)).toBeLessThanOrEqual(wanted + 2 * chunk);
    }
    expect(opened.log.stats().segments).toBe(2);
  });

  test("is filled at once where a batch does not fit into the active one", () => {
    const opened = openLog(undefined, { ...LARGE, firstSegmentSizeBytes: 64 * 1024 });
    settle(opened);
    opened.log.append(1, 1, entries(1, 1, 1, 1, 500_000));
    commitNow(opened);
    expect(crashed(opened, LARGE).recovered.get(1)!.runs[0]!.bytes.length).toBe(500_004);
  });

  test("is an old one where that is let go of before it is filled", () => {
    const opened = openLog(undefined, LARGE);
    fill(opened, 1, 1, 180);
    settle(opened);
    expect(opened.disk.list(DIRECTORY).length).toBe(3);
    expect(opened.log.stats().segments).toBe(2);
    opened.log.trim(1, 180);
    commitNow(opened);
    settle(opened);
    expect(opened.disk.list(DIRECTORY).length).toBe(2);
    expect(opened.disk.usedBytes()).toBe(4 * MIB);
    opened.log.append(1, 1, entries(1, 181, 5, 1, 400_000));
    commitNow(opened);
    expect(outline(crashed(opened, LARGE).recovered.get(1))).toBe("181-185@1");
  });

  test("of which some is filled holds up no close", async () => {
    const opened = openLog(undefined, LARGE);
    settle(opened);
    const closed = opened.log.close();
    settle(opened);
    await closed;
    expect(filledBytes(opened)).toBeLessThan(2 * MIB);
  });
});

test("a log is behind while more waits than there is room for", () => {
  const opened = openLog();
  const { log } = opened;
  settle(opened);
  let taken = 0;
  while (taken < 20 && !log.isBehind) {
    log.append(1, 1, entries(1, ++taken, 1, 1, 8000));
    log.commit(() => undefined);
  }
  expect(taken).toBe(6);
  expect(log.hasRoom(9000)).toBe(true);
  settle(opened);
  expect(log.isBehind).toBe(false);
});

describe("a full disk", () => {
  function full(): Opened {
    const disk = new MemoryDisk({ completion: "manual", quotaBytes: 200 * 1024 });
    const opened = openLog(disk, TIGHT);
    settle(opened);
    for (let index = 1; index < 100 && opened.log.hasRoom(9000); index++) {
      opened.log.append(1, 1, entries(1, index, 1, 1, 8000));
      commitNow(opened);
      settle(opened);
    }
    expect(opened.log.hasRoom(9000)).toBe(false);
    return opened;
  }

  test("is told early: hard states can still be saved", () => {
    const opened = full();
    expect(opened.log.stats().full).toBe(true);
    opened.log.saveHardState(1, 1, { term: 77, vote: 1, commitIndex: 3 });
    commitNow(opened);
    const { recovered } = crashed(opened);
    expect(recovered.get(1)!.hardState!.term).toBe(77);
    expect(lastIndexOf(recovered.get(1)!.runs.at(-1)!)).toBeGreaterThan(8);
  });

  test("has room for a leader's first entry where it takes no others, but not for a large one", () => {
    const { log } = full();
    expect(log.hasRoomForElection(100)).toBe(true);
    expect(log.hasRoomForElection(9000)).toBe(false);
  });

  test("counts what has gathered, headers and all, and what is being written", () => {
    const disk = new MemoryDisk({ completion: "manual", quotaBytes: 200 * 1024 });
    const opened = openLog(disk, { ...TIGHT, reservedBytes: 8 * 1024 });
    const { log } = opened;
    for (let index = 1; index < 100 && !log.stats().full; index++) {
      log.append(1, 1, entries(1, index, 1, 1, 8000));
      commitNow(opened);
      settle(opened);
    }
    let taken = 0;
    let durable = 0;
    while (taken < 5000 && log.hasRoom(20)) {
      log.append(2, 1, entries(2, ++taken, 1, 1));
      log.commit(() => durable++);
    }
    expect(taken).toBeGreaterThan(100);
    log.saveHardState(2, 1, { term: 7, vote: 1, commitIndex: 1 });
    commitNow(opened);
    expect(durable).toBe(taken);
  });

  test("is over when entries are trimmed", () => {
    const opened = full();
    opened.log.trim(1, 20);
    opened.env.fake.advance(2000);
    settle(opened);
    expect(opened.log.hasRoom(9000)).toBe(true);
    const last = opened.log.stats();
    expect(last.full).toBe(false);
  });

  test("is over when there is space again", () => {
    const opened = full();
    opened.disk.quotaBytes = 10_000_000;
    opened.env.fake.advance(2000);
    settle(opened);
    expect(opened.log.hasRoom(9000)).toBe(true);
  });

  test("does not keep the log from starting", () => {
    let opened = full();
    const before = outline(crashed(opened, TIGHT).recovered.get(1));
    for (let i = 0; i < 3; i++) {
      opened = crashed(opened, TIGHT);
      opened.env.fake.advance(200);
      settle(opened);
    }
    expect(opened.disk.list(DIRECTORY).length).toBe(3);
    opened.log.saveHardState(1, 1, { term: 78, vote: 1, commitIndex: 3 });
    commitNow(opened);
    const { recovered } = crashed(opened, TIGHT);
    expect(recovered.get(1)!.hardState!.term).toBe(78);
    expect(recovered.get(1)!.health.kind).toBe("intact");
    expect(outline(recovered.get(1))).toBe(before);
  });

  test("makes commits wait when even the reserve is used up, and they go on afterwards", () => {
    const opened = full();
    let waiting = 0;
    for (let i = 0; i < 40; i++) {
      waiting++;
      opened.log.append(2, 1, entries(2, i + 1, 1, 1, 8000));
      opened.log.commit(() => waiting--);
    }
    settle(opened);
    expect(waiting).toBeGreaterThan(0);
    opened.disk.quotaBytes = 10_000_000;
    opened.env.fake.advance(2000);
    settle(opened);
    expect(waiting).toBe(0);
    expect(outline(crashed(opened).recovered.get(2))).toBe("1-40@1");
  });
});

describe("a failed write", () => {
  function failing(pathPart: string | undefined): { opened: Opened; errors: DiskError[] } {
    const errors: DiskError[] = [];
    const options = { ...SMALL, onFailure: (error: DiskError) => errors.push(error) };
    const opened = openLog(undefined, options);
    settle(opened);
    opened.disk.inject({ code: "io", pathPart, times: Infinity });
    return { opened, errors };
  }

  test("is reported once, and nothing is acknowledged any more", async () => {
    const { opened, errors } = failing("0000000001");
    let done = 0;
    for (let i = 0; i < 5; i++) {
      opened.log.append(1, 1, entries(1, i + 1, 1, 1));
      opened.log.commit(() => done++);
      settle(opened);
    }
    opened.env.fake.advance(5000);
    settle(opened);
    expect(errors.map((error) => error.code)).toEqual(["io"]);
    expect(done).toBe(0);
    expect(opened.log.hasRoom(1)).toBe(false);
    await opened.log.close();
  });

  test("counts just as much while a segment is prepared", () => {
    const { opened, errors } = failing("0000000003");
    let done = 0;
    for (let i = 0; i < 20; i++) {
      opened.log.append(1, 1, entries(1, i + 1, 1, 1, 8000));
      opened.log.commit(() => done++);
      settle(opened);
    }
    expect(errors.length).toBe(1);
    expect(done).toBeLessThan(20);
  });
});
