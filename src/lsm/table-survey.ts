/**
 * Looks at one sstable for people: its sections, and every block that is damaged, where a reader
 * would stop at the first. It changes nothing.
 */
import { must } from "../base/assert.js";
import { EMPTY_BYTES, compareSlices, equalBytes } from "../base/bytes.js";
import { crc32 } from "../base/checksum.js";
import type { Disk } from "../env/disk.js";
import { DiskError } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { Finding, Loss } from "../log/finding.js";
import { BlockCache } from "./block-cache.js";
import { EntrySlot } from "./entry-slot.js";
import { familyName } from "./families.js";
import type { IndexPart } from "./key-index.js";
import { OpenFiles, TableReader } from "./open-files.js";
import type { TableFile } from "./slice.js";
import { decodeFooter, FOOTER_SIZE_BYTES } from "./sstable-format.js";
import type { SectionInfo } from "./sstable-format.js";
import type { Section } from "./sstable-reader.js";
import { Sstable } from "./sstable-reader.js";

export interface TableSurvey {
  readonly path: string;
  /** What the table is taken for; undefined where it cannot be told. */
  readonly file: TableFile | undefined;
  /** Where in a pack the table begins. */
  readonly offset: number | undefined;
  readonly sizeBytes: number;
  readonly checksum: number;
  readonly sections: readonly SectionInfo[];
  readonly findings: readonly Finding[];
}

const CHUNK_SIZE_BYTES = 1024 * 1024;

/**
 * `described`: the table as the manifest has it; without it, the file is one table and is taken as
 * it says of itself.
 */
export function surveyTable(disk: Disk, path: string, described?: TableFile): TableSurvey {
  const survey = new Survey(disk, path, described);
  survey.run();
  return survey;
}

class Survey implements TableSurvey {
  readonly path: string;
  file: TableFile | undefined = undefined;
  readonly offset: number | undefined;
  sizeBytes = 0;
  checksum = 0;
  readonly sections: SectionInfo[] = [];
  readonly findings: Finding[] = [];
  readonly #disk: Disk;
  readonly #described: TableFile | undefined;

  constructor(disk: Disk, path: string, described: TableFile | undefined) {
    this.path = path;
    this.#disk = disk;
    this.#described = described;
    this.offset = described?.home?.offset;
  }

  run(): void {
    const all = "every entry of the table";
    const file = this.#try(all, () => this.#describe());
    if (file === undefined) return;
    this.file = file;
    const files = new OpenFiles(this.#disk, 1);
    const table = new Sstable(files, this.path, file, new BlockCache(CHUNK_SIZE_BYTES));
    try {
      const sections = this.#try(all, () => table.sections());
      for (const section of sections ?? []) this.#section(table, section);
      this.#compare(file);
    } finally {
      files.closeAll();
    }
  }

  /** Reads all of the table once; what it is called by the manifest, or by its own footer. */
  #describe(): TableFile {
    const files = new OpenFiles(this.#disk, 1);
    const handle = new TableReader(files, this.path, this.#described);
    try {
      this.sizeBytes = handle.sizeBytes();
      const chunk = new Uint8Array(CHUNK_SIZE_BYTES);
      for (let at = 0; at < this.sizeBytes; at += CHUNK_SIZE_BYTES) {
        const length = Math.min(CHUNK_SIZE_BYTES, this.sizeBytes - at);
        const count = handle.readSync(chunk, 0, length, at);
        this.checksum = crc32(chunk.subarray(0, count), this.checksum);
      }
      if (this.#described !== undefined) return this.#described;
      const footerAt = Math.max(0, this.sizeBytes - FOOTER_SIZE_BYTES);
      const bytes = new Uint8Array(FOOTER_SIZE_BYTES);
      handle.readSync(bytes, 0, FOOTER_SIZE_BYTES, footerAt);
      const { salt } = decodeFooter(bytes, this.path, footerAt);
      return { fileNumber: 0, sizeBytes: this.sizeBytes, checksum: this.checksum, salt };
    } finally {
      files.closeAll();
    }
  }

  /** What no block shows: bytes between them, or a table that is a whole one but another. */
  #compare(file: TableFile): void {
    if (this.findings.length > 0) return;
    if (file.checksum === this.checksum && file.sizeBytes === this.sizeBytes) return;
    const start = file.home?.offset ?? 0;
    this.#found(
      start,
      "the table is not the one that the manifest names",
      "every entry of the table",
    );
  }

  #section(table: Sstable, section: Section): void {
    const { info } = section;
    const all = `every entry of family ${familyName(info.family)}`;
    const parts = this.#try(all, () => section.indexParts());
    if (parts === undefined) return;
    this.sections.push(info);
    const filterLost = `reads of single keys of family ${familyName(info.family)}`;
    this.#try(filterLost, () => table.readBlock(info.filter));
    this.#try(`large values of family ${familyName(info.family)}`, () =>
      table.readBlock(info.valueIndex),
    );
    const before = this.findings.length;
    const counted = new Counter();
    for (const [i, part] of parts.entries()) {
      this.#part(section, part, parts[i + 1]?.firstKey ?? info.largestKey, counted);
    }
    if (this.findings.length > before) return;
    const wrong = counted.differenceFrom(info);
    const at = table.corruption(info.keyIndex.offset, "").offset;
    if (wrong !== undefined) this.#found(at, wrong, undefined);
  }

  /** The blocks of a part of the index; `endKey`: the first key behind them, or the last of all. */
  #part(section: Section, part: IndexPart, endKey: Uint8Array, counted: Counter): void {
    const { firstOrdinal, endOrdinal, firstKey } = part;
    const length = endOrdinal - firstOrdinal;
    const starts = this.#try(entriesBetween(section, firstKey, endKey), () =>
      Array.from({ length }, (_, i) => section.blockStart(firstOrdinal + i)),
    );
    for (const [i, start] of (starts ?? []).entries()) {
      const keys = entriesBetween(section, start, starts?.[i + 1] ?? endKey);
      this.#block(section, firstOrdinal + i, keys, counted);
    }
  }

  #block(section: Section, ordinal: number, keys: string, counted: Counter): void {
    const frame = this.#try(keys, () => section.frame(ordinal));
    if (frame === undefined) return;
    frame.pin();
    const { block } = frame;
    const slot = new EntrySlot();
    const values = new Set<number>();
    for (let row = 0; row < block.rowCount; row++) {
      block.show(row, slot, section);
      counted.add(slot);
      const { valueOrdinal } = slot;
      if (valueOrdinal < 0 || values.has(valueOrdinal)) continue;
      values.add(valueOrdinal);
      this.#try(`values of ${keys}`, () => slot.valueBytes);
    }
    slot.letGo();
    frame.unpin();
  }

  #try<T>(lost: string, look: () => T): T | undefined {
    try {
      return look();
    } catch (error) {
      if (error instanceof CorruptionError) this.#found(error.offset, error.detail, lost);
      else if (error instanceof DiskError) this.#found(0, error.message, lost);
      else throw error;
      return undefined;
    }
  }

  /** `lost`: of what the table has. */
  #found(offset: number, what: string, lost: string | undefined): void {
    const { path } = this;
    if (this.findings.some((each) => each.offset === offset && each.what === what)) return;
    const loss: Loss = lost === undefined ? { kind: "unknown" } : { kind: "content", what: lost };
    this.findings.push({ path, offset, what, loss, isDamage: true });
  }
}

function entriesBetween({ info }: Section, from: Uint8Array, to: Uint8Array): string {
  return `entries of family ${familyName(info.family)} with keys from ${shown(from)} to ${shown(to)}`;
}

/** Counts the entries of a section, sees to their order and remembers their bounds. */
class Counter {
  #entries = 0;
  #keys = 0;
  #tombstones = 0;
  #minVersion = Infinity;
  #maxVersion = -1;
  #smallestKey: Uint8Array | undefined = undefined;
  #disorder: string | undefined;
  /** The last key: a copy, because its block may be gone when the next one comes. */
  #bytes: Uint8Array = EMPTY_BYTES;
  #length = -1;
  #version = 0;

  add({ bytes, keyOffset, keyLength, version, tombstone }: EntrySlot): void {
    const order =
      this.#length < 0
        ? 1
        : compareSlices(bytes, keyOffset, keyLength, this.#bytes, 0, this.#length);
    if (order < 0 || (order === 0 && version >= this.#version)) {
      this.#disorder = `entry ${this.#entries + 1} is out of order`;
    }
    this.#entries++;
    if (order !== 0) this.#keys++;
    if (tombstone) this.#tombstones++;
    this.#minVersion = Math.min(this.#minVersion, version);
    this.#maxVersion = Math.max(this.#maxVersion, version);
    this.#smallestKey ??= bytes.slice(keyOffset, keyOffset + keyLength);
    if (this.#bytes.length < keyLength) this.#bytes = new Uint8Array(2 * keyLength);
    this.#bytes.set(bytes.subarray(keyOffset, keyOffset + keyLength));
    this.#length = keyLength;
    this.#version = version;
  }

  differenceFrom(info: SectionInfo): string | undefined {
    if (this.#disorder !== undefined) return this.#disorder;
    const { entryCount, keyCount, tombstoneCount } = info;
    const found = [this.#entries, this.#keys, this.#tombstones].join(", ");
    const stated = [entryCount, keyCount, tombstoneCount].join(", ");
    if (found !== stated) {
      return `entries, keys and tombstones are ${found} instead of ${stated}`;
    }
    return this.#hasBoundsOf(info) ? undefined : "the smallest or largest is not what is stated";
  }

  #hasBoundsOf({ minVersion, maxVersion, smallestKey, largestKey }: SectionInfo): boolean {
    const last = this.#bytes.subarray(0, this.#length);
    return (
      this.#minVersion === minVersion &&
      this.#maxVersion === maxVersion &&
      equalBytes(must(this.#smallestKey), smallestKey) &&
      equalBytes(last, largestKey)
    );
  }
}

/** A key for people: readable where it is, otherwise escaped. */
export function shown(key: Uint8Array): string {
  let text = "";
  for (const byte of key.subarray(0, SHOWN_BYTES_MAX)) {
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x5c;
    text += isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return key.length > SHOWN_BYTES_MAX ? `${text}…` : text;
}

const SHOWN_BYTES_MAX = 64;
