/** A store on a disk that holds its data a few times, but not all that was ever written. */
import { expect, test } from "vitest";
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
