/** A cursor that met an error is closed: it shows neither an end nor memory that was let go of. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import { DIRECTORY, openOn } from "./embedded-bench.js";

const COUNT = 300;
const TABLES = `${DIRECTORY}/tables`;

/** A store with one table, in the middle of which a block is damaged, and newer keys in memory. */
async function openDamaged(): Promise<EmbeddedStore> {
  const disk = new MemoryDisk();
  const options = { sync: false, memtableBytesMax: 1024 * 1024, scrubBytesPerSecond: 0 };
  const store = await openOn(disk, options);
  for (let i = 0; i < COUNT; i++) await store.put(`key${1000 + i}`, new Uint8Array(200));
  await store.checkpoint("/copy");
  await store.close();
  const path = `${TABLES}/${disk.list(TABLES)[0]}`;
  const file = disk.open(path, { readOnly: true });
  disk.flipBit(path, Math.floor(file.sizeBytes() / 2) * 8);
  file.close();
  const reopened = await openOn(disk, options);
  for (let i = 0; i < COUNT; i++) await reopened.put(`new${1000 + i}`, "x");
  return reopened;
}

describe.each([{ reverse: false }, { reverse: true }])("a cursor with %o", (options) => {
  test("is closed by the damage that next meets", async () => {
    const store = await openDamaged();
    const cursor = store.cursor(options);
    const readAll = (): void => {
      while (cursor.next());
    };
    const closed = { code: "closed", outcome: "notApplied" };
    expect(readAll).toThrow(expect.objectContaining({ code: "corrupt" }));
    expect(() => cursor.next()).toThrow(expect.objectContaining(closed));
    expect(() => cursor.seek("new")).toThrow(expect.objectContaining(closed));
    await store.close();
  });

  test("is closed by the damage that seek meets", async () => {
    const store = await openDamaged();
    const cursor = store.cursor(options);
    const seekAll = (): void => {
      for (let i = 0; i < COUNT; i++) cursor.seek(`key${1000 + i}`);
    };
    expect(seekAll).toThrow(expect.objectContaining({ code: "corrupt" }));
    expect(() => cursor.next()).toThrow(expect.objectContaining({ code: "closed" }));
    await store.close();
  });
});
