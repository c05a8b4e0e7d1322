/** The real disk, on a temporary directory, keeps the same contract as the one in memory. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DiskError } from "../../src/env/disk.js";
import type { DirectoryChange } from "../../src/env/disk.js";
import { diskError, nodeDisk } from "../../src/env/node/node-disk.js";
import { lockByFile } from "../../src/env/node/node-lock.js";

let directory = "";

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "flotilla-disk-"));
});

afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof DiskError) return error.code;
    throw error;
  }
  return "none";
}

describe("files", () => {
  test("are written and read at positions", () => {
    const file = nodeDisk.open(`${directory}/a`, { create: true });
    file.writeSync(new Uint8Array([9, 1, 2, 3, 9]), 1, 3, 10);
    expect(file.sizeBytes()).toBe(13);
    const target = new Uint8Array(8);
    expect(file.readSync(target, 2, 6, 9)).toBe(4);
    expect([...target]).toEqual([0, 0, 0, 1, 2, 3, 0, 0]);
    file.syncSync();
    file.truncateSync(11);
    expect(file.sizeBytes()).toBe(11);
    file.close();
  });

  test("directories are changed in a later turn, one change after another", async () => {
    nodeDisk.open(`${directory}/a`, { create: true }).close();
    let isLater = false;
    const changed = (changes: readonly DirectoryChange[]): Promise<DiskError | undefined> =>
      new Promise((resolve) => {
        isLater = false;
        nodeDisk.change(changes, (error) => {
          expect(isLater).toBe(true);
          resolve(error);
        });
        isLater = true;
      });
    const path = `${directory}/b`;
    const renamed = changed([
      { kind: "rename", from: `${directory}/a`, to: path },
      { kind: "sync", path: directory },
    ]);
    expect(await renamed).toBeUndefined();
    expect(nodeDisk.list(directory)).toEqual(["b"]);
    const none = `${directory}/none`;
    const failed = await changed([
      { kind: "remove", path: none },
      { kind: "remove", path },
    ]);
    expect(failed).toMatchObject({ code: "notFound", path: none });
    expect(nodeDisk.list(directory)).toEqual(["b"]);
    expect(await changed([{ kind: "remove", path }])).toBeUndefined();
    expect(nodeDisk.list(directory)).toEqual([]);
  });

  test("asynchronous writes complete once each, in a later turn", async () => {
    const file = nodeDisk.open(`${directory}/a`, { create: true, dataSync: true });
    let completed = 0;
    await new Promise<void>((resolve) => {
      for (let i = 0; i < 4; i++) {
        const block = new Uint8Array(4096).fill(i + 1);
        file.write(block, 4096, i * 4096, (error) => {
          expect(error).toBeUndefined();
          if (++completed === 4) resolve();
        });
      }
      expect(completed).toBe(0);
    });
    const bytes = fs.readFileSync(`${directory}/a`);
    for (let i = 0; i < 4; i++) expect(bytes[i * 4096 + 17]).toBe(i + 1);
    file.close();
  });

  test("a write to a file opened for reading fails through its callback", async () => {
    fs.writeFileSync(`${directory}/a`, "x");
    const file = nodeDisk.open(`${directory}/a`, { readOnly: true });
    const error = await new Promise<DiskError | undefined>((resolve) => {
      file.write(new Uint8Array(1), 1, 0, resolve);
    });
    expect(error).toBeInstanceOf(DiskError);
    expect(error?.code).toBe("io");
    file.close();
  });
});

describe("names and errors", () => {
  test("directories are made with their parents and listed in order", () => {
    nodeDisk.makeDirectory(`${directory}/x/y/z`);
    nodeDisk.makeDirectory(`${directory}/x/y/z`);
    for (const name of ["b", "a", "c"]) {
      nodeDisk.open(`${directory}/x/${name}`, { create: true }).close();
    }
    expect(nodeDisk.list(`${directory}/x`)).toEqual(["a", "b", "c", "y"]);
    nodeDisk.rename(`${directory}/x/a`, `${directory}/x/d`);
    nodeDisk.link(`${directory}/x/d`, `${directory}/x/e`);
    nodeDisk.remove(`${directory}/x/b`);
    nodeDisk.syncDirectory(`${directory}/x`);
    expect(nodeDisk.list(`${directory}/x`)).toEqual(["c", "d", "e", "y"]);
    expect(nodeDisk.exists(`${directory}/x/b`)).toBe(false);
    expect(nodeDisk.freeBytes(directory)).toBeGreaterThan(0);
  });

  test("errors are told apart", () => {
    expect(codeOf(() => nodeDisk.open(`${directory}/none`, {}))).toBe("notFound");
    expect(codeOf(() => nodeDisk.list(`${directory}/none`))).toBe("notFound");
    nodeDisk.open(`${directory}/a`, { create: true }).close();
    expect(codeOf(() => nodeDisk.link(`${directory}/a`, `${directory}/a`))).toBe("exists");
    expect(diskError("f", Object.assign(new Error("x"), { code: "EDQUOT" })).code).toBe("noSpace");
    expect(diskError("f", Object.assign(new Error("x"), { code: "ENOSPC" })).code).toBe("noSpace");
    expect(diskError("f", Object.assign(new Error("x"), { code: "EIO" })).code).toBe("io");
  });
});

describe("the directory lock", () => {
  test("is held by one, and free again after release", async () => {
    const lock = await nodeDisk.lock(directory);
    fs.symlinkSync(directory, `${directory}/alias`);
    for (const path of [directory, `${directory}/alias`]) {
      await expect(nodeDisk.lock(path)).rejects.toMatchObject({ code: "exists" });
    }
    lock.release();
    (await nodeDisk.lock(directory)).release();
  });

  test("of a store is held wherever copies of it lie", async () => {
    const id = `test-${process.pid}`;
    fs.mkdirSync(`${directory}/copy`);
    const lock = await nodeDisk.lock(directory, id);
    await expect(nodeDisk.lock(`${directory}/copy`, id)).rejects.toMatchObject({ code: "exists" });
    lock.release();
  });

  test("is of a directory that is there", async () => {
    await expect(nodeDisk.lock(`${directory}/none`)).rejects.toMatchObject({ code: "io" });
  });

  test("as a file: a holder that no longer runs does not hold it", async () => {
    const lock = await lockByFile(directory);
    await expect(lockByFile(directory)).rejects.toMatchObject({ code: "exists" });
    lock.release();
    fs.writeFileSync(`${directory}/LOCK`, "999999999\n");
    (await lockByFile(directory)).release();
    expect(fs.existsSync(`${directory}/LOCK`)).toBe(false);
  });
});
