/**
 * A power cut of a node that was killed: takes back what it had not synced, as its journal has it.
 * Everything of it, or a part: names in the order in which they were changed, up to some change;
 * writes each for itself; of a write that was to be durable and had not completed, a part of its
 * sectors. What was synced is never touched.
 */
import fs from "node:fs";
import path from "node:path";
import type { Prng } from "../../src/base/prng.js";
import type { JournalRecord } from "./journal.js";

const SECTOR_BYTES = 512;

type Change = Extract<JournalRecord, { kind: "write" | "create" | "remove" | "rename" }>;
type Naming = Exclude<Change, { kind: "write" }>;
type Write = Extract<Change, { kind: "write" }>;

export interface Lost {
  readonly names: number;
  readonly writes: number;
}

export function cutPower(journals: string, data: string, prng: Prng): Lost {
  // A node that left the cluster meanwhile has nothing to lose any more.
  if (!fs.existsSync(journals) || !fs.existsSync(data)) return { names: 0, writes: 0 };
  const { namings, writes } = unsynced(journals);
  const losesAll = prng.chance(0.5);
  const kept = losesAll ? 0 : prng.between(0, namings.length);
  const lostNames = namings.slice(kept).reverse();
  for (const naming of lostNames) undoNaming(naming);
  const paths = pathsByInode(data);
  let lost = 0;
  for (const write of writes.reverse()) {
    const file = paths.get(write.inode);
    if (file === undefined || (!losesAll && prng.chance(0.5))) continue;
    undoWrite(file, write, losesAll, prng);
    lost++;
  }
  fs.rmSync(journals, { recursive: true });
  return { names: lostNames.length, writes: lost };
}

/** What no later sync covers, in the order of time. */
function unsynced(journals: string): { readonly namings: Naming[]; readonly writes: Write[] } {
  let changes: Change[] = [];
  const ids = new Map<Change, string>();
  for (const { owner, record } of recordsIn(journals)) {
    switch (record.kind) {
      case "durable": {
        const done = changes.find((each) => ids.get(each) === `${owner} ${record.id}`);
        if (done?.kind !== "write") break;
        changes = changes.filter((each) => each.kind !== "write" || !isCoveredBy(each, done));
        break;
      }
      case "sync":
        changes = changes.filter((each) => each.kind !== "write" || each.inode !== record.inode);
        break;
      case "syncDirectory":
        changes = changes.filter((each) => each.kind === "write" || !isIn(each, record.path));
        break;
      default:
        if (record.kind === "write") ids.set(record, `${owner} ${record.id}`);
        changes.push(record);
    }
  }
  const writes = changes.filter((each) => each.kind === "write");
  const namings = changes.filter((each) => each.kind !== "write");
  return { namings, writes };
}

/** Whether undoing it would also undo a part of what is durable, the file's length included. */
function isCoveredBy(write: Write, durable: Write): boolean {
  if (write.inode !== durable.inode) return false;
  const end = durable.position + durable.length;
  const overlaps = write.position < end && durable.position < write.position + write.length;
  return overlaps || write.sizeBefore < end;
}

function recordsIn(journals: string): { readonly owner: string; readonly record: JournalRecord }[] {
  const names = fs.readdirSync(journals).filter((name) => name.endsWith(".journal"));
  const records = names.flatMap((owner) => {
    const lines = fs.readFileSync(path.join(journals, owner), "utf8").split("\n");
    // The last line of a killed node may be cut short; its change was not begun then.
    lines.pop();
    return lines.map((line) => ({ owner, record: JSON.parse(line) as JournalRecord }));
  });
  return records.toSorted((a, b) => (BigInt(a.record.at) < BigInt(b.record.at) ? -1 : 1));
}

function isIn(naming: Naming, directory: string): boolean {
  const name = naming.kind === "rename" ? naming.to : naming.path;
  return path.dirname(name) === directory;
}

function inodeAt(file: string): number | undefined {
  return fs.existsSync(file) ? fs.statSync(file).ino : undefined;
}

/** Where the change had not been made yet, there is nothing to undo. */
function undoNaming(naming: Naming): void {
  switch (naming.kind) {
    case "create":
      if (inodeAt(naming.path) !== naming.inode) return;
      fs.rmSync(naming.path, { recursive: true });
      return;
    case "remove":
      if (!fs.existsSync(naming.path)) fs.linkSync(naming.saved, naming.path);
      return;
    case "rename":
      if (inodeAt(naming.to) !== naming.inode) return;
      fs.renameSync(naming.to, naming.from);
      if (naming.saved !== undefined) fs.linkSync(naming.saved, naming.to);
  }
}

function undoWrite(file: string, write: Write, whole: boolean, prng: Prng): void {
  const { position, sizeBefore } = write;
  const before = Buffer.from(write.before, "base64");
  const number = fs.openSync(file, "r+");
  try {
    const { size } = fs.fstatSync(number);
    if (whole) fs.writeSync(number, before, 0, before.length, position);
    else undoSectors(number, before, position, prng);
    if (whole && size > sizeBefore) fs.ftruncateSync(number, sizeBefore);
  } finally {
    fs.closeSync(number);
  }
}

function undoSectors(number: number, before: Buffer, position: number, prng: Prng): void {
  for (let at = 0; at < before.length; at += SECTOR_BYTES) {
    if (prng.chance(0.5)) continue;
    const length = Math.min(SECTOR_BYTES, before.length - at);
    fs.writeSync(number, before, at, length, position + at);
  }
}

function pathsByInode(directory: string): ReadonlyMap<number, string> {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  return new Map(
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))
      .map((file): [number, string] => [fs.statSync(file).ino, file]),
  );
}
