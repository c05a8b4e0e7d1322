/**
 * Snapshot files, as etcd makes them (gateway/snapshot). Written is FILE.part: it is synced, read
 * back as a whole, and only then called FILE, so that FILE is never half of one. Reading takes the
 * keys into memory, and of the values one at a time.
 */
import { open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { EMPTY_BYTES, equalBytes, hex } from "../base/bytes.js";
import { DecodeError } from "../base/coding.js";
import { SHA256_BYTES, Sha256 } from "../base/sha256.js";
import { SnapshotPlan } from "../gateway/snapshot/snapshot-plan.js";
import { SnapshotReader } from "../gateway/snapshot/snapshot-reader.js";
import type { SnapshotSource } from "../gateway/snapshot/survey.js";
import type { KeyValue } from "../protocol/key-value.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

const PIECE_BYTES: number = 256 * 1024;
const BLOCK_BYTES = 512;

export interface SnapshotFacts {
  /** SHA-256, in hexadecimal digits. */
  readonly hash: string;
  readonly revision: number;
  readonly keys: number;
  readonly bytes: number;
  /** TTLs by id, in seconds; 0 for one that had ended. */
  readonly leases: ReadonlyMap<bigint, number>;
}

export interface OpenSnapshot {
  readonly facts: SnapshotFacts;
  rows(): AsyncGenerator<KeyValue, void>;
}

/** Resolves when the file is there, checked and durable; where that fails, nothing is left. */
export async function writeSnapshot(path: string, source: SnapshotSource): Promise<SnapshotFacts> {
  const part = `${path}.part`;
  try {
    const plan = await SnapshotPlan.make(source);
    const file = await open(part, "w");
    try {
      for await (const piece of plan.pieces(PIECE_BYTES)) await file.writeFile(piece);
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

/** Reads the whole file; throws where it is not what was written. */
export function checkSnapshot(path: string): Promise<SnapshotFacts> {
  return useSnapshot(path, ({ facts }) => Promise.resolve(facts));
}

/** The file, once it has turned out to be whole. */
export async function useSnapshot<T>(
  path: string,
  use: (snapshot: OpenSnapshot) => Promise<T>,
): Promise<T> {
  const file = await open(path, "r");
  try {
    const { hash, bytes } = await checkedHash(file);
    const ahead = new AheadReader(file, bytes);
    const reader = await SnapshotReader.open((offset, length) => ahead.read(offset, length));
    const { revision, keys, leases } = reader;
    const facts = { hash: hex(hash), revision, keys, bytes, leases };
    return await use({ facts, rows: () => reader.rows() });
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CliError(EXIT.failed, `${path}: ${error.message}`);
  } finally {
    await file.close();
  }
}

/** Throws DecodeError unless what stands at the end is the hash of all before. */
async function checkedHash(
  file: FileHandle,
): Promise<{ readonly hash: Uint8Array; readonly bytes: number }> {
  const { size: bytes } = await file.stat();
  if (bytes % BLOCK_BYTES !== SHA256_BYTES) {
    throw new DecodeError("it is cut short, or no snapshot: it has no SHA-256 at its end");
  }
  const sum = new Sha256();
  const end = bytes - SHA256_BYTES;
  for (let at = 0; at < end; at += PIECE_BYTES) {
    sum.update(await readAt(file, at, Math.min(PIECE_BYTES, end - at)));
  }
  const hash = sum.digest();
  if (!equalBytes(hash, await readAt(file, end, SHA256_BYTES))) {
    throw new DecodeError("the snapshot is damaged: its SHA-256 is another one");
  }
  return { hash, bytes };
}

/** Reads pages that lie behind each other, as most do, many at a time. */
class AheadReader {
  readonly #file: FileHandle;
  readonly #fileBytes: number;
  #from = 0;
  #piece: Uint8Array = EMPTY_BYTES;

  constructor(file: FileHandle, fileBytes: number) {
    this.#file = file;
    this.#fileBytes = fileBytes;
  }

  /** What there is of it, whatever length is asked for. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.#fileBytes);
    if (offset >= end) return EMPTY_BYTES;
    if (offset < this.#from || end > this.#from + this.#piece.length) {
      const wanted = Math.max(end - offset, Math.min(PIECE_BYTES, this.#fileBytes - offset));
      this.#piece = await readAt(this.#file, offset, wanted);
      this.#from = offset;
    }
    return this.#piece.subarray(offset - this.#from, end - this.#from);
  }
}

async function readAt(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, offset);
  return buffer.subarray(0, bytesRead);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
