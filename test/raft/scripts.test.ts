/**
 * Each file of scripts/ tells a known hard case and what the cluster has to say to it. Run with
 * REWRITE=1 to take over what it says now, and read the difference before you keep it.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runScript } from "./script.js";

const FOLDER = join(process.cwd(), "test/raft/scripts");
const isRewriting = process.env["REWRITE"] === "1";

describe("scripts", () => {
  for (const file of readdirSync(FOLDER).sort()) {
    const title = file.replace(".txt", "").replaceAll("-", " ");
    test(`${title}`, () => {
      const path = join(FOLDER, file);
      const expected = readFileSync(path, "utf8");
      const actual = runScript(expected);
      if (isRewriting) writeFileSync(path, actual);
      expect(actual).toBe(isRewriting ? actual : expected);
    });
  }
});
