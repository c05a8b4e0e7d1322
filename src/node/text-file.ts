/**
 * Small text files that are replaced whole: written aside, synced, renamed, directory synced. Each
 * is kept twice, `name` and `name.copy`, so that a damaged one costs nothing: the other is read,
 * and both are written anew. A text is lines; the file's last line is their checksum.
 *
 *   text | "#" | 8 hexadecimal digits, crc32 of the text | "\n"
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { crc32 } from "../base/checksum.js";
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";

const CHECKSUM_LINE_LENGTH = 10;
const COPY_SUFFIXES = ["", ".copy"] as const;

/** Whether the file, or what is left of it, is there. */
export function hasTextFile(disk: Disk, directory: string, name: string): boolean {
  return COPY_SUFFIXES.some((suffix) => disk.exists(`${directory}/${name}${suffix}`));
}

/** The copies of a file that are not what was written; all of them where it was never written. */
export function damagedCopies(disk: Disk, directory: string, name: string): readonly string[] {
  const paths = COPY_SUFFIXES.map((suffix) => `${directory}/${name}${suffix}`);
  return paths.filter((path) => readCopy(disk, path) === undefined);
}

/** Throws CorruptionError where neither copy is what was written. */
export function readTextFile(disk: Disk, directory: string, name: string): string {
  const texts = COPY_SUFFIXES.map((suffix) => readCopy(disk, `${directory}/${name}${suffix}`));
  const text = texts.find((each) => each !== undefined);
  if (text === undefined) {
    throw new CorruptionError(`${directory}/${name}`, 0, "the file and its copy are damaged");
  }
  if (texts.includes(undefined)) rewrite(disk, directory, name, text);
  return text;
}

export function writeTextFile(disk: Disk, directory: string, name: string, text: string): void {
  const bytes = utf8(`${text}#${checksumOf(text)}\n`);
  for (const suffix of COPY_SUFFIXES) {
    const path = `${directory}/${name}${suffix}`;
    const aside = `${path}.new`;
    const file = disk.open(aside, { create: true });
    try {
      file.truncateSync(0);
      file.writeSync(bytes, 0, bytes.length, 0);
      file.syncSync();
    } finally {
      file.close();
    }
    disk.rename(aside, path);
    disk.syncDirectory(directory);
  }
}

/** Without room for it, one copy has to do. */
function rewrite(disk: Disk, directory: string, name: string, text: string): void {
  try {
    writeTextFile(disk, directory, name, text);
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "noSpace")) throw error;
  }
}

/** The text of one copy; undefined where it is not there or not intact. */
function readCopy(disk: Disk, path: string): string | undefined {
  if (!disk.exists(path)) return undefined;
  const file = disk.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(file.sizeBytes());
    const whole = utf8Text(bytes.subarray(0, file.readSync(bytes, 0, bytes.length, 0)));
    const text = whole.slice(0, -CHECKSUM_LINE_LENGTH);
    return whole === `${text}#${checksumOf(text)}\n` ? text : undefined;
  } finally {
    file.close();
  }
}

function checksumOf(text: string): string {
  return crc32(utf8(text)).toString(16).padStart(8, "0");
}
