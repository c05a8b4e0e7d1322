/**
 * Snapshot files, in the format of `protocol/snapshot-format.ts`. Written is FILE.part: it is
 * synced, read back as a whole, and only then called FILE, so that FILE is never half of one.
 * Reading never takes more than a piece of the file into memory.
 */
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { hex } from "../base/bytes.js";
import { DecodeError } from "../base/coding.js";
import { addLeases } from "../gateway/snapshot-leases.js";
import type { KeyValue } from "../protocol/key-value.js";
import { SnapshotReader, SnapshotWriter } from "../protocol/snapshot-format.js";
import type { SnapshotHead } from "../protocol/snapshot-format.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

const PIECE_BYTES: number = 256 * 1024;

export interface SnapshotFacts {
  /** SHA-256, in hexadecimal digits. */
  readonly hash: string;
  readonly revision: number;
  readonly clusterId: bigint;
  readonly keys: number;
  readonly bytes: number;
  /** TTLs by id, in seconds; 0 for one that had ended. */
  readonly leases: ReadonlyMap<bigint, number>;
}

export interface SnapshotContent {
  readonly rows: AsyncIterable<KeyValue>;
  /** Of a lease; undefined where nobody can be asked. */
  readonly ttlOf: ((id: bigint) => Promise<number>) | undefined;
}

/** Resolves when the file is there, checked and durable; where that fails, nothing is left. */
export async function writeSnapshot(
  path: string,
  head: SnapshotHead,
  content: SnapshotContent,
): Promise<SnapshotFacts> {
  const part = `${path}.part`;
  try {
    const file = await open(part, "w");
    try {
      await writeAll(file, new SnapshotWriter(head), content);
      await file.sync();
    } finally {
      await file.close();
    }
    const facts = await checkSnapshot(part);
    await rename(part, path);
    await syncDirectory(dirname(path));
    return facts;
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function writeAll(
  file: FileHandle,
  writer: SnapshotWriter,
  { rows, ttlOf }: SnapshotContent,
): Promise<void> {
  for await (const kv of rows) {
    writer.add(kv);
    if (writer.waitingBytes >= PIECE_BYTES) await file.writeFile(writer.take(Infinity));
  }
  if (ttlOf !== undefined) await addLeases(writer, ttlOf);
  writer.finish();
  await file.writeFile(writer.take(Infinity));
  await file.writeFile(writer.trailer());
}

/** Reads the whole file; throws where it is not what was written. */
export async function checkSnapshot(path: string): Promise<SnapshotFacts> {
  const reader = new SnapshotReader();
  for await (const _ of rowsOf(path, reader));
  const { head, hash, keys, bytes, leases } = reader;
  if (head === undefined || hash === undefined) throw new Error("a whole snapshot lacks its head");
  const { revision, clusterId } = head;
  return { hash: hex(hash), revision, clusterId, keys, bytes, leases };
}

/** The key-values of a file, which is checked at its end. */
export async function* rowsOf(
  path: string,
  reader: SnapshotReader = new SnapshotReader(),
): AsyncGenerator<KeyValue, void> {
  const file = await open(path, "r");
  try {
    for await (const piece of file.createReadStream({ highWaterMark: PIECE_BYTES })) {
      yield* reader.push(new Uint8Array(piece as Uint8Array));
    }
    reader.finish();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CliError(EXIT.failed, `${path}: ${error.message}`);
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
