/** flotilla restore, and flotilla check of backups: what they say, on a disk in memory. */
import { beforeEach, describe, expect, test } from "vitest";
import { runFlotilla } from "../../src/cli/run-flotilla.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { BACKUPS, BackedUp, envOn } from "../support/backed-up.js";
import { FakeTerminal } from "./fake-terminal.js";

let disk: MemoryDisk;

async function flotilla(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const terminal = new FakeTerminal();
  const code = await runFlotilla(args, terminal, {
    connect: () => Promise.reject(new Error("no cluster here")),
    startNode: () => Promise.reject(new Error("no node here")),
    openDisk: () => Promise.resolve(disk),
    openEnv: () => Promise.resolve(envOn(disk)),
  });
  return { code, out: terminal.out.text, err: terminal.err.text };
}

/** Two backups of a cluster. */
beforeEach(async () => {
  disk = new MemoryDisk();
  const source = await BackedUp.open();
  for (let i = 0; i < 2; i++) {
    await source.fill(30);
    await source.backUp(disk);
  }
  await source.close();
});

describe("flotilla restore", () => {
  test("takes the newest backup, or the one that is named", async () => {
    const newest = await flotilla("restore", BACKUPS, "--data-dir", "/n1", "--name", "n1");
    expect([newest.code, newest.err]).toEqual([0, ""]);
    expect(newest.out).toMatch(
      /^Backup 2 restored to \/n1: node n1 of 1 of cluster [0-9a-f]{16}, /,
    );
    expect(newest.out).toMatch(/, 4 shards, .* KiB, in \S+\n$/);
    const nodes = "a=h:1,b=h:2,c=h:3";
    const args = ["--data-dir", "/b", "--name", "b", "--initial-cluster", nodes, "--backup", "1"];
    expect((await flotilla("restore", BACKUPS, ...args)).out).toContain("Backup 1 restored");
    for (const directory of ["/n1", "/b"]) {
      expect((await flotilla("check", directory)).out).toContain("no damage");
    }
  });

  test("refuses what it cannot do, and changes nothing", async () => {
    const before = disk.operations;
    const cases: readonly (readonly [readonly string[], string])[] = [
      [["restore", BACKUPS], "--data-dir is missing"],
      [["restore", BACKUPS, "--data-dir", BACKUPS], "is not empty"],
      [["restore", BACKUPS, "--data-dir", "/n", "--backup", "7"], "there are: 1, 2"],
      [["restore", "/nothing", "--data-dir", "/n"], "there is no backup in /nothing"],
      [["restore", BACKUPS, "--data-dir", "/n", "--initial-cluster", "a=h:1"], "must name this"],
      [["restore", BACKUPS, "--data-dir", "/n", "--initial-cluster", "a"], "must be nodes"],
    ];
    for (const [args, text] of cases) {
      const { code, err } = await flotilla(...args);
      expect(code).not.toBe(0);
      expect(err).toContain(text);
    }
    expect(disk.operations).toBe(before);
  });

  test("says of a full disk, and of a damaged backup, what to do", async () => {
    const args = ["restore", BACKUPS, "--data-dir", "/n"];
    disk.quotaBytes = disk.usedBytes() + 2000;
    const full = await flotilla(...args);
    expect([full.code, full.err]).toEqual([6, expect.stringContaining("make room")]);
    disk.quotaBytes = Infinity;
    const [table = ""] = disk.list(`${BACKUPS}/tables`);
    disk.flipBit(`${BACKUPS}/tables/${table}`, 500);
    const damaged = await flotilla(...args);
    expect([damaged.code, damaged.err]).toEqual([1, expect.stringContaining("flotilla check")]);
  });

  test("makes a store of a backup of one", async () => {
    const store = await EmbeddedStore.open(envOn(disk), "/fruit");
    await store.put("apple", "red");
    await store.backup("/fruits");
    await store.close();
    const named = await flotilla("restore", "/fruits", "--data-dir", "/again", "--name", "n1");
    expect(named.err).toContain("has no nodes to name");
    const { code, out } = await flotilla("restore", "/fruits", "--data-dir", "/again");
    expect([code, out]).toEqual([0, expect.stringContaining("restored to /again: a store")]);
    const again = await EmbeddedStore.open(envOn(disk), "/again");
    expect(Buffer.from(again.get("apple")!).toString()).toBe("red");
    await again.close();
  });
});

describe("flotilla check of backups", () => {
  test("reads each table once, and changes nothing", async () => {
    const before = disk.operations;
    const { code, out } = await flotilla("check", BACKUPS);
    expect(code).toBe(0);
    expect(out).toMatch(/^2 backups, 6 tables, .* KiB checked, no damage\n$/);
    expect(disk.operations).toBe(before);
  });

  test("names the backups that a damaged table, or a damaged listing, takes with it", async () => {
    const tables = disk.list(`${BACKUPS}/tables`);
    for (const name of tables) disk.flipBit(`${BACKUPS}/tables/${name}`, 500);
    const { code, out, err } = await flotilla("check", BACKUPS);
    expect([code, out.match(/lost: .* 1, 2\n/g)?.length]).toEqual([1, 3]);
    expect(out.match(/lost: .* 2\n/g)).toHaveLength(6);
    expect(err).toContain("a new backup");
    disk.flipBit(`${BACKUPS}/backup-2`, 500);
    const second = JSON.parse((await flotilla("check", BACKUPS, "--json")).out);
    expect(second).toMatchObject({ backups: [1, 2], tables: 3, damages: 4 });
  });
});
