/**
 * Writes down what a node changes on its disk, before it changes it, and what it has made durable,
 * after that: so that a power cut can take back what was not synced. It stands in front of node:fs
 * like node-disk-faults.ts, in every thread. A file that is written by its name alone, and not by a
 * descriptor, is taken to be durable at once.
 */
import fs from "node:fs";
import path from "node:path";
import { syncBuiltinESMExports } from "node:module";
import { threadId } from "node:worker_threads";
import { JOURNAL_VARIABLE } from "./journal.js";
import type { JournalRecord } from "./journal.js";

interface OpenFile {
  readonly path: string;
  readonly inode: number;
  readonly isDurable: boolean;
  readonly isDirectory: boolean;
}

type WithoutTime<T> = T extends unknown ? Omit<T, "at"> : never;
type Done = (error: NodeJS.ErrnoException | null) => void;
type WriteDone = (error: NodeJS.ErrnoException | null, count: number) => void;

/** The calls as they were when the journal was put in front of them. */
const below = { ...fs };
const files = new Map<number, OpenFile>();
let directory = "";
let descriptor = -1;
let nextId = 1;

export function installJournal(): void {
  const given = process.env[JOURNAL_VARIABLE];
  if (given === undefined) return;
  Object.assign(below, fs);
  directory = given;
  below.mkdirSync(directory, { recursive: true });
  descriptor = below.openSync(path.join(directory, `${process.pid}-${threadId}.journal`), "a");
  Object.assign(fs, { ...SYNCHRONOUS, ...LATER });
  syncBuiltinESMExports();
}

function note(record: WithoutTime<JournalRecord>): void {
  const line = JSON.stringify({ at: String(process.hrtime.bigint()), ...record });
  const bytes = Buffer.from(`${line}\n`);
  // A signal may cut a write short.
  for (let done = 0; done < bytes.length;) done += below.writeSync(descriptor, bytes, done);
}

function opened(file: fs.PathLike, number: number, flags: fs.OpenMode, existed: boolean): void {
  const name = path.resolve(String(file));
  const stats = below.fstatSync(number);
  const bits = typeof flags === "number" ? flags : 0;
  const isDurable = (bits & below.constants.O_DSYNC) !== 0;
  const isDirectory = stats.isDirectory();
  files.set(number, { path: name, inode: stats.ino, isDurable, isDirectory });
  if (!existed) note({ kind: "create", path: name, inode: stats.ino });
}

/** Before a write: what will be overwritten; gives its id. */
function beforeWrite(number: number, position: number, length: number): number {
  const file = files.get(number);
  if (file === undefined) return 0;
  const { size } = below.fstatSync(number);
  const overlap = Math.max(0, Math.min(size, position + length) - position);
  const bytes = Buffer.alloc(overlap);
  // A descriptor that may only write has nothing to read: its bytes are then taken for zeros.
  if (overlap > 0) below.readSync(number, bytes, 0, overlap, position);
  const id = nextId++;
  const before = bytes.toString("base64");
  note({ kind: "write", id, inode: file.inode, position, length, before, sizeBefore: size });
  return id;
}

function afterWrite(number: number, id: number): void {
  if (files.get(number)?.isDurable === true) note({ kind: "durable", id });
}

function synced(number: number): void {
  const file = files.get(number);
  if (file === undefined) return;
  if (file.isDirectory) note({ kind: "syncDirectory", path: file.path });
  else note({ kind: "sync", inode: file.inode });
}

/** Another name for a file whose name goes, so that it can come back. */
function saveName(file: string): string {
  const saved = path.join(directory, `${process.pid}-${threadId}-${nextId++}.saved`);
  below.linkSync(file, saved);
  return saved;
}

function beforeRemove(file: fs.PathLike): void {
  const name = path.resolve(String(file));
  if (!below.existsSync(name) || below.lstatSync(name).isSocket()) return;
  note({ kind: "remove", path: name, saved: saveName(name) });
}

function beforeRename(from: fs.PathLike, to: fs.PathLike): void {
  const [source, target] = [path.resolve(String(from)), path.resolve(String(to))];
  if (!below.existsSync(source) || below.statSync(source).isDirectory()) return;
  const saved = below.existsSync(target) ? saveName(target) : undefined;
  const inode = below.statSync(source).ino;
  note({ kind: "rename", from: source, to: target, inode, saved });
}

const SYNCHRONOUS = {
  openSync(file: fs.PathLike, flags: fs.OpenMode = "r", mode?: fs.Mode): number {
    const existed = below.existsSync(file);
    const number = below.openSync(file, flags, mode);
    opened(file, number, flags, existed);
    return number;
  },
  closeSync(number: number): void {
    files.delete(number);
    below.closeSync(number);
  },
  writeSync(
    number: number,
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number {
    const id = beforeWrite(number, position, length);
    const count = below.writeSync(number, source, offset, length, position);
    afterWrite(number, id);
    return count;
  },
  ftruncateSync(number: number, size = 0): void {
    const file = files.get(number);
    const length = below.fstatSync(number).size - size;
    if (file !== undefined) beforeWrite(number, size, Math.max(0, length));
    below.ftruncateSync(number, size);
  },
  fdatasyncSync(number: number): void {
    below.fdatasyncSync(number);
    synced(number);
  },
  fsyncSync(number: number): void {
    below.fsyncSync(number);
    synced(number);
  },
  unlinkSync(file: fs.PathLike): void {
    beforeRemove(file);
    below.unlinkSync(file);
  },
  renameSync(from: fs.PathLike, to: fs.PathLike): void {
    beforeRename(from, to);
    below.renameSync(from, to);
  },
  linkSync(from: fs.PathLike, to: fs.PathLike): void {
    below.linkSync(from, to);
    note({ kind: "create", path: path.resolve(String(to)), inode: below.statSync(to).ino });
  },
};

const LATER = {
  write(
    number: number,
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
    done: WriteDone,
  ): void {
    const id = beforeWrite(number, position, length);
    below.write(number, source, offset, length, position, (error, count) => {
      if (error === null) afterWrite(number, id);
      done(error, count);
    });
  },
  open(
    file: fs.PathLike,
    flags: fs.OpenMode,
    done: (error: NodeJS.ErrnoException | null, number: number) => void,
  ): void {
    const existed = below.existsSync(file);
    below.open(file, flags, (error, number) => {
      if (error === null) opened(file, number, flags, existed);
      done(error, number);
    });
  },
  fsync(number: number, done: Done): void {
    below.fsync(number, (error) => {
      if (error === null) synced(number);
      done(error);
    });
  },
  close(number: number, done: Done): void {
    files.delete(number);
    below.close(number, done);
  },
  rename(from: fs.PathLike, to: fs.PathLike, done: Done): void {
    beforeRename(from, to);
    below.rename(from, to, done);
  },
  unlink(file: fs.PathLike, done: Done): void {
    beforeRemove(file);
    below.unlink(file, done);
  },
};
