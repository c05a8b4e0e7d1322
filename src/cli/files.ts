/**
 * Files as keys: the key of a file is its path below the directory, with `/` between the names. A
 * walk follows no symbolic link, and says what it left out and why. Paths made from keys never
 * leave the directory.
 */
import { constants, existsSync, mkdirSync } from "node:fs";
import { lstat, mkdir, open, readdir, readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { utf8, utf8Text } from "../base/bytes.js";
import { KEY_SIZE_BYTES_MAX, VALUE_SIZE_BYTES_GUARANTEED } from "../base/limits.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

/** Larger files are left out: a value of this size fits into a request with any key. */
export const FILE_SIZE_BYTES_MAX: number = VALUE_SIZE_BYTES_GUARANTEED;

export interface FoundFile {
  readonly key: string;
  readonly path: string;
  readonly sizeBytes: number;
}

export type LeftOutReason = "too large" | "symbolic link" | "not a regular file" | "unusable name";

export interface LeftOut {
  readonly key: string;
  readonly reason: LeftOutReason;
}

export interface Walk {
  /** In the order of their paths. */
  readonly files: readonly FoundFile[];
  readonly leftOut: readonly LeftOut[];
}

export async function walk(directory: string): Promise<Walk> {
  const files: FoundFile[] = [];
  const leftOut: LeftOut[] = [];
  const pending: string[] = [""];
  for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
    const entries = await readdir(join(directory, below), { withFileTypes: true });
    for (const entry of entries) {
      const key = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) pending.push(key);
      else if (entry.isSymbolicLink()) leftOut.push({ key, reason: "symbolic link" });
      else if (!entry.isFile()) leftOut.push({ key, reason: "not a regular file" });
      else await addFile(directory, key, { files, leftOut });
    }
  }
  files.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { files, leftOut };
}

async function addFile(
  directory: string,
  key: string,
  { files, leftOut }: { files: FoundFile[]; leftOut: LeftOut[] },
): Promise<void> {
  // A name that is not UTF-8 was decoded with a loss: it names neither a file nor a key.
  if (key.includes("\ufffd") || utf8(key).length > KEY_SIZE_BYTES_MAX) {
    leftOut.push({ key, reason: "unusable name" });
    return;
  }
  const path = join(directory, key);
  const { size: sizeBytes } = await lstat(path);
  if (sizeBytes > FILE_SIZE_BYTES_MAX) leftOut.push({ key, reason: "too large" });
  else files.push({ key, path, sizeBytes });
}

/** The content of a file that may have grown since the walk. */
export async function contentOf(file: FoundFile): Promise<Uint8Array> {
  const bytes = await readFile(file.path);
  if (bytes.length <= FILE_SIZE_BYTES_MAX) return bytes;
  throw new CliError(EXIT.inputOutput, `${file.key} has grown above 1 MiB`);
}

/** The path of a key below a directory, or undefined where the key names none. */
export function relativePathOf(key: Uint8Array): string | undefined {
  const text = utf8Text(key);
  if (text.includes("\ufffd") || text.includes("\0")) return undefined;
  const names = text.split("/");
  const usable = names.every((name) => name !== "" && name !== "." && name !== "..");
  return usable ? text : undefined;
}

/** Writes a file and the directories it needs, following no symbolic link at its end. */
export async function writeBelow(
  directory: string,
  relativePath: string,
  content: Uint8Array,
): Promise<void> {
  const path = join(directory, relativePath);
  await mkdir(dirname(path), { recursive: true });
  const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
  const file = await open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
  try {
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

/**
 * Makes a directory and those above it, one by one: asked to make all of them at once where one
 * refuses (as /proc does), Node.js would never end.
 */
export function makeDirectory(directory: string): void {
  const path = resolve(directory);
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path);
}
