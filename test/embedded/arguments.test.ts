/** What callers without types may pass: it is refused, and nothing of it reaches the disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openStore } from "../../src/embedded/index.js";
import type { BytesLike } from "../../src/embedded/index.js";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flotilla-embedded-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

test("keys and values that are neither bytes nor text are refused", async () => {
  const store = await openStore(join(directory, "s"));
  const wrong = [2, { a: 1 }, undefined, null, [1, 2]] as unknown as readonly BytesLike[];
  for (const value of wrong) {
    const refusal = { code: "invalidArgument", outcome: "notApplied" };
    await expect(store.put("k", value)).rejects.toMatchObject(refusal);
    await expect(store.put(value, "v")).rejects.toMatchObject(refusal);
    await expect(store.delete(value)).rejects.toMatchObject(refusal);
    expect(() => store.batch().put("k", value)).toThrow("keys and values are bytes or text");
    expect(() => store.get(value)).toThrow("keys and values are bytes or text");
  }
  await store.put("after", "1");
  await store.close();
  const again = await openStore(join(directory, "s"));
  expect([...again.range()]).toHaveLength(1);
  await again.close();
});

test("a store that is open already says so", async () => {
  const store = await openStore(join(directory, "s"));
  await expect(openStore(join(directory, "s"))).rejects.toMatchObject({
    code: "unavailable",
    outcome: "notApplied",
    message: expect.stringContaining("is in use") as string,
  });
  await store.close();
});
