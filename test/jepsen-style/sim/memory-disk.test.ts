/** The in-memory disk keeps exactly the promises that were asked for. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../../src/base/prng.js";
import { DiskError } from "../../../src/env/disk.js";
import type { FailedWrite } from "../../../jepsen-style/sim/memory-disk.js";
import { MemoryDisk } from "../../../jepsen-style/sim/memory-disk.js";
import { turnsUntil } from "../../support/test-env.js";

function bytes(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}

function prepared(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory("/d");
  const file = disk.open("/d/a", { create: true });
  file.writeSync(bytes(8192, 1), 0, 8192, 0);
  file.syncSync();
  disk.syncDirectory("/d");
  file.writeSync(bytes(8192, 2), 0, 8192, 4096);
  return disk;
}

describe("crash", () => {
  test("loses what was not synced, keeps what was", () => {
    const after = prepared().crash(new Prng(1), "loseAll");
    expect(after.content("/d/a")).toEqual(bytes(8192, 1));
  });

  test("may keep everything", () => {
    const after = prepared().crash(new Prng(1), "keepAll");
    expect(after.content("/d/a").length).toBe(12288);
    expect(after.content("/d/a").subarray(4096)).toEqual(bytes(8192, 2));
  });

  test("tears pages at sectors and never touches synced bytes of other pages", () => {
    const disk = prepared();
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      const content = disk.crash(new Prng(seed)).content("/d/a");
      expect(content.subarray(0, 4096).every((byte) => byte === 1)).toBe(true);
      for (let at = 4096; at < 8192; at += 512) {
        const sector = content.subarray(at, at + 512);
        expect(sector.every((byte) => byte === sector[0])).toBe(true);
      }
      seen.add(content.filter((_, at) => at % 512 === 0).join());
    }
    expect(seen.size).toBeGreaterThan(10);
  });

  test("loses entries of a directory that was not synced", () => {
    const disk = new MemoryDisk();
    disk.makeDirectory("/d");
    const file = disk.open("/d/a", { create: true });
    file.writeSync(bytes(10, 1), 0, 10, 0);
    file.syncSync();
    expect(disk.crash(new Prng(1), "loseAll").exists("/d/a")).toBe(false);
    disk.syncDirectory("/d");
    disk.rename("/d/a", "/d/b");
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 50; seed++) {
      outcomes.add(disk.crash(new Prng(seed)).list("/d").join());
    }
    expect([...outcomes].sort()).toEqual(["a", "b"]);
  });

  test("a failed sync forgets its pages, so that a later one saves nothing", () => {
    const disk = prepared();
    disk.inject({ operation: "sync", code: "io" });
    const file = disk.open("/d/a", {});
    expect(() => file.syncSync()).toThrow(DiskError);
    const lost = disk.crash(new Prng(3), "keepAll").content("/d/a");
    expect(lost.subarray(4096, 8192)).toEqual(bytes(4096, 1));
  });
});

describe("asynchronous writes", () => {
  test("complete in a later turn, or when pumped", async () => {
    const disk = new MemoryDisk();
    let done = 0;
    disk.open("/a", { create: true }).write(bytes(10, 1), 10, 0, () => done++);
    expect(done).toBe(0);
    await turnsUntil(() => done === 1);
    const manual = new MemoryDisk({ completion: "manual" });
    const order: number[] = [];
    const file = manual.open("/a", { create: true });
    for (let i = 0; i < 3; i++) file.write(bytes(10, i), 10, i * 10, () => order.push(i));
    manual.pumpOne(1);
    manual.pump();
    expect(order).toEqual([1, 0, 2]);
  });

  test("in flight at a crash may be torn even with dataSync; completed may not", () => {
    const disk = new MemoryDisk({ completion: "manual" });
    const file = disk.open("/a", { create: true, dataSync: true });
    disk.syncDirectory("/");
    file.writeSync(bytes(4096, 1), 0, 4096, 0);
    file.write(bytes(4096, 2), 4096, 0, () => undefined);
    const outcomes = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const content = disk.crash(new Prng(seed)).content("/a");
      outcomes.add(content.reduce((sum, byte) => sum + byte, 0));
    }
    expect(outcomes.size).toBeGreaterThan(3);
    disk.pump();
    expect(disk.crash(new Prng(1), "loseAll").content("/a")).toEqual(bytes(4096, 2));
  });
});

describe("changes of directories", () => {
  test("complete one at a time, in their order; a crash keeps those that were synced", () => {
    const disk = new MemoryDisk({ completion: "manual" });
    disk.open("/a", { create: true });
    disk.syncDirectory("/");
    let done = 0;
    const changes = [
      { kind: "rename", from: "/a", to: "/b" },
      { kind: "sync", path: "/" },
    ] as const;
    disk.change(changes, () => done++);
    expect(disk.list("/")).toEqual(["a"]);
    disk.pump(1);
    expect(disk.list("/")).toEqual(["b"]);
    expect(disk.crash(new Prng(1), "loseAll").list("/")).toEqual(["a"]);
    expect(done).toBe(0);
    disk.pump(1);
    expect(disk.crash(new Prng(1), "loseAll").list("/")).toEqual(["b"]);
    expect(done).toBe(1);
  });

  test("end with the first that fails", () => {
    const disk = new MemoryDisk({ completion: "manual" });
    const file = disk.open("/a", { create: true });
    file.close();
    const codes: (string | undefined)[] = [];
    const changes = ["/none", "/a"].map((path) => ({ kind: "remove", path }) as const);
    disk.change(changes, (error) => codes.push(error?.code));
    disk.pump();
    expect(codes).toEqual(["notFound"]);
    expect(disk.list("/")).toEqual(["a"]);
  });
});

describe("a killed process", () => {
  test("leaves writes in flight in the page cache, where a power cut may still take them", () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < 50; seed++) {
      const disk = new MemoryDisk({ completion: "manual" });
      const file = disk.open("/a", { create: true, dataSync: true });
      disk.syncDirectory("/");
      file.write(bytes(4096, 1), 4096, 0, () => expect.unreachable("nobody is left to be told"));
      disk.kill(new Prng(seed));
      disk.pump();
      sizes.add(disk.content("/a").length);
      expect(disk.crash(new Prng(1), "loseAll").content("/a").length).toBe(0);
    }
    expect(sizes.size).toBeGreaterThan(5);
  });
});

describe("faults", () => {
  test("strike the operation they are meant for", () => {
    const disk = prepared();
    disk.inject({ operation: "write", code: "io", skip: 1 });
    const file = disk.open("/d/a", {});
    file.writeSync(bytes(10, 1), 0, 10, 0);
    expect(() => file.writeSync(bytes(10, 1), 0, 10, 0)).toThrow("io at /d/a");
    file.writeSync(bytes(10, 1), 0, 10, 0);
  });

  test("a quota refuses growth only", () => {
    const disk = prepared();
    disk.quotaBytes = disk.usedBytes() + 5;
    const file = disk.open("/d/a", {});
    file.writeSync(bytes(10, 1), 0, 10, 0);
    expect(disk.freeBytes("/d")).toBe(5);
    expect(() => file.writeSync(bytes(10, 1), 0, 10, 12288)).toThrow("noSpace");
    file.writeSync(bytes(5, 1), 0, 5, 12288);
  });

  test("a halted machine does nothing more", () => {
    const disk = prepared();
    disk.haltAt(disk.operations + 1);
    const file = disk.open("/d/a", {});
    file.writeSync(bytes(10, 9), 0, 10, 0);
    expect(() => file.syncSync()).toThrow("stopped");
    expect(disk.halted).toBe(true);
  });
});

describe("a failed write with dataSync", () => {
  /** What is read right after it, and after a power cut that keeps whatever it may. */
  function left(leaves: FailedWrite): readonly Uint8Array[] {
    const disk = new MemoryDisk();
    disk.makeDirectory("/d");
    const file = disk.open("/d/a", { create: true, dataSync: true });
    file.writeSync(bytes(8192, 1), 0, 8192, 0);
    disk.syncDirectory("/d");
    disk.inject({ code: "io", operation: "write", leaves });
    expect(() => file.writeSync(bytes(8192, 2), 0, 8192, 0)).toThrow(DiskError);
    return [disk, disk.crash(new Prng(1), "keepAll"), disk.crash(new Prng(1), "loseAll")].map(
      (each) => each.content("/d/a"),
    );
  }

  const before = bytes(8192, 1);
  const written = bytes(8192, 2);

  test("leaves nothing, some of it, or all of it, to be kept or lost", () => {
    expect(left("nothing")).toEqual([before, before, before]);
    const half = Uint8Array.of(...bytes(4096, 2), ...bytes(4096, 1));
    expect(left("half")).toEqual([half, half, before]);
    expect(left("dirty")).toEqual([written, written, before]);
  });

  test("leaves all of it to be read and nothing to be kept, where its pages pass for clean", () => {
    expect(left("clean")).toEqual([written, before, before]);
  });
});

test("a bad sector fails all reads of it, after a power cut, too, until it is written", () => {
  const disk = prepared().crash(new Prng(1), "keepAll");
  disk.spoil("/d/a", 700);
  const after = disk.crash(new Prng(1));
  const file = after.open("/d/a", {});
  const target = new Uint8Array(12288);
  expect(() => file.readSync(target, 0, 512, 100)).toThrow(DiskError);
  expect(() => file.readSync(target, 0, 1, 1023)).toThrow(DiskError);
  expect(file.readSync(target, 0, 512, 0)).toBe(512);
  expect(file.readSync(target, 0, 512, 1024)).toBe(512);
  file.writeSync(bytes(512, 3), 0, 512, 512);
  expect(file.readSync(target, 0, 12288, 0)).toBe(12288);
});
