/** Processes on a real disk, killed: the short version of the loop. It needs the built files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { killLoop } from "../../../jepsen-style/storage/kills.js";

test("a killed process loses nothing that it called durable", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-kills-"));
  const script = "dist/jepsen-style/storage/kill-child.js";
  const { kills, entries, problems } = await killLoop(directory, { script, seed: 3, kills: 4 });
  rmSync(directory, { recursive: true });
  expect(problems).toEqual([]);
  expect(kills).toBe(4);
  expect(entries).toBeGreaterThan(0);
}, 60_000);
