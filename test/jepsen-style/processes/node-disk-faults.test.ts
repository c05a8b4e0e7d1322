/** Which calls of a process fail, and wait, while its disk is ordered to. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DISK_FAULTS_VARIABLE, NO_DISK_FAULTS } from "../../../jepsen-style/processes/orders.js";
import type { DiskFaults } from "../../../jepsen-style/processes/orders.js";

const FAULTS = resolve("dist/jepsen-style/processes/node-disk-faults.js");
const STALL_MS = 30;

let top: string;

beforeEach(() => {
  top = mkdtempSync(join(tmpdir(), "flotilla-disk-"));
});

afterEach(() => {
  rmSync(top, { recursive: true, force: true });
});

interface Attempt {
  /** The code of its error; null: it did what it was asked for. */
  readonly code: string | null;
  readonly tookMs: number;
}

const CALLS = `
  const later = (call, ...given) => new Promise((resolve, reject) =>
    call(...given, (error) => error ? reject(error) : resolve()));
  const calls = {
    writeSync: () => fs.writeSync(file, Buffer.from("x"), 0, 1, 0),
    write: () => later(fs.write, file, Buffer.from("x"), 0, 1, 0),
    fdatasyncSync: () => fs.fdatasyncSync(file),
    fsyncSync: () => fs.fsyncSync(directory),
    fsync: () => later(fs.fsync, directory),
    ftruncateSync: () => fs.ftruncateSync(file, 1),
    linkSync: () => fs.linkSync(top + "/a", top + "/b"),
    renameSync: () => fs.renameSync(top + "/a", top + "/c"),
    rename: () => later(fs.rename, top + "/c", top + "/d"),
    unlinkSync: () => fs.unlinkSync(top + "/d"),
    unlink: () => later(fs.unlink, top + "/b"),
  };`;

/** Tries each call once, the next one where the one before left the files. */
function attempts(faults: DiskFaults): Record<string, Attempt> {
  const [orders, data] = [join(top, "orders"), join(top, "a")];
  writeFileSync(orders, JSON.stringify(faults));
  writeFileSync(data, "data");
  const script = `
    const { installDiskFaults } = await import(${JSON.stringify(FAULTS)});
    const { default: fs } = await import("node:fs");
    const top = ${JSON.stringify(top)};
    const file = fs.openSync(top + "/a", "r+");
    const directory = fs.openSync(top, "r");
    installDiskFaults();
    ${CALLS}
    const told = {};
    for (const [name, call] of Object.entries(calls)) {
      const atMs = performance.now();
      let code = null;
      try { await call(); } catch (error) { code = error.code; }
      told[name] = { code, tookMs: performance.now() - atMs };
    }
    process.stdout.write(JSON.stringify(told));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...process.env, [DISK_FAULTS_VARIABLE]: orders },
    encoding: "utf8",
    timeout: 20_000,
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Record<string, Attempt>;
}

test("each call that changes a file, its names or a directory fails, and has done nothing", () => {
  const told = attempts({ ...NO_DISK_FAULTS, errorsPerMille: 1000 });
  expect(Object.keys(told)).toHaveLength(11);
  for (const [name, { code }] of Object.entries(told)) expect([name, code]).toEqual([name, "EIO"]);
  expect(readFileSync(join(top, "a"), "latin1")).toBe("data");
});

test("where only names fail, contents are written and synced", () => {
  const faults = { ...NO_DISK_FAULTS, errorsPerMille: 1000, errorsOf: "names" } as const;
  const told = Object.entries(attempts(faults));
  const well = told.filter(([, { code }]) => code === null).map(([name]) => name);
  expect(well).toEqual(["writeSync", "write", "fdatasyncSync"]);
});

test("the same calls wait, and then do what they were asked for", () => {
  const told = Object.entries(attempts({ ...NO_DISK_FAULTS, stallMs: STALL_MS }));
  for (const [name, { code }] of told) expect([name, code]).toEqual([name, null]);
  // Timers of a few milliseconds may be early by one.
  const early = told.filter(([, { tookMs }]) => tookMs < STALL_MS - 2).map(([name]) => name);
  expect(early).toEqual([]);
});

test("a healthy disk does all of them at once", () => {
  const told = Object.entries(attempts(NO_DISK_FAULTS));
  for (const [name, { code }] of told) expect([name, code]).toEqual([name, null]);
});
