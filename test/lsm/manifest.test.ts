/** The manifest: round trips, every cut, flipped bits, power cuts, a full disk, rotation. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { DiskError } from "../../src/env/disk.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { CatalogSnapshot } from "../../src/lsm/catalog-snapshot.js";
import { FAMILY } from "../../src/lsm/families.js";
import { Manifest } from "../../src/lsm/manifest.js";
import type { Slice } from "../../src/lsm/slice.js";
import type { EditOperation, VersionEdit } from "../../src/lsm/version-edit.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { turnsUntil } from "../support/test-env.js";
import { stateAt } from "./tree-model.js";

const STORE_ID = "0123456789abcdef0123456789abcdef";
const DIRECTORY = "/store";
const RANGE = { start: utf8("a"), end: utf8("z") };

function created(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory(DIRECTORY);
  Manifest.create(disk, DIRECTORY, STORE_ID);
  return disk;
}

function sliceOf(fileNumber: number): Slice {
  return {
    fileNumber,
    family: FAMILY.data,
    level: 0,
    range: RANGE,
    filterRange: RANGE,
    minVersion: fileNumber,
    maxVersion: fileNumber + 2 ** 40,
    entryCount: 3,
    keyCount: 2,
    tombstoneCount: 1,
    sizeBytes: 100,
  };
}

function addTable(shardId: number, fileNumber: number): EditOperation[] {
  const file = { fileNumber, sizeBytes: 200, checksum: 1, salt: 2 };
  return [
    { kind: "addFile", file },
    { kind: "addSlice", shardId, slice: sliceOf(fileNumber) },
  ];
}

/** Each edit is one transition. */
const EDITS: readonly VersionEdit[] = [
  [{ kind: "createTree", shardId: 1, range: RANGE, flushed: stateAt(0) }],
  [...addTable(1, 5), { kind: "setFlushed", shardId: 1, flushed: stateAt(7) }],
  [
    {
      kind: "createTree",
      shardId: 2,
      range: { start: utf8("z"), end: undefined },
      flushed: stateAt(3),
    },
    ...addTable(2, 6),
  ],
  [{ kind: "removeSlice", shardId: 1, slice: sliceOf(5) }, ...addTable(1, 8)],
  [{ kind: "setRange", shardId: 2, range: RANGE }],
  [{ kind: "dropTree", shardId: 2 }],
];

/** What a manifest says, but for the run, which each opening raises. */
function content(manifest: Manifest): VersionEdit {
  return (new CatalogSnapshot(manifest.catalog).next(Infinity) ?? []).filter(
    (operation) => operation.kind !== "startRun",
  );
}

function reopened(disk: MemoryDisk): VersionEdit {
  const manifest = Manifest.open(disk, DIRECTORY);
  manifest.close();
  return content(manifest);
}

/** Files are replaced as soon as they have twice the size of the catalog. */
const ROTATE_AT_ONCE = 1;

/** The active file's path. */
function activePath(disk: MemoryDisk): string {
  const marker = disk.list(DIRECTORY).findLast((name) => name.startsWith("current-"))!;
  return `${DIRECTORY}/manifest-${marker.slice("current-".length)}`;
}

/**
 * Appends all edits without waiting, every fourth (and then `shift`) but at once, until the disk
 * halts; how many edits in a row were said to be durable.
 */
async function appendSoonUntilHalt(
  disk: MemoryDisk,
  shift: number,
  rotateSizeBytes?: number,
): Promise<number> {
  const said: boolean[] = [];
  try {
    const manifest = Manifest.open(disk, DIRECTORY, undefined, rotateSizeBytes);
    for (const [i, edit] of EDITS.entries()) {
      if (i % 4 === shift) manifest.append(edit);
      else manifest.appendSoon(edit, (error) => (said[i] = error === undefined));
      if (i % 4 === shift) said[i] = true;
      if (i % 3 === 0) await turnsUntil(() => disk.halted || said[i] === true);
    }
    await turnsUntil(() => disk.halted || EDITS.every((_, i) => said[i] === true));
    if (!disk.halted) manifest.close();
  } catch (error) {
    if (!disk.halted) throw error;
  }
  const firstUnsaid = EDITS.findIndex((_, i) => said[i] !== true);
  const durable = firstUnsaid < 0 ? EDITS.length : firstUnsaid;
  expect(said.slice(durable)).not.toContain(true);
  return durable;
}

describe("manifest", () => {
  test("gives back what was appended, counts runs, keeps one file", () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    expect(manifest.storeId).toBe(STORE_ID);
    expect(manifest.catalog.run).toBe(1);
    for (const edit of EDITS) manifest.append(edit);
    manifest.close();
    expect([...manifest.catalog.trees.keys()]).toEqual([1]);
    expect([...manifest.catalog.files.keys()]).toEqual([8]);
    expect(manifest.catalog.nextFileNumber).toBe(9);
    const again = Manifest.open(disk, DIRECTORY);
    expect(content(again)).toEqual(content(manifest));
    expect(again.catalog.run).toBe(2);
    expect(disk.list(DIRECTORY)).toHaveLength(3);
  });

  test("cut at any byte, it recovers to a whole edit before", () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    const contents = [content(manifest)];
    const ends = [manifest.sizeBytes];
    for (const edit of EDITS) {
      manifest.append(edit);
      contents.push(content(manifest));
      ends.push(manifest.sizeBytes);
    }
    manifest.close();
    const path = activePath(disk);
    const whole = disk.content(path);
    for (let length = ends[0]!; length <= ends.at(-1)!; length++) {
      // As a file that was cut, and as one whose last write lost its later sectors.
      for (const size of [length, whole.length]) {
        const bytes = new Uint8Array(size);
        bytes.set(whole.subarray(0, length));
        disk.setContent(path, bytes);
        const copy = clone(disk, path);
        const last = ends.findLastIndex((end) => end <= length);
        // The zeros at the end of a record need not have been written.
        const found = JSON.stringify(reopened(copy));
        const expected = [contents[last], contents[last + 1] ?? contents[last]];
        expect(expected.map((edit) => JSON.stringify(edit))).toContain(found);
      }
    }
  });

  test("a flipped bit without a copy is refused, unless it is in the last record", () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    for (const edit of EDITS.slice(0, -1)) manifest.append(edit);
    const beforeLast = content(manifest);
    const lastStart = manifest.sizeBytes;
    manifest.append(EDITS.at(-1)!);
    const end = manifest.sizeBytes;
    manifest.close();
    const path = activePath(disk);
    const whole = disk.content(path);
    let refused = 0;
    const accepted: VersionEdit[] = [];
    for (let bit = 0; bit < lastStart * 8; bit += 3) {
      disk.setContent(path, whole);
      disk.flipBit(path, bit);
      const found = reopenedOrRefused(clone(disk, path));
      // What is not refused is the padding between records.
      if (found === "refused") refused++;
      else accepted.push(found);
    }
    for (const found of accepted) expect(found).toEqual(content(manifest));
    expect(refused).toBeGreaterThan((lastStart * 8 * 0.95) / 3);
    for (let bit = lastStart * 8; bit < end * 8; bit += 11) {
      disk.setContent(path, whole);
      disk.flipBit(path, bit);
      expect([beforeLast, content(manifest)]).toContainEqual(reopened(clone(disk, path)));
    }
  });

  test("a crash at any operation loses no edit that was appended, and never half of one", () => {
    for (let halt = 0; ; halt++) {
      const disk = created();
      disk.haltAt(disk.operations + halt);
      const appended = appendUntilHalt(disk);
      const isDone = !disk.halted;
      for (let seed = 1; seed <= 4; seed++) {
        const found = JSON.stringify(reopened(disk.crash(new Prng(seed))));
        const reference = replayOf(appended);
        const next = replayOf(Math.min(EDITS.length, appended + 1));
        expect([JSON.stringify(reference), JSON.stringify(next)]).toContain(found);
      }
      if (isDone) break;
    }
  });

  test.each([
    ["", undefined],
    [", while files are replaced", ROTATE_AT_ONCE],
  ])(
    "edits that do not wait are durable in their order, also where one overtakes them%s",
    async (_, rotateSizeBytes) => {
      for (let halt = 0; ; halt++) {
        const disk = created();
        disk.haltAt(disk.operations + halt);
        const durable = await appendSoonUntilHalt(disk, halt % 3, rotateSizeBytes);
        const isDone = !disk.halted;
        for (let seed = 1; seed <= 4; seed++) {
          const found = JSON.stringify(reopened(disk.crash(new Prng(seed))));
          const references = EDITS.slice(durable).map((_, i) =>
            JSON.stringify(replayOf(durable + i)),
          );
          expect([...references, JSON.stringify(replayOf(EDITS.length))]).toContain(found);
        }
        if (isDone) break;
      }
    },
  );

  test("the copies are never written at the same time", () => {
    const manual = created().crash(new Prng(1), "keepAll", { completion: "manual" });
    const manifest = Manifest.open(manual, DIRECTORY);
    let done = 0;
    const appendSoon = (edit: VersionEdit): void => manifest.appendSoon(edit, () => done++);
    const written: number[] = [];
    appendSoon(EDITS[0]!);
    appendSoon(EDITS[1]!);
    for (; manual.pendingWrites > 0; manual.pump(1)) written.push(manual.pendingWrites);
    expect(written).toEqual([1, 1, 1, 1]);
    appendSoon(EDITS[2]!);
    manual.pump(1);
    // Overtakes the write of the copy, which comes back later.
    manifest.append(EDITS[3]!);
    appendSoon(EDITS[4]!);
    for (; manual.pendingWrites > 0; manual.pump(1)) written.push(manual.pendingWrites);
    expect(written.slice(4)).toEqual([1, 1, 1]);
    expect(done).toBe(4);
    manifest.close();
    expect(reopened(manual)).toEqual(content(manifest));
  });

  test("an edit that overtakes others is whole in one copy before the other is written", () => {
    const disk = created().crash(new Prng(1), "keepAll", { completion: "manual" });
    const manifest = Manifest.open(disk, DIRECTORY);
    for (const edit of EDITS.slice(0, 3)) manifest.appendSoon(edit, () => undefined);
    disk.inject({ code: "io", operation: "write", pathPart: ".copy" });
    expect(() => manifest.append(EDITS[3]!)).toThrow(DiskError);
    expect(reopened(clone(disk, activePath(disk)))).toEqual(content(manifest));
  });

  test("a failed write reaches every edit that waits, and no edit is taken any more", async () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    manifest.append(EDITS[0]!);
    disk.inject({ code: "noSpace", operation: "write", pathPart: ".copy" });
    const errors: (string | undefined)[] = [];
    for (const edit of EDITS.slice(1, 3)) {
      manifest.appendSoon(edit, (error) => errors.push(error?.code));
    }
    await turnsUntil(() => errors.length === 2);
    expect(errors).toEqual(["io", "io"]);
    expect(() => manifest.append(EDITS[3]!)).toThrow("the manifest failed before");
    manifest.close();
  });

  test("a failed write is told even if an append has made its edit durable meanwhile", () => {
    const disk = created().crash(new Prng(1), "keepAll", { completion: "manual" });
    const failures: string[] = [];
    const manifest = Manifest.open(disk, DIRECTORY, (error) => failures.push(error.code));
    const said: (string | undefined)[] = [];
    manifest.appendSoon(EDITS[0]!, (error) => said.push(error?.code));
    manifest.append(EDITS[1]!);
    disk.inject({ code: "noSpace", operation: "write" });
    expect(said).toEqual([undefined]);
    disk.pump();
    expect(failures).toEqual(["io"]);
    expect(() => manifest.append(EDITS[2]!)).toThrow("the manifest failed before");
    expect(failures).toEqual(["io"]);
    manifest.close();
  });

  test("a full disk refuses an edit and takes it later", () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    manifest.append(EDITS[0]!);
    disk.quotaBytes = disk.usedBytes();
    const state = stateAt(1, { configuration: new Uint8Array(70_000) });
    const edit: VersionEdit = [{ kind: "setFlushed", shardId: 1, flushed: state }];
    const before = content(manifest);
    expect(() => manifest.append(edit)).toThrow(DiskError);
    expect(content(manifest)).toEqual(before);
    disk.quotaBytes = Infinity;
    manifest.append(edit);
    manifest.close();
    expect(reopened(disk)).toEqual(content(manifest));
  });

  test("a start that finds no room leaves nothing behind, however often it is tried", () => {
    const disk = created();
    const before = disk.list(DIRECTORY);
    // Room for one of the two new files, and a half.
    disk.quotaBytes = disk.usedBytes() * 1.75;
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(() => Manifest.open(disk, DIRECTORY)).toThrow(DiskError);
      expect(disk.list(DIRECTORY)).toEqual(before);
    }
    disk.quotaBytes = Infinity;
    Manifest.open(disk, DIRECTORY).close();
  });

  test("rotates when it has grown", async () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    manifest.append(EDITS[0]!);
    const path = activePath(disk);
    for (let index = 1; disk.list(DIRECTORY).length === 3; index++) {
      const flushed = stateAt(index, { configuration: new Uint8Array(200_000) });
      manifest.append([{ kind: "setFlushed", shardId: 1, flushed }]);
    }
    await turnsUntil(() => activePath(disk) !== path);
    expect(manifest.sizeBytes).toBeLessThan(1_000_000);
    manifest.append([{ kind: "dropTree", shardId: 1 }]);
    await turnsUntil(() => disk.list(DIRECTORY).length === 3);
    manifest.close();
    expect(disk.list(DIRECTORY)).toHaveLength(3);
    expect(reopened(disk)).toEqual(content(manifest));
  });

  test("at any step of a rotation an edit may come, wait or not, and the manifest close", () => {
    const rotated = new Set<boolean>();
    for (let step = 0; step < 40; step++) {
      for (const kind of ["append", "appendSoon", "close"] as const) {
        const disk = created().crash(new Prng(1), "keepAll", { completion: "manual" });
        const manifest = Manifest.open(disk, DIRECTORY, undefined, ROTATE_AT_ONCE);
        const path = activePath(disk);
        let saidCount = 0;
        const appendSoon = (edit: VersionEdit): void =>
          manifest.appendSoon(edit, (error) => (saidCount += error === undefined ? 1 : 0));
        for (const edit of EDITS.slice(0, 4)) appendSoon(edit);
        disk.pump(step);
        if (kind === "append") manifest.append(EDITS[4]!);
        const saidAtOnce = saidCount;
        if (kind === "appendSoon") appendSoon(EDITS[4]!);
        const expected = content(manifest);
        const durable = kind === "append" ? reopened(disk.crash(new Prng(2), "loseAll")) : expected;
        expect(durable).toEqual(expected);
        // What does not wait overtakes nobody.
        expect(saidAtOnce).toBeGreaterThanOrEqual(kind === "append" ? 4 : 0);
        if (kind === "close") manifest.close();
        for (; disk.pendingWrites > 0 || saidCount < 4; disk.pump(1));
        for (let more = 0; more < 8; more++) disk.pump(1);
        expect(saidCount).toBe(kind === "appendSoon" ? 5 : 4);
        rotated.add(activePath(disk) !== path);
        if (kind !== "close") manifest.close();
        disk.pump();
        expect(reopened(disk.crash(new Prng(3), "loseAll"))).toEqual(expected);
      }
    }
    expect(rotated).toEqual(new Set([true, false]));
  });

  test("a rotation that finds no room leaves nothing behind, and edits go on", async () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY, undefined, ROTATE_AT_ONCE);
    manifest.append(EDITS[0]!);
    const before = disk.list(DIRECTORY);
    disk.quotaBytes = disk.usedBytes();
    for (const edit of EDITS.slice(1, 4)) manifest.append(edit);
    expect(disk.list(DIRECTORY).length).toBeGreaterThan(before.length);
    await turnsUntil(() => disk.list(DIRECTORY).length === before.length);
    expect(disk.list(DIRECTORY)).toEqual(before);
    manifest.append(EDITS[4]!);
    manifest.close();
    disk.quotaBytes = Infinity;
    expect(reopened(disk.crash(new Prng(1), "loseAll"))).toEqual(content(manifest));
  });

  test("one that cannot even delete what it wrote is tried again, over what stayed", async () => {
    const disk = created();
    const failures: DiskError[] = [];
    const manifest = Manifest.open(
      disk,
      DIRECTORY,
      (error) => void failures.push(error),
      ROTATE_AT_ONCE,
    );
    manifest.append(EDITS[0]!);
    const path = activePath(disk);
    const before = disk.list(DIRECTORY);
    disk.inject({ code: "io", operation: "remove", times: 2 });
    disk.quotaBytes = disk.usedBytes();
    for (const edit of EDITS.slice(1, 4)) manifest.append(edit);
    let turns = 0;
    await turnsUntil(() => turns++ > 20);
    expect(disk.list(DIRECTORY).length).toBe(before.length + 2);
    disk.quotaBytes = Infinity;
    for (let fileNumber = 1000; manifest.sizeBytes < 4096; fileNumber++) {
      manifest.append([{ kind: "nextFileNumber", fileNumber }]);
    }
    await turnsUntil(() => activePath(disk) !== path);
    manifest.append(EDITS[4]!);
    manifest.close();
    expect(failures).toEqual([]);
    expect(reopened(disk.crash(new Prng(1), "loseAll"))).toEqual(content(manifest));
  });

  test("a rotation that fails otherwise is told, and no edit is taken any more", async () => {
    for (const operation of ["create", "write", "syncDirectory"] as const) {
      const disk = created();
      const failures: string[] = [];
      const report = (error: DiskError): void => void failures.push(error.code);
      const manifest = Manifest.open(disk, DIRECTORY, report, ROTATE_AT_ONCE);
      disk.inject({ code: "io", operation, pathPart: operation === "write" ? "manifest-3" : "" });
      let unsaid = 0;
      for (const edit of EDITS.slice(0, 4)) {
        if (failures.length > 0) break;
        unsaid++;
        manifest.appendSoon(edit, () => unsaid--);
      }
      await turnsUntil(() => failures.length > 0);
      // Also those that the failure met while they were being appended.
      expect(unsaid).toBe(0);
      expect(failures).toEqual(["io"]);
      expect(() => manifest.append(EDITS[4]!)).toThrow("the manifest failed before");
      manifest.close();
      const found = JSON.stringify(reopened(disk.crash(new Prng(1), "keepAll")));
      const references = EDITS.slice(0, 5).map((_, count) => JSON.stringify(replayOf(count)));
      expect(references).toContain(found);
    }
  });

  test("any bit may rot in one copy, and another in the other", () => {
    const disk = created();
    const manifest = Manifest.open(disk, DIRECTORY);
    for (const edit of EDITS) manifest.append(edit);
    manifest.close();
    const path = activePath(disk);
    const bits = manifest.sizeBytes * 8;
    for (let bit = 0; bit < bits; bit += 5) {
      for (const rotten of [path, `${path}.copy`]) {
        const copy = disk.crash(new Prng(1), "keepAll");
        copy.flipBit(rotten, bit);
        expect(reopened(copy)).toEqual(content(manifest));
        // The start has written both anew.
        copy.setContent(activePath(copy), new Uint8Array(0));
        expect(reopened(copy)).toEqual(content(manifest));
      }
    }
    const far = disk.crash(new Prng(1), "keepAll");
    far.flipBit(path, 0);
    far.flipBit(`${path}.copy`, bits / 2);
    expect(reopened(far)).toEqual(content(manifest));
    far.remove(activePath(far));
    expect(reopened(far)).toEqual(content(manifest));
  });
});

test("one copy may have places that cannot be read; both may not", () => {
  const disk = created();
  const manifest = Manifest.open(disk, DIRECTORY);
  for (const edit of EDITS) manifest.append(edit);
  const path = activePath(disk);
  for (const unreadable of [path, `${path}.copy`]) {
    for (const place of [0, disk.content(path).length - 1]) {
      const copy = disk.crash(new Prng(1), "keepAll");
      copy.spoil(unreadable, place);
      expect(reopened(copy)).toEqual(content(manifest));
    }
  }
  // What lies there may be the end of both, of which nothing else tells.
  disk.spoil(path, 0);
  disk.spoil(`${path}.copy`, disk.content(path).length - 1);
  expect(() => Manifest.open(disk, DIRECTORY)).toThrow(DiskError);
});

function reopenedOrRefused(disk: MemoryDisk): VersionEdit | "refused" {
  try {
    return reopened(disk);
  } catch (error) {
    if (error instanceof CorruptionError) return "refused";
    throw error;
  }
}

/** Appends all edits, reopening in between, until the disk halts; how many went through. */
function appendUntilHalt(disk: MemoryDisk): number {
  let appended = 0;
  try {
    let manifest = Manifest.open(disk, DIRECTORY);
    for (const edit of EDITS) {
      manifest.append(edit);
      appended++;
      if (appended % 3 !== 0) continue;
      manifest.close();
      manifest = Manifest.open(disk, DIRECTORY);
    }
    manifest.close();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
  }
  return appended;
}

/** The content after the first `count` edits. */
function replayOf(count: number): VersionEdit {
  const disk = created();
  const manifest = Manifest.open(disk, DIRECTORY);
  for (const edit of EDITS.slice(0, count)) manifest.append(edit);
  manifest.close();
  return content(manifest);
}

/** A fresh disk with only the marker and this file, so that opening leaves the original alone. */
function clone(disk: MemoryDisk, path: string): MemoryDisk {
  const copy = new MemoryDisk();
  copy.makeDirectory(DIRECTORY);
  copy.setContent(path, disk.content(path));
  copy.setContent(path.replace("manifest-", "current-"), new Uint8Array(0));
  return copy;
}
