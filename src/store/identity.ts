/**
 * The identity file: which store a directory holds. It is written last when a directory is
 * formatted, so a directory with an identity has everything else; one without is not a store yet.
 *
 * identity = u32 magic | u32 format version | 32 hexadecimal digits | u32 checksum of what precedes
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { crc32 } from "../base/checksum.js";
import { ByteWriter, readU32 } from "../base/coding.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";

const MAGIC = 0x3164_7466;
const FORMAT_VERSION = 1;
const SIZE_BYTES = 44;
const ID_AT = 8;

function pathOf(directory: string): string {
  return `${directory}/identity`;
}

export type FoundIdentity =
  | { readonly kind: "none" }
  | { readonly kind: "intact"; readonly storeId: string }
  /** There was one; the manifest says the same. */
  | { readonly kind: "damaged" };

/** Whether the directory is a store, sound or not. */
export function isStore(disk: Disk, directory: string): boolean {
  return disk.exists(pathOf(directory));
}

export function readIdentity(disk: Disk, directory: string): FoundIdentity {
  const path = pathOf(directory);
  if (!isStore(disk, directory)) return { kind: "none" };
  const bytes = new Uint8Array(SIZE_BYTES);
  const file = disk.open(path, { readOnly: true });
  const count = file.readSync(bytes, 0, SIZE_BYTES, 0);
  file.close();
  const checkedLength = SIZE_BYTES - 4;
  const isIntact =
    count === SIZE_BYTES &&
    readU32(bytes, checkedLength) === crc32(bytes.subarray(0, checkedLength)) &&
    readU32(bytes, 0) === MAGIC;
  if (!isIntact) return { kind: "damaged" };
  if (readU32(bytes, 4) !== FORMAT_VERSION) {
    throw new CorruptionError(path, 4, `unknown store format ${readU32(bytes, 4)}`);
  }
  return { kind: "intact", storeId: utf8Text(bytes.subarray(ID_AT, checkedLength)) };
}

/** Written beside and renamed, so that it is there whole or not at all. */
export function writeIdentity(disk: Disk, directory: string, storeId: string): void {
  const writer = new ByteWriter(SIZE_BYTES);
  writer.u32(MAGIC);
  writer.u32(FORMAT_VERSION);
  writer.raw(utf8(storeId));
  writer.u32(crc32(writer.view()));
  const path = pathOf(directory);
  const draft = `${path}.draft`;
  const file = disk.open(draft, { create: true });
  file.truncateSync(0);
  file.writeSync(writer.bytes, 0, writer.length, 0);
  file.syncSync();
  file.close();
  disk.rename(draft, path);
  disk.syncDirectory(directory);
}
