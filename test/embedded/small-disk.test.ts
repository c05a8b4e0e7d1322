/** A store on a disk that holds its data a few times, but not all that was ever written. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { openOn } from "./embedded-bench.js";

const KIB = 1024;
const MIB = 1024 * KIB;
const KEY_COUNT = 2000;
const VALUE = new Uint8Array(3000);

test("a disk that fills with what was overwritten is emptied again, and takes writes", async () => {
  const disk = new MemoryDisk({ quotaBytes: 20 * MIB });
  const store = await openOn(disk, {
    sync: false,
    memtableBytesMax: 2 * MIB,
    blockCacheBytes: MIB,
  });
  const prng = new Prng(1);
  let refused = 0;
  const put = (): Promise<void> => store.put(`key${prng.between(0, KEY_COUNT - 1)}`, VALUE);
  for (let i = 0; i < 20_000; i++) await put().catch(() => refused++);
  await store.idle();
  await put();
  await store.close();
  expect(refused).toBe(0);
});

describe("on a full disk", () => {
  test("copies are refused, and made once there is room", async () => {
    const disk = new MemoryDisk();
    const store = await openOn(disk, { memtableBytesMax: 2 * MIB });
    await store.put("a", VALUE);
    disk.quotaBytes = disk.usedBytes();
    const refusal = { code: "noSpace", outcome: "notApplied" };
    await expect(store.checkpoint("/copy")).rejects.toMatchObject(refusal);
    await expect(store.backup("/backups")).rejects.toMatchObject(refusal);
    disk.quotaBytes = Infinity;
    await store.idle();
    await store.checkpoint("/copy");
    await store.backup("/backups");
    await store.close();
    const copy = await openOn(disk, {}, "/copy");
    expect([...copy.range()]).toHaveLength(1);
    await copy.close();
  });
});
