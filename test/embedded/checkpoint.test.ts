/** A checkpoint never touches what is in its directory already. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { openOn } from "./embedded-bench.js";

const REFUSED: object = { name: "KvError", code: "invalidArgument", outcome: "notApplied" };

describe("a checkpoint of an embedded store", () => {
  test("is refused where a store is, which stays whole", async () => {
    const disk = new MemoryDisk();
    const other = await openOn(disk, {}, "/other");
    for (let i = 0; i < 20; i++) await other.put(`precious${i}`, "kept");
    await other.checkpoint("/copy");
    await other.put("last", "kept");
    const store = await openOn(disk);
    await store.put("key", "value");
    await expect(store.checkpoint("/other")).rejects.toMatchObject(REFUSED);
    await expect(store.checkpoint("/copy")).rejects.toMatchObject(REFUSED);
    await store.close();
    await other.close();
    for (const [directory, count] of [["/other", 21] as const, ["/copy", 20] as const]) {
      const reopened = await openOn(disk, {}, directory);
      expect([...reopened.range()]).toHaveLength(count);
      expect(reopened.get("key")).toBeUndefined();
      await reopened.close();
    }
  });

  test("is refused where the store itself is", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk, {}, "/own");
    await expect(store.checkpoint("/own")).rejects.toMatchObject(REFUSED);
    await store.put("key", "value");
    await store.checkpoint("/copy");
    await store.close();
    const reopened = await openOn(disk, {}, "/own");
    expect([...reopened.range()]).toHaveLength(1);
    await reopened.close();
  });

  test("is refused where a file is, and made where nothing is", async () => {
    const disk = new MemoryDisk();
    disk.makeDirectory("/used");
    disk.open("/used/file", { create: true }).close();
    disk.makeDirectory("/empty");
    const store = await openOn(disk);
    await expect(store.checkpoint("/used")).rejects.toMatchObject(REFUSED);
    expect(disk.list("/used")).toEqual(["file"]);
    await store.checkpoint("/empty");
    await (await openOn(disk, {}, "/empty")).close();
    await store.close();
  });
});
