/** SIGKILL in the middle of writes, flushes and merges on a real disk, again and again. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import { inlineJobs } from "../../src/env/jobs.js";
import { nodeDisk } from "../../src/env/node/node-disk.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";

const WRITER = "dist/test/embedded/kill-writer.js";
const ROUNDS = 6;

const parent = mkdtempSync(join(tmpdir(), "flotilla-kill-"));
const directory = join(parent, "store");

afterAll(() => rmSync(parent, { recursive: true, force: true }));

/** Runs the writer, kills it, and gives the last batch that it said was durable. */
function writeAndKill(afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [WRITER, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text: string) => {
    // Killed some time after its first word: how long a start takes is not the matter here.
    if (output === "") setTimeout(() => child.kill("SIGKILL"), afterMs);
    output += text;
  });
  return new Promise((resolve) => {
    child.once("close", () => {
      const lines = output.slice(0, output.lastIndexOf("\n")).split("\n");
      resolve(Number(lines.at(-1)));
    });
  });
}

/** How many batches came back, all of them whole. */
async function countAfter(): Promise<number> {
  const jobs = inlineJobs((job) => runStoreJob(nodeDisk, job as StoreJob | CheckJob));
  const env = { ...createNodeEnv({ tracer: { level: "error" } }), jobs };
  const store = await EmbeddedStore.open(env, directory);
  const count = Number(utf8Text(store.get("count") ?? new Uint8Array()));
  const found = [...store.range({ start: "key" })].map(([key]) => utf8Text(key));
  const expected = Array.from({ length: Math.min(count, 100) }, (_, i) => `key${count - i}`);
  await store.close();
  expect(found).toEqual(expected.toSorted());
  return count;
}

test("nothing that was durable is lost, and no batch is halved", { timeout: 60_000 }, async () => {
  expect(existsSync(WRITER), "build first: npm run build").toBe(true);
  const prng = new Prng(11);
  let before = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const durable = await writeAndKill(prng.between(20, 700));
    expect(durable).toBeGreaterThan(before);
    before = await countAfter();
    expect(before).toBeGreaterThanOrEqual(durable);
  }
});
