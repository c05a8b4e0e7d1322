/**
 * How a change is applied to a tree, and the same questions to a tree and to its model, answered in
 * the same words. Of entries below the horizon nothing is said: whether they are still there
 * differs from one configuration to the next.
 */
import { utf8, utf8Text } from "../../src/base/bytes.js";
import type { EntryView } from "../../src/lsm/entry.js";
import type { FamilyId } from "../../src/lsm/families.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import type { Row, ShardModel } from "./model.js";
import type { Change, Question } from "./operations.js";

const EVERYTHING = { start: new Uint8Array(0), end: undefined };

/** Applies what the entry at an index says; a "forget" concerns no entry. */
export function applyChange(tree: Tree, index: number, change: Change): void {
  if (change.kind === "forget") return;
  const key = utf8(change.key);
  const isPut = change.kind === "put";
  const value = isPut ? valueOf(index, change.size) : undefined;
  insert(tree, index, { family: FAMILY.data, key, value });
  insert(tree, index, { family: FAMILY.revisionIndex, key: revisionKey(index), value: key });
  const session = isPut ? utf8(String(index)) : undefined;
  insert(tree, index, { family: FAMILY.session, key, value: session });
}

/** What a tree answers to a question that means this revision. */
export function askTree(tree: Tree, question: Question, revision: number, horizon: number): string {
  if (question.kind === "get") return getFrom(tree, question.key, revision);
  const { from, to, mode } = question;
  const range = { start: utf8(from), end: utf8(to) };
  const cursor = tree.cursor(FAMILY.data, range, revision, mode);
  const lines: string[] = [];
  while (cursor.next()) {
    const { tombstone, version } = cursor.entry;
    if (mode === "newest" ? !tombstone : version >= horizon) lines.push(textOf(cursor.entry));
  }
  cursor.close();
  return lines.join(" ");
}

export function askModel(model: ShardModel, question: Question, revision: number): string {
  if (question.kind === "get") return textOfRow(model.get(question.key, revision));
  const { from, to, mode } = question;
  const rows = mode === "all" ? model.all(from, to, revision) : model.newest(from, to, revision);
  return rows.map(textOfRow).join(" ");
}

/** Where a tree is not what the model says, in all families; undefined where it is. */
export function differenceOf(tree: Tree, model: ShardModel): string | undefined {
  const { horizon, lastIndex } = model;
  for (const revision of new Set([horizon, Math.ceil((horizon + lastIndex) / 2), lastIndex])) {
    for (const mode of ["newest", "all"] as const) {
      const question = { kind: "scan", from: "", to: "~", back: 0, mode } as const;
      const expected = askModel(model, question, revision);
      const seen = askTree(tree, question, revision, horizon);
      if (seen !== expected) return unlike(`${mode} at revision ${revision}`, expected, seen);
    }
  }
  for (const key of model.keys()) {
    const expected = textOfRow(model.get(key, lastIndex));
    const seen = getFrom(tree, key, lastIndex);
    if (seen !== expected) return unlike(`get of ${key}`, expected, seen);
  }
  return differenceOfOtherFamilies(tree, model);
}

function differenceOfOtherFamilies(tree: Tree, model: ShardModel): string | undefined {
  const { horizon, lastIndex } = model;
  const sessions = model.newest("", undefined, lastIndex);
  const expected = sessions.map(({ key, version }) => `${key}@${version}`).join(" ");
  const seen: string[] = [];
  visit(tree, FAMILY.session, (entry) => {
    if (!entry.tombstone) seen.push(`${keyText(entry)}@${entry.version}`);
  });
  if (seen.join(" ") !== expected) return unlike("sessions", expected, seen.join(" "));
  const revisions: number[] = [];
  visit(tree, FAMILY.revisionIndex, (entry) => {
    if (entry.version >= horizon) revisions.push(entry.version);
  });
  const known: number[] = [];
  for (let index = Math.max(1, horizon); index <= lastIndex; index++) {
    if (model.changes[index - 1]!.kind !== "forget") known.push(index);
  }
  const isSame = revisions.join() === known.join();
  return isSame ? undefined : unlike("revisions", known.join(), revisions.join());
}

function visit(tree: Tree, family: FamilyId, see: (entry: EntryView) => void): void {
  const cursor = tree.cursor(family, EVERYTHING, Infinity, "newest");
  while (cursor.next()) see(cursor.entry);
  cursor.close();
}

function getFrom(tree: Tree, key: string, revision: number): string {
  const bytes = utf8(key);
  const view = tree.get(FAMILY.data, bytes, 0, bytes.length, revision);
  return view === undefined || view.tombstone ? "-" : textOf(view);
}

function textOf(entry: EntryView): string {
  const head = `${keyText(entry)}@${entry.version}`;
  if (entry.tombstone) return `${head}:-`;
  const { valueBytes, valueOffset, valueLength } = entry;
  for (let i = 0; i < valueLength; i++) {
    if (valueBytes[valueOffset + i] !== valueByte(entry.version, i)) return `${head}:wrong at ${i}`;
  }
  return `${head}:${valueLength}`;
}

function textOfRow(row: Row | undefined): string {
  return row === undefined ? "-" : `${row.key}@${row.version}:${row.size ?? "-"}`;
}

function keyText({ bytes, keyOffset, keyLength }: EntryView): string {
  return utf8Text(bytes.subarray(keyOffset, keyOffset + keyLength));
}

/** The value that the entry at an index puts: it follows from the index. */
function valueOf(index: number, size: number): Uint8Array {
  const value = new Uint8Array(size);
  for (let i = 0; i < size; i++) value[i] = valueByte(index, i);
  return value;
}

function valueByte(index: number, at: number): number {
  return (index * 31 + at * 7) & 0xff;
}

/** Big-endian, so that keys of revisions sort as the revisions do. */
function revisionKey(index: number): Uint8Array {
  const key = new Uint8Array(8);
  new DataView(key.buffer).setBigUint64(0, BigInt(index));
  return key;
}

interface Insertion {
  readonly family: FamilyId;
  readonly key: Uint8Array;
  /** Undefined for a tombstone. */
  readonly value: Uint8Array | undefined;
}

function insert(tree: Tree, version: number, { family, key, value }: Insertion): void {
  const bytes = value ?? new Uint8Array(0);
  const isTombstone = value === undefined;
  tree.insert(family, key, 0, key.length, version, isTombstone, bytes, 0, bytes.length);
}

function unlike(what: string, expected: string, seen: string): string {
  return `${what}: expected ${shortened(expected)}, found ${shortened(seen)}`;
}

function shortened(text: string): string {
  return text.length <= 300 ? `"${text}"` : `"${text.slice(0, 300)}…" (${text.length})`;
}
