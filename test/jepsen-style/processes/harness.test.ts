/**
 * The harness itself, as a person runs it: a short run is valid and leaves a report, a known bug is
 * found, and when it is killed nothing that it started is left.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { eventually } from "../../support/eventually.js";
import { ProcessCluster, runNode } from "../../support/processes.js";

const MAIN = "dist/jepsen-style/main.js";
const out = mkdtempSync(join(tmpdir(), "flotilla-harness-"));

afterAll(() => {
  rmSync(out, { recursive: true, force: true });
});

function harness(...words: string[]): ReturnType<typeof runNode> {
  return runNode([MAIN, "--nodes", "3", "--out", out, ...words]);
}

function reportIn(printed: string): string {
  const path = /^report +(.+)$/m.exec(printed)?.[1] ?? "";
  return readFileSync(path, "utf8");
}

test("it lists what there is, what waits, and refuses what is not", async () => {
  const { code, stdout } = await runNode([MAIN, "--list"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^ {2}register +put, delete/m);
  expect(stdout).toMatch(/^ {2}splits .*\(waits for splits by command\)$/m);
  expect(stdout).toMatch(/^ {2}partition +halves/m);
  expect(stdout).toMatch(/^ {2}versions .*\(waits for a second version\)$/m);
  expect(stdout).toMatch(/^Faults of the simulator alone.*\n {2}messages /m);
  for (const wrong of [
    ["--workload", "nothing"],
    ["--workload", "splits"],
    ["--nemesis", "nothing"],
    ["--nemesis", "versions"],
    ["--nodes", "2"],
    ["--api", "telnet"],
    ["--mutant", "nothing"],
    ["--workload", "shards", "--api", "json"],
    ["--endpoints", "127.0.0.1:1", "--nemesis", "kill"],
  ]) {
    expect([wrong, (await runNode([MAIN, ...wrong])).code]).toEqual([wrong, 2]);
  }
}, 60_000);

test("a short run is valid, and leaves a page that stands alone", async () => {
  const { code, stdout } = await harness("--nemesis", "partition", "--time", "4", "--seed", "4");
  expect([code, stdout]).toEqual([0, expect.stringMatching(/\nvalid\n$/)]);
  const page = reportIn(stdout);
  expect(page).toMatch(
    /--workload register --nemesis partition --nodes 3 --links \w+ --time 4 --seed 4/,
  );
  expect(page.match(/<svg /g)).toHaveLength(3);
  expect(page).not.toMatch(/<script|<link|src=|url\(|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
}, 120_000);

test("of many runs one that breaks off does not end the others, and is told at the end", async () => {
  const nobody = ["--endpoints", "127.0.0.1:1", "--minutes", "0.001"];
  const { code, stdout } = await runNode([MAIN, ...nobody]);
  expect([code, stdout]).toEqual([1, expect.stringMatching(/^run 1 of 1; so far none$/m)]);
  expect(stdout).toMatch(/^\| register .*\| broke off \|$/m);
  expect(stdout).toMatch(/\nbroke off: npm run -s jepsen -- --workload register --endpoints/);
  const { code: short, stdout: told } = await harness("--short", "--seed", "2");
  expect([short, told]).toEqual([0, expect.stringMatching(/\n2 runs: 2 valid\n$/)]);
}, 240_000);

test.each(["json", "grpc"])(
  "etcd's API is enough for a run: %s",
  async (api) => {
    const words = ["--api", api, "--workload", "append,watch,lock,ids", "--nemesis", "none"];
    const { code, stdout } = await harness(...words, "--time", "6", "--clients", "3");
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\nvalid\n$/)]);
  },
  120_000,
);

test("a cluster of somebody else's serves as well, and runs on afterwards", async () => {
  const cluster = await ProcessCluster.start();
  try {
    const words = ["--workload", "register,set,lock", "--time", "3", "--clients", "2"];
    const { code, stdout } = await harness("--endpoints", cluster.endpoints, ...words);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/\nvalid\n$/)]);
    expect(await cluster.flotctl("get", "ready", "--print-value-only")).toBe("yes\n");
  } finally {
    await cluster.close();
  }
}, 120_000);

test("a known bug is found, and shown on the page", async () => {
  const bug = ["--mutant", "follower-reads-own-state", "--nemesis", "none", "--time", "6"];
  const { code, stdout } = await harness(...bug);
  expect([code, stdout]).toEqual([1, expect.stringMatching(/\ninvalid\n$/)]);
  const page = reportIn(stdout);
  expect(page).toContain("operations around the offence");
  expect(page).toContain("--mutant follower-reads-own-state");
}, 120_000);

test("killed, it leaves no process behind, not even one that is held", async () => {
  const child = spawn(
    process.execPath,
    [MAIN, "--nodes", "3", "--out", out, "--nemesis", "pause", "--time", "60", "--seed", "9"],
    { stdio: "ignore", timeout: 120_000 },
  );
  const ownNodes = (): readonly string[] =>
    readdirSync("/proc").filter((pid) => {
      const path = `/proc/${pid}/cmdline`;
      if (!/^\d+$/.test(pid) || !existsSync(path)) return false;
      const line = readFileSync(path, "utf8");
      return line.includes(out) && line.includes("flotilla.js");
    });
  await eventually(() => ownNodes().some(isHeld), 90_000);
  expect(ownNodes()).toHaveLength(3);
  child.kill("SIGKILL");
  await eventually(() => ownNodes().length === 0, 20_000);
}, 180_000);

function isHeld(pid: string): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && /\) T /.test(readFileSync(path, "utf8"));
}
