/** Power cuts and errors at every operation of the disk: the short versions of the campaigns. */
import { expect, test } from "vitest";
import { crashEverywhere } from "../../../jepsen-style/storage/crashes.js";
import { errorsEverywhere } from "../../../jepsen-style/storage/errors.js";

test("a power cut before any operation loses nothing", async () => {
  const { cuts, problems } = await crashEverywhere(1, 40);
  expect(problems).toEqual([]);
  expect(cuts).toBeGreaterThan(100);
}, 60_000);

test("an error at any operation loses nothing, and lack of room ends nothing", async () => {
  const { injected, survived, problems } = await errorsEverywhere(4, 40, 4);
  expect(problems).toEqual([]);
  expect(injected).toBeGreaterThan(30);
  expect(survived).toBeGreaterThan(8);
}, 60_000);
