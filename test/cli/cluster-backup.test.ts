/** Backups of a cluster from the side that makes them: power cuts, full disks, what nodes send. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { checkBackups } from "../../src/cli/backup-check.js";
import { notApplied } from "../../src/protocol/errors.js";
import { backupNumbers, backupTables, listingPath } from "../../src/store/backup-listing.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { orHalt } from "../store/store-bench.js";
import { BACKED_UP, BACKUPS, BackedUp, envOn } from "../support/backed-up.js";

async function damagesOn(disk: MemoryDisk): Promise<readonly string[]> {
  const { findings } = await checkBackups(envOn(disk), BACKUPS);
  return findings.map(({ what }) => what);
}

describe("a backup of a cluster", () => {
  test("that loses power is whole or absent, and the next one goes on with what it left", async () => {
    const source = await BackedUp.open();
    await source.fill(30);
    const before = new MemoryDisk();
    await source.backUp(before);
    await source.fill(30);
    const whole = before.crash(new Prng(1), "loseAll");
    const start = whole.operations;
    const all = await source.backUp(whole);
    const operations = whole.operations - start;
    const found = new Set<number>();
    const copied = new Set<number>();
    for (let halt = 1; halt <= operations; halt++) {
      const disk = before.crash(new Prng(1), "loseAll");
      disk.haltAt(disk.operations + halt);
      await orHalt(
        disk,
        source.backUp(disk).catch(() => undefined),
      );
      const survivor = disk.crash(new Prng(halt), halt % 2 === 0 ? "loseAll" : "mixed");
      const numbers = backupNumbers(survivor, BACKUPS);
      found.add(numbers.length);
      expect(await damagesOn(survivor)).toEqual([]);
      const again = await source.backUp(survivor);
      copied.add(again.copiedTables);
      expect(again.number).toBe(numbers.length + 1);
      expect(await damagesOn(survivor)).toEqual([]);
      const drafts = survivor.list(backupTables(BACKUPS)).filter((name) => name.endsWith("draft"));
      expect(drafts).toEqual([]);
    }
    expect(found).toEqual(new Set([1, 2]));
    // From the beginning, and from every table on.
    expect(copied).toEqual(
      new Set(Array.from({ length: all.copiedTables + 1 }, (_, count) => count)),
    );
    expect(source.pinned).toBe(0);
    await source.close();
  });

  test("leaves as many as are wanted, each whole, and loses none to a cut of power", async () => {
    const source = await BackedUp.open();
    const before = new MemoryDisk();
    for (let i = 0; i < 3; i++) {
      await source.fill(30);
      await source.backUp(before);
    }
    await source.fill(30);
    const whole = before.crash(new Prng(1), "loseAll");
    const start = whole.operations;
    expect(await source.backUp(whole, { keep: 2 })).toMatchObject({ number: 4, removed: 2 });
    const operations = whole.operations - start;
    expect(backupNumbers(whole, BACKUPS)).toEqual([3, 4]);
    expect(await damagesOn(whole)).toEqual([]);
    for (let halt = 1; halt <= operations; halt++) {
      const disk = before.crash(new Prng(1), "loseAll");
      disk.haltAt(disk.operations + halt);
      await orHalt(
        disk,
        source.backUp(disk, { keep: 2 }).catch(() => undefined),
      );
      const survivor = disk.crash(new Prng(halt), "mixed");
      expect(backupNumbers(survivor, BACKUPS)).toContain(3);
      expect(await damagesOn(survivor)).toEqual([]);
      await source.backUp(survivor, { keep: 2 });
      expect(backupNumbers(survivor, BACKUPS)).toHaveLength(2);
      expect(await damagesOn(survivor)).toEqual([]);
    }
    await source.close();
  });

  test("removes none where one that is to stay is damaged", async () => {
    const source = await BackedUp.open();
    const disk = new MemoryDisk();
    for (let i = 0; i < 3; i++) {
      await source.fill(30);
      await source.backUp(disk);
    }
    disk.flipBit(listingPath(BACKUPS, 2), 300);
    await expect(source.backUp(disk, { keep: 3 })).rejects.toThrow("no older one was removed");
    expect(backupNumbers(disk, BACKUPS)).toEqual([1, 2, 3, 4]);
    await source.close();
  });

  test("on a full disk says so, leaves earlier ones whole, and goes on with room", async () => {
    const source = await BackedUp.open();
    await source.fill(30);
    const disk = new MemoryDisk();
    await source.backUp(disk);
    await source.fill(30);
    disk.quotaBytes = disk.usedBytes() + 2000;
    await expect(source.backUp(disk)).rejects.toMatchObject({ code: "noSpace" });
    expect(source.pinned).toBe(0);
    expect(backupNumbers(disk, BACKUPS)).toEqual([1]);
    expect(await damagesOn(disk)).toEqual([]);
    disk.quotaBytes = Infinity;
    expect(await source.backUp(disk)).toMatchObject({ number: 2 });
    await source.close();
  });

  test("takes no table that is not what was written, but asks for it once more", async () => {
    const source = await BackedUp.open();
    await source.fill(30);
    const disk = new MemoryDisk();
    let flips = 1;
    const flipping = source.but({
      backupRead: async (...args: Parameters<BackedUp["backupRead"]>) => {
        const { bytes } = await source.backupRead(...args);
        if (flips-- > 0) bytes[20]! ^= 4;
        return { bytes };
      },
    });
    await source.backUp(disk, { admin: flipping });
    expect(await damagesOn(disk)).toEqual([]);
    flips = Infinity;
    await source.fill(30);
    await expect(source.backUp(disk, { admin: flipping })).rejects.toThrow("is damaged");
    expect(backupNumbers(disk, BACKUPS)).toEqual([1]);
    await source.close();
  });

  test("follows the leaders, and asks again where a node does not answer", async () => {
    const source = await BackedUp.open();
    await source.fill(30);
    const asked: string[] = [];
    const moving = source.but({
      backupOpen: async (
        ...[endpoint, { shards }, timeoutMs]: Parameters<BackedUp["backupOpen"]>
      ) => {
        asked.push(endpoint);
        if (asked.length === 1) throw notApplied("unavailable", "it is gone");
        if (endpoint === "n3:1") return source.backupOpen(endpoint, { shards }, timeoutMs);
        const elsewhere = shards.map(({ shardId }) => ({ shardId, leaderNodeId: 3 }));
        return { ...(await source.backupOpen(endpoint, { shards: [] }, timeoutMs)), elsewhere };
      },
    });
    const report = await source.backUp(new MemoryDisk(), { admin: moving });
    expect(report.shards).toBe(BACKED_UP.shards.length);
    expect(asked.at(-1)).toBe("n3:1");
    expect(source.pinned).toBe(0);
    await source.close();
  });
});
