/**
 * The shell functions that meet a stranger's machine first: they must say what is missing. A
 * directory of stand-ins for node and npm plays the machine.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let machine = "";

beforeEach(() => {
  machine = mkdtempSync(join(tmpdir(), "flotilla-setup-"));
});

afterEach(() => {
  rmSync(machine, { recursive: true });
});

function install(name: string, prints: string): void {
  const path = join(machine, name);
  writeFileSync(path, `#!/bin/sh\necho ${prints}\n`);
  chmodSync(path, 0o755);
}

function requireNode(hidesSystem: boolean): { status: number | null; said: string } {
  const shell = spawnSync("/bin/bash", ["-c", "source scripts/setup.sh; require_node"], {
    encoding: "utf8",
    env: { PATH: hidesSystem ? machine : `${machine}:/usr/bin:/bin` },
  });
  return { status: shell.status, said: shell.stdout + shell.stderr };
}

test("a machine without node is told so", () => {
  const { status, said } = requireNode(true);
  expect(status).toBe(1);
  expect(said).toContain("one of them is not on the PATH");
});

test.each([
  ["v20.18.3", 1],
  ["v9.0.0", 1],
  ["v20.19.0", 0],
  ["v20.20.2", 0],
  ["v100.0.0", 0],
])("node %s", (version, status) => {
  install("node", version);
  install("npm", "10.0.0");
  const outcome = requireNode(false);
  expect(outcome.status).toBe(status);
  expect(outcome.said.includes(`this is ${version}`)).toBe(status !== 0);
});
