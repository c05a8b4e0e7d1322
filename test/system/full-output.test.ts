/**
 * A node whose own output goes to a file on a full disk: what it would say is lost, and it serves
 * on. A real process, whose streams end at the device that never has room.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.js";
import { freeAddress } from "../support/ports.js";
import { runNode } from "../support/processes.js";

const FULL = "/dev/full";
const LIFETIME_MS = 60_000;

const directory = mkdtempSync(join(tmpdir(), "flotilla-full-output-"));
let node: ChildProcess | undefined;

afterEach(() => {
  node?.kill("SIGKILL");
  rmSync(directory, { recursive: true, force: true });
});

test.runIf(existsSync(FULL))(
  "serves, and says nothing",
  async () => {
    const client = await freeAddress();
    const output = openSync(FULL, "w");
    const places = ["--data-dir", directory, "--listen-client", client, "--listen-peer"];
    node = spawn(
      process.execPath,
      ["dist/src/cli/flotilla.js", "start", ...places, await freeAddress(), "--log-level", "debug"],
      { stdio: ["ignore", output, output], timeout: LIFETIME_MS },
    );
    closeSync(output);
    const put = ["dist/src/cli/flotctl.js", "put", "a", "b", "--endpoints", client];
    await eventually(async () => (await runNode(put)).code === 0, 30_000);
    expect(node.exitCode).toBe(null);
  },
  60_000,
);
