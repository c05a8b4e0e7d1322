/** Which directory a store is in, whose it is, and what else may be put there. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { DIRECTORY, openOn } from "./embedded-bench.js";

/** The program goes to other directories while it runs. */
class RoamingDisk extends MemoryDisk {
  at = "/first";

  override absolute(path: string): string {
    return path.startsWith("/") ? path : `${this.at}/${path}`;
  }
}

describe("the directory of a store", () => {
  test("is not touched while somebody else has it, be there a store in it yet or not", async () => {
    const disk = new MemoryDisk();
    disk.makeDirectory(DIRECTORY);
    const lock = await disk.lock(DIRECTORY);
    await expect(openOn(disk)).rejects.toMatchObject({ code: "unavailable" });
    expect(disk.list(DIRECTORY)).toEqual([]);
    lock.release();
    await (await openOn(disk)).close();
  });

  test("is the same wherever the program goes, and so are those that it is copied to", async () => {
    const disk = new RoamingDisk();
    const store = await openOn(disk, {}, "store");
    const copying = store.checkpoint("copy");
    disk.at = "/second";
    await copying;
    const saving = store.backup("backups");
    disk.at = "/third";
    await saving;
    await store.put("a", "later");
    await store.close();
    const places = ["/first/store", "/first/copy", "/second/backups"];
    expect(places.filter((place) => disk.exists(`${place}/tables`))).toEqual(places);
    const again = await openOn(disk, {}, "/first/store");
    expect([...again.range()]).toHaveLength(1);
    await again.close();
  });

  test("takes no checkpoint: the store may have that name for something", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk);
    await store.put("a", "1");
    await expect(store.checkpoint(`${DIRECTORY}/manifest-77`)).rejects.toMatchObject({
      code: "invalidArgument",
    });
    expect(disk.exists(`${DIRECTORY}/manifest-77`)).toBe(false);
    await store.close();
  });
});
