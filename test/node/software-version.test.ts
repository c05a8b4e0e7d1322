/** The version that the software reports is the package's. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SOFTWARE_VERSION } from "../../src/node/software-version.js";

test("is the version in package.json", () => {
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  expect(SOFTWARE_VERSION).toBe(version);
});
