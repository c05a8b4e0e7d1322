/**
 * The disk of a node that was started for a test: writes and syncs that stall or fail, directories
 * that cannot be changed or synced, and files that find no room, as a file says which the harness
 * writes. Every thread looks there at each call that may wait for the disk anyway. What fails has
 * done nothing. Opening, reading and closing are left alone.
 *
 * It stands in front of node:fs, so the product's own disk port runs unchanged, its handling of
 * errors included.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { DISK_FAULTS_VARIABLE, NO_DISK_FAULTS } from "./orders.js";
import type { DiskFaults } from "./orders.js";

const path = process.env[DISK_FAULTS_VARIABLE];
/** The calls as they were when the faults were put in front of them. */
const below = { ...fs };
const sleeper = new Int32Array(new SharedArrayBuffer(4));
/** A draw for each call: the harness's seed has no say in the order of a node's calls. */
let calls = 0;

type Done = (error: NodeJS.ErrnoException | null) => void;
type Call = "write" | "fdatasync" | "fsync" | "ftruncate" | "rename" | "link" | "unlink";
/** The frequent ones; files are synced by fdatasync, directories by fsync. */
const CONTENT_CALLS: readonly Call[] = ["write", "fdatasync"];

type WriteDone = (error: NodeJS.ErrnoException | null, count: number) => void;

export function installDiskFaults(): void {
  if (path === undefined) return;
  Object.assign(below, fs);
  Object.assign(fs, { write, writeSync, statfsSync, ...SYNCHRONOUS, ...LATER });
  syncBuiltinESMExports();
}

function faults(): DiskFaults {
  try {
    const text = below.readFileSync(path!, "utf8");
    return text === "" ? NO_DISK_FAULTS : (JSON.parse(text) as DiskFaults);
  } catch {
    // Not written yet, or being replaced: a healthy disk.
    return NO_DISK_FAULTS;
  }
}

function writeSync(
  descriptor: number,
  source: Uint8Array,
  offset: number,
  length: number,
  position: number,
): number {
  const now = faults();
  stall(now);
  const error = errorOf(now, "write") ?? fullError(now, descriptor, position + length);
  if (error !== undefined) throw error;
  return below.writeSync(descriptor, source, offset, length, position);
}

function write(
  descriptor: number,
  source: Uint8Array,
  offset: number,
  length: number,
  position: number,
  done: WriteDone,
): void {
  const now = faults();
  const run = (): void => {
    const error = errorOf(now, "write") ?? fullError(now, descriptor, position + length);
    if (error !== undefined) done(error, 0);
    else below.write(descriptor, source, offset, length, position, done);
  };
  soon(now, run);
}

/** What does its work by a descriptor or by names, and is done when it returns. */
const SYNCHRONOUS = {
  fdatasyncSync: (descriptor: number): void =>
    attempt("fdatasync", () => below.fdatasyncSync(descriptor)),
  fsyncSync: (descriptor: number): void => attempt("fsync", () => below.fsyncSync(descriptor)),
  ftruncateSync: (descriptor: number, size?: number): void =>
    attempt("ftruncate", () => below.ftruncateSync(descriptor, size)),
  renameSync: (from: fs.PathLike, to: fs.PathLike): void =>
    attempt("rename", () => below.renameSync(from, to)),
  linkSync: (from: fs.PathLike, to: fs.PathLike): void =>
    attempt("link", () => below.linkSync(from, to)),
  unlinkSync: (file: fs.PathLike): void => attempt("unlink", () => below.unlinkSync(file)),
};

/** The same with an answer later. */
const LATER = {
  fsync: (descriptor: number, done: Done): void =>
    attemptLater("fsync", done, () => below.fsync(descriptor, done)),
  rename: (from: fs.PathLike, to: fs.PathLike, done: Done): void =>
    attemptLater("rename", done, () => below.rename(from, to, done)),
  unlink: (file: fs.PathLike, done: Done): void =>
    attemptLater("unlink", done, () => below.unlink(file, done)),
};

function attempt(call: Call, run: () => void): void {
  const now = faults();
  stall(now);
  const error = errorOf(now, call);
  if (error !== undefined) throw error;
  run();
}

function attemptLater(call: Call, done: Done, run: () => void): void {
  const now = faults();
  const error = errorOf(now, call);
  soon(now, error === undefined ? run : () => done(error));
}

function statfsSync(file: fs.PathLike): fs.StatsFs {
  const stats = below.statfsSync(file);
  if (faults().full) stats.bavail = 0;
  return stats;
}

/** Never within the call: whoever gave it a callback does not expect that. */
function soon(now: DiskFaults, run: () => void): void {
  if (now.stallMs > 0) setTimeout(run, now.stallMs);
  else if (now === NO_DISK_FAULTS) run();
  else setImmediate(run);
}

/** Holds the thread that asked, as a system call would. */
function stall({ stallMs }: DiskFaults): void {
  if (stallMs > 0) Atomics.wait(sleeper, 0, 0, stallMs);
}

function errorOf({ errorsPerMille, errorsOf }: DiskFaults, call: Call): Error | undefined {
  if (errorsPerMille === 0) return undefined;
  if (errorsOf === "names" && CONTENT_CALLS.includes(call)) return undefined;
  calls += 1;
  const draw = (Math.imul(calls, 0x9e37_79b1) >>> 8) % 1000;
  return draw < errorsPerMille ? systemError("EIO", call) : undefined;
}

function fullError({ full }: DiskFaults, descriptor: number, end: number): Error | undefined {
  if (!full || end <= below.fstatSync(descriptor).size) return undefined;
  return systemError("ENOSPC", "write");
}

function systemError(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ordered by the harness, ${syscall}`), { code, syscall });
}
