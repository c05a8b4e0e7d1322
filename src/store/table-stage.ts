/**
 * Writes an sstable outside of any tree, for a store to take in (table-ingest.ts): entries of the
 * data family, keys ascending, the versions of a key descending. The order is seen to when the
 * table is taken in.
 */
import { assert } from "../base/assert.js";
import { EMPTY_BYTES, utf8 } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import type { DiskFile } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { EntrySlot } from "../lsm/entry-slot.js";
import { FAMILY } from "../lsm/families.js";
import { SstableWriter } from "../lsm/sstable-writer.js";

export class TableStage {
  readonly #env: Pick<Env, "disk" | "random">;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #writer: SstableWriter;
  readonly #slot: EntrySlot = new EntrySlot();
  #entryCount = 0;

  /** The file must not be there yet; it has to lie on the file system of the store. */
  constructor(env: Pick<Env, "disk" | "random">, path: string) {
    assert(!env.disk.exists(path), "a table is written once");
    this.#env = env;
    this.#path = path;
    this.#file = env.disk.open(path, { create: true });
    this.#writer = new SstableWriter(this.#file, 0, hash32(utf8(env.random.uniqueId())));
    this.#writer.beginFamily(FAMILY.data);
  }

  /** Bytes of the table so far. */
  get sizeBytes(): number {
    return this.#writer.sizeBytes;
  }

  /** `value` undefined: the key is deleted at this version. */
  add(key: Uint8Array, version: number, value: Uint8Array | undefined): void {
    const slot = this.#slot;
    slot.bytes = key;
    slot.keyLength = key.length;
    slot.version = version;
    slot.tombstone = value === undefined;
    slot.inlineBytes = value ?? EMPTY_BYTES;
    slot.valueLength = slot.inlineBytes.length;
    this.#writer.add(slot);
    this.#entryCount++;
  }

  /** The table is whole and durable, and so is its name. */
  finish(): void {
    assert(this.#entryCount > 0, "a table has entries");
    this.#writer.endFamily();
    this.#writer.finish();
    this.#file.close();
    this.#env.disk.syncDirectory(this.#path.slice(0, this.#path.lastIndexOf("/")));
  }

  /** Leaves no file. */
  abandon(): void {
    this.#file.close();
    this.#env.disk.remove(this.#path);
  }
}
