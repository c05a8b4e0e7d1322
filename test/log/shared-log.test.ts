/** The shared log in fair weather: what goes in comes out, in order, in few writes. */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { placedChecksum } from "../../src/base/checksum.js";
import { writeU32 } from "../../src/base/coding.js";
import { lastIndexOf, singleRun } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { SharedLog } from "../../src/log/shared-log.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import {
  commitNow,
  contents,
  DIRECTORY,
  entries,
  openLog,
  outline,
  ROOMY,
  settle,
  SMALL,
} from "./support.js";
import type { Opened } from "./support.js";

function reopen(opened: Opened): Opened {
  return openLog(opened.disk.crash(new Prng(1), "keepAll"), SMALL);
}

/** As if another version of the software had written the first segment. */
function setVersion({ disk }: Opened, version: number): void {
  const path = `${DIRECTORY}/0000000001.log`;
  const bytes = disk.content(path);
  writeU32(bytes, 8, version);
  writeU32(bytes, 508, placedChecksum(bytes.subarray(0, 508), 1, 0));
  disk.setContent(path, bytes);
}

describe("round trips", () => {
  test("an empty log recovers nothing, twice", () => {
    const first = openLog();
    expect(first.recovered.size).toBe(0);
    expect(reopen(first).recovered.size).toBe(0);
  });

  test("entries, hard states and kinds come back", () => {
    const opened = openLog();
    const { log } = opened;
    log.saveHardState(1, 11, { term: 3, vote: 12, commitIndex: 2 });
    log.append(1, 11, singleRun("noop", 3, 1, new Uint8Array(0)));
    log.append(1, 11, entries(1, 2, 3, 3));
    log.append(2, 21, singleRun("configuration", 1, 1, new Uint8Array([1, 2, 3])));
    commitNow(opened);
    const { recovered } = reopen(opened);
    const one = must(recovered.get(1));
    expect(one.replicaId).toBe(11);
    expect(one.hardState).toEqual({ term: 3, vote: 12, commitIndex: 2 });
    expect(one.health).toEqual({ kind: "intact" });
    expect(one.runs.map((run) => run.kind)).toEqual(["noop", "command"]);
    expect(one.runs[1]!.bytes).toEqual(entries(1, 2, 3, 3).bytes);
    expect(recovered.get(2)!.hardState).toBeUndefined();
    expect(recovered.get(2)!.runs[0]!.kind).toBe("configuration");
  });

  test("an append at an existing index replaces the tail", () => {
    const opened = openLog();
    opened.log.append(1, 1, entries(1, 1, 10, 1));
    commitNow(opened);
    opened.log.append(1, 1, entries(1, 6, 2, 2));
    opened.log.append(1, 1, entries(1, 7, 3, 3));
    commitNow(opened);
    const again = reopen(opened);
    expect(outline(again.recovered.get(1))).toBe("1-5@1 6-6@2 7-9@3");
    again.log.append(1, 1, entries(1, 9, 1, 4));
    commitNow(again);
    expect(outline(reopen(again).recovered.get(1))).toBe("1-5@1 6-6@2 7-8@3 9-9@4");
  });

  test("trim moves the base, reset empties, clean forgets", () => {
    const opened = openLog();
    const { log } = opened;
    for (const shard of [1, 2, 3]) log.append(shard, 1, entries(shard, 1, 10, 5));
    log.trim(1, 4);
    log.reset(2, 1, 100, 9);
    log.append(2, 1, entries(2, 101, 2, 9));
    log.clean(3);
    commitNow(opened);
    const { recovered } = reopen(opened);
    expect(recovered.get(1)).toMatchObject({ baseIndex: 4, baseTerm: 5 });
    expect(outline(recovered.get(1))).toBe("5-10@5");
    expect(recovered.get(2)).toMatchObject({ baseIndex: 100, baseTerm: 9 });
    expect(outline(recovered.get(2))).toBe("101-102@9");
    expect(recovered.has(3)).toBe(false);
  });

  test("another replica of a shard begins from nothing", () => {
    const opened = openLog();
    opened.log.saveHardState(1, 7, { term: 9, vote: 7, commitIndex: 3 });
    opened.log.append(1, 7, entries(1, 1, 3, 9));
    commitNow(opened);
    opened.log.append(1, 8, entries(1, 1, 1, 10));
    commitNow(opened);
    const shard = must(reopen(opened).recovered.get(1));
    expect(shard.replicaId).toBe(8);
    expect(shard.hardState).toBeUndefined();
    expect(outline(shard)).toBe("1-1@10");
  });

  test("a log of the version before, without indexes, is read and gone on with", () => {
    const opened = openLog();
    opened.log.append(1, 1, entries(1, 1, 3, 9));
    commitNow(opened);
    setVersion(opened, 2);
    const reopened = reopen(opened);
    expect(outline(reopened.recovered.get(1))).toBe("1-3@9");
    expect(reopened.log.entries.read(1, 1, 3)).toHaveLength(1);
  });

  test("a log of another store, and one of another version, is refused", () => {
    const opened = openLog();
    expect(() => SharedLog.open(opened.env, DIRECTORY, "other", SMALL)).toThrow(CorruptionError);
    setVersion(opened, 1);
    expect(() => openLog(opened.disk)).toThrow("unknown format version 1");
  });
});

describe("group commit", () => {
  test("what gathers during a write goes out in one write, callbacks in order", () => {
    const opened = openLog(undefined, ROOMY);
    settle(opened);
    const { log, disk } = opened;
    const done: number[] = [];
    log.append(1, 1, entries(1, 1, 1, 1));
    log.commit(() => done.push(0));
    expect(disk.pendingWrites).toBe(1);
    for (let i = 1; i <= 5; i++) {
      log.append(1, 1, entries(1, i + 1, 1, 1));
      log.commit(() => done.push(i));
    }
    expect(disk.pendingWrites).toBe(1);
    disk.pump(1);
    expect(done).toEqual([0]);
    disk.pump(1);
    expect(done).toEqual([0, 1, 2, 3, 4, 5]);
    expect(disk.pendingWrites).toBe(0);
    expect(log.stats()).toMatchObject({ commits: 6, syncs: 3 });
  });

  test("a commit of nothing waits for what is in flight, or for the end of the turn", () => {
    const opened = openLog(undefined, ROOMY);
    settle(opened);
    const { log, disk, env } = opened;
    const done: string[] = [];
    log.append(1, 1, entries(1, 1, 1, 1));
    log.commit(() => done.push("a"));
    log.commit(() => done.push("b"));
    expect(done).toEqual([]);
    disk.pump(1);
    expect(done).toEqual(["a", "b"]);
    log.commit(() => done.push("c"));
    expect(done).toEqual(["a", "b"]);
    env.fake.endTurn();
    expect(done).toEqual(["a", "b", "c"]);
    expect(disk.pendingWrites).toBe(0);
  });

  test("a backlog goes out in writes of the aimed size; what is larger alone goes out alone", () => {
    const opened = openLog(undefined, { ...ROOMY, batchSizeBytesAimed: 16_384 });
    settle(opened);
    const { log, disk } = opened;
    const done: number[] = [];
    for (const [i, length] of [10, 6000, 6000, 6000, 20_000, 20_000, 10].entries()) {
      log.append(1, 1, entries(1, i + 1, 1, 1, length));
      log.commit(() => done.push(i));
    }
    const seen: number[] = [];
    while (disk.pendingWrites > 0) {
      disk.pump(1);
      seen.push(done.length);
    }
    // One write in between begins the next segment.
    expect([...new Set(seen)]).toEqual([1, 3, 4, 5, 6, 7]);
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  test("a backlog larger than a batch goes out in several, each callback with its own", () => {
    const opened = openLog(undefined, { ...ROOMY, batchSizeBytesMax: 8192 });
    settle(opened);
    const { log, disk } = opened;
    const done: number[] = [];
    log.append(1, 1, entries(1, 1, 1, 1));
    log.commit(() => done.push(0));
    for (let i = 1; i <= 6; i++) {
      log.append(1, 1, entries(1, i + 1, 1, 1, 3000));
      log.commit(() => done.push(i));
    }
    const seen: number[] = [];
    while (disk.pendingWrites > 0) {
      disk.pump(1);
      seen.push(done.length);
    }
    expect(seen).toEqual([1, 3, 5, 7]);
    expect(outline(reopen(opened).recovered.get(1))).toBe("1-7@1");
  });

  test("a large run is cut between entries; segments rotate", () => {
    const opened = openLog();
    const run = entries(1, 1, 40, 1, 5000);
    opened.log.append(1, 1, run);
    commitNow(opened);
    const shard = must(reopen(opened).recovered.get(1));
    expect(outline(shard)).toBe("1-40@1");
    expect(contents(shard)).toEqual(contents({ ...shard, runs: [run] }));
    expect(opened.log.stats().segments).toBeGreaterThan(3);
  });
});

describe("close", () => {
  test("writes what has gathered and answers its commits", async () => {
    const opened = openLog(new MemoryDisk());
    let done = 0;
    opened.log.append(1, 1, entries(1, 1, 2, 1));
    opened.log.commit(() => done++);
    opened.log.append(1, 1, entries(1, 3, 2, 1));
    await opened.log.close();
    expect(done).toBe(1);
    const after = openLog(opened.disk);
    expect(outline(after.recovered.get(1))).toBe("1-4@1");
  });

  test("ends where the disk fails meanwhile, by whichever operation", async () => {
    const operationsMax = 12;
    const failures: number[] = [];
    for (let skip = 0; skip < operationsMax; skip++) {
      const disk = new MemoryDisk({ completion: "manual" });
      const onFailure = (): void => void failures.push(skip);
      const opened = openLog(disk, { ...SMALL, onFailure });
      opened.log.append(1, 1, entries(1, 1, 2, 1));
      disk.inject({ code: "io", skip });
      let isClosed = false;
      void opened.log.close().then(() => (isClosed = true));
      settle(opened);
      await Promise.resolve();
      await Promise.resolve();
      expect([skip, isClosed]).toEqual([skip, true]);
    }
    // The first ones write what has gathered, and prepare the next segment.
    expect(failures.length).toBeGreaterThan(1);
  });

  test("ends where a segment finds no room, and leaves out what was not called back", async () => {
    const lasts: number[] = [];
    for (let skip = 0; skip < 5; skip++) {
      const disk = new MemoryDisk({ completion: "manual" });
      const opened = openLog(disk, SMALL);
      settle(opened);
      let called = 0;
      for (let index = 1; index <= 30; index++) {
        opened.log.append(1, 1, entries(1, index, 1, 1, 8000));
        opened.log.commit(() => (called = index));
      }
      disk.inject({ code: "noSpace", operation: "create", skip, times: Infinity });
      let isClosed = false;
      void opened.log.close().then(() => (isClosed = true));
      settle(opened);
      opened.env.fake.endTurn();
      await Promise.resolve();
      await Promise.resolve();
      expect([skip, isClosed]).toEqual([skip, true]);
      const { recovered } = openLog(disk.crash(new Prng(1), "loseAll"), SMALL);
      lasts.push(must(recovered.get(1)?.runs.map(lastIndexOf).at(-1)));
      expect([skip, lasts.at(-1)]).toEqual([skip, called]);
    }
    // Two segments, three, and so on, until all finds room.
    expect(lasts).toEqual([13, 20, 27, 30, 30]);
  });
});
