/** The log on the real file system: prepared and recycled segments, a start, a close. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import { SharedLog } from "../../src/log/shared-log.js";
import { turnsUntil } from "../support/test-env.js";
import { entries, outline, SMALL } from "./support.js";

test("what is committed to a real disk is there after a start", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "flotilla-log-"));
  try {
    const env = createNodeEnv({ tracer: { level: "error" } });
    const first = SharedLog.open(env, directory, "real", SMALL).log;
    for (let index = 1; index <= 40; index++) {
      first.append(1, 1, entries(1, index, 1, 1, 8000));
      if (index === 30) first.trim(1, 25);
      await new Promise<void>((resolve) => first.commit(resolve));
    }
    expect(first.stats().commits).toBe(40);
    expect(first.stats().syncMicros.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
    expect(first.stats().syncTotalMs).toBeGreaterThan(0);
    await first.close();
    const names = fs.readdirSync(directory);
    expect(names).not.toContain("0000000001.log");
    const { log, recovered } = SharedLog.open(env, directory, "real", SMALL);
    expect(outline(recovered.get(1))).toBe("26-40@1");
    await turnsUntil(() => log.stats().syncs > 0);
    await log.close();
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});
