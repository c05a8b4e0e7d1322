/** A snapshot whose place in the manifest cannot be written: the store says so and ends. */
import { expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { flushedAt, openStore } from "./store-bench.js";

/** More than the manifest holds in reserve. */
const LONG_KEY_BYTES = 100 * 1024;

test("a full disk at the last step of an install ends the store through onFailure", async () => {
  const disk = new MemoryDisk();
  const failures: Error[] = [];
  const { store } = await openStore(disk, { onFailure: (error) => failures.push(error) });
  const range = { start: new Uint8Array(LONG_KEY_BYTES).fill(1), end: undefined };
  const install = store.beginInstall(1, range);
  install.prepare([]);
  expect(store.failed).toBe(false);
  disk.quotaBytes = 0;
  expect(() => install.finish(flushedAt(60), [])).toThrow("noSpace");
  expect(store.failed).toBe(true);
  expect(failures).toHaveLength(1);
  expect(store.tree(1)).toBeUndefined();
  await store.close();
});
