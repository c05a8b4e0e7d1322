/**
 * Takes in tables from elsewhere into a directory of backups, piece by piece. A table is there
 * under its name once all of it was checked and is durable; what does not fit is never there.
 */
import { assert } from "../base/assert.js";
import { crc32 } from "../base/checksum.js";
import { removeQuietly, UNSYNCED_BYTES_MAX } from "../env/disk.js";
import type { Disk, DiskFile } from "../env/disk.js";
import type { TableFile } from "../lsm/slice.js";
import { DRAFT_SUFFIX, backupTablePath } from "./backup-listing.js";

export class TableIntake {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #described: TableFile;
  readonly #draft: DiskFile;
  #sizeBytes = 0;
  #unsyncedBytes = 0;
  #checksum = 0;

  constructor(disk: Disk, directory: string, described: TableFile) {
    this.#disk = disk;
    this.#path = backupTablePath(directory, described);
    this.#described = described;
    this.#draft = disk.open(this.#path + DRAFT_SUFFIX, { create: true });
    this.#draft.truncateSync(0);
  }

  /** What comes next of the table. */
  add(bytes: Uint8Array): void {
    assert(this.#sizeBytes + bytes.length <= this.#described.sizeBytes, "a table has an end");
    this.#draft.writeSync(bytes, 0, bytes.length, this.#sizeBytes);
    this.#checksum = crc32(bytes, this.#checksum);
    this.#sizeBytes += bytes.length;
    this.#unsyncedBytes += bytes.length;
    if (this.#unsyncedBytes < UNSYNCED_BYTES_MAX) return;
    this.#draft.syncSync();
    this.#unsyncedBytes = 0;
  }

  /** Whether it is what was described; where not, nothing is left of it. */
  finish(): boolean {
    const { sizeBytes, checksum } = this.#described;
    const isWhole = this.#sizeBytes === sizeBytes && this.#checksum === checksum;
    if (isWhole) this.#draft.syncSync();
    this.#draft.close();
    if (isWhole) this.#disk.rename(this.#path + DRAFT_SUFFIX, this.#path);
    else removeQuietly(this.#disk, this.#path + DRAFT_SUFFIX);
    return isWhole;
  }

  /** Leaves nothing. */
  abandon(): void {
    this.#draft.close();
    removeQuietly(this.#disk, this.#path + DRAFT_SUFFIX);
  }
}
