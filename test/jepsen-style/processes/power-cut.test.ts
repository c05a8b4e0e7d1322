/**
 * Power cuts: a process changes files by the journal in front of its disk calls and is killed; what
 * it synced must be there afterwards, what it did not may not.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { JOURNAL_VARIABLE } from "../../../jepsen-style/processes/journal.js";
import { cutPower } from "../../../jepsen-style/processes/power-cut.js";
import { Prng } from "../../../src/base/prng.js";

const JOURNAL = resolve("dist/jepsen-style/processes/node-journal.js");
const SEEDS = 8;

let top: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "flotilla-power-"));
});

afterEach(() => {
  rmSync(top, { recursive: true, force: true });
});

/** Runs a program on an empty data directory until it kills itself, and cuts the power. */
async function crash(seed: number, program: string): Promise<string> {
  const [data, journals] = [join(top, `data-${seed}`), join(top, `journals-${seed}`)];
  mkdirSync(data);
  const script = `
    const { installJournal } = await import(${JSON.stringify(JOURNAL)});
    installJournal();
    const { default: fs } = await import("node:fs");
    const data = ${JSON.stringify(data)};
    const { O_RDWR, O_CREAT, O_DSYNC } = fs.constants;
    const put = (number, text, at) => fs.writeSync(number, Buffer.from(text), 0, text.length, at);
    const syncDirectory = () => {
      const number = fs.openSync(data, "r");
      fs.fsyncSync(number);
      fs.closeSync(number);
    };
    ${program}
    process.kill(process.pid, "SIGKILL");`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, [JOURNAL_VARIABLE]: journals },
    timeout: 20_000,
  });
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  expect(signal).toBe("SIGKILL");
  cutPower(journals, data, new Prng(seed));
  expect(existsSync(journals)).toBe(false);
  return data;
}

/** What came out over several cuts, each once. */
async function outcomes(program: string, look: (data: string) => string): Promise<string[]> {
  const seen = new Set<string>();
  for (let seed = 1; seed <= SEEDS; seed++) seen.add(look(await crash(seed, program)));
  return [...seen].sort();
}

const textOf = (data: string, name: string): string =>
  existsSync(join(data, name)) ? readFileSync(join(data, name), "latin1") : "none";

test("what was synced stays, what was written after that may go, old bytes back in place", async () => {
  const program = `
    const number = fs.openSync(data + "/a", O_RDWR | O_CREAT);
    put(number, "synced", 0);
    fs.fdatasyncSync(number);
    syncDirectory();
    put(number, "SYN", 0);
    put(number, "more", 6);`;
  const seen = await outcomes(program, (data) => textOf(data, "a"));
  expect(seen).toContain("synced");
  expect(seen.length).toBeGreaterThan(1);
  for (const text of seen) expect(text).toMatch(/^(synced|SYNced)(more)?$/);
}, 60_000);

test("a write that is durable when it completes stays", async () => {
  const program = `
    const number = fs.openSync(data + "/a", O_RDWR | O_CREAT | O_DSYNC);
    syncDirectory();
    put(number, "first", 0);
    await new Promise((done) => fs.write(number, Buffer.from("second"), 0, 6, 5, done));`;
  expect(await outcomes(program, (data) => textOf(data, "a"))).toEqual(["firstsecond"]);
}, 60_000);

test("names go with the directory's sync, in the order in which they were changed", async () => {
  const program = `
    const write = (name) => {
      const number = fs.openSync(data + "/" + name, O_RDWR | O_CREAT);
      put(number, name, 0);
      fs.fdatasyncSync(number);
      fs.closeSync(number);
    };
    write("old");
    syncDirectory();
    write("new");
    fs.renameSync(data + "/new", data + "/old");
    fs.unlinkSync(data + "/old");`;
  const seen = await outcomes(program, (data) => {
    return readdirSync(data)
      .sort()
      .map((name) => `${name}=${textOf(data, name)}`)
      .join(" ");
  });
  expect(seen).toContain("old=old");
  expect(seen.length).toBeGreaterThan(1);
  for (const text of seen) expect(["", "old=new", "old=old", "new=new old=old"]).toContain(text);
}, 60_000);
