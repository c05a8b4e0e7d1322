/**
 * Reads the manifest in force without starting a new one, and says of each of its copies where it
 * is damaged. It changes nothing.
 */
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import { CorruptionError } from "../log/corruption-error.js";
import { NOTHING_LOST } from "../log/finding.js";
import type { Finding, Loss } from "../log/finding.js";
import { Catalog, InvalidEditError } from "../lsm/catalog.js";
import { Manifest } from "../lsm/manifest.js";
import type { ManifestCopies } from "../lsm/manifest.js";
import { damagedPlaces, decodeManifest } from "../lsm/manifest-format.js";
import type { ManifestContent } from "../lsm/manifest-format.js";

/** What the manifest in force says, with what is wrong with it. */
export interface ManifestLook {
  readonly path: string;
  /** Undefined where it cannot be read at all. */
  readonly content: ManifestContent | undefined;
  readonly catalog: Catalog;
  readonly sizeBytes: number;
  readonly findings: readonly Finding[];
}

const EVERYTHING: Loss = { kind: "everything", what: "which tables make up which trees" };

export function lookAtManifest(disk: Disk, directory: string): ManifestLook {
  const look = new Look(`${directory}/current-*`);
  try {
    const found = Manifest.copiesIn(disk, directory);
    if (found === undefined)
      look.damage(look.path, 0, "there is no marker of a manifest", EVERYTHING);
    else look.at(found);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    look.damage(error.path, 0, error.message, EVERYTHING);
  }
  return look;
}

class Look implements ManifestLook {
  path: string;
  content: ManifestContent | undefined = undefined;
  readonly catalog: Catalog = new Catalog();
  sizeBytes = 0;
  readonly findings: Finding[] = [];

  constructor(path: string) {
    this.path = path;
  }

  damage(path: string, offset: number, what: string, loss: Loss): void {
    this.findings.push({ path, offset, what, loss, isDamage: true });
  }

  at({ number, paths, copies }: ManifestCopies): void {
    this.path = paths[0]!;
    const loss: Loss =
      copies.length > 0 ? { kind: "nothing", because: "the other copy is there" } : EVERYTHING;
    for (const path of paths) {
      if (copies.some((copy) => copy.path === path)) continue;
      this.damage(path, 0, "a copy of the manifest is not there", loss);
    }
    if (copies.length === 0) return;
    const bytes = copies.map((copy) => copy.bytes);
    this.sizeBytes = bytes.reduce((sum, { length }) => sum + length, 0);
    for (const [at, places] of damagedPlaces(bytes, number).entries()) {
      for (const offset of places) this.#copyDamage(copies[at]!.path, offset, copies.length > 1);
    }
    this.#read(bytes, number);
  }

  #copyDamage(path: string, offset: number, hasOther: boolean): void {
    const what = offset === 0 ? "the header is damaged" : "a record fails its checksum";
    const other: Loss = { kind: "nothing", because: "the other copy has it" };
    this.damage(path, offset, what, hasOther ? other : EVERYTHING);
  }

  #read(copies: readonly Uint8Array[], number: number): void {
    const { path } = this;
    try {
      const content = decodeManifest(copies, number, path);
      this.content = content;
      for (const edit of content.edits) this.catalog.apply(edit);
      if (!content.isTorn) return;
      const what = "behind the last record lies what is no record: a write that was cut short";
      const offset = content.endOffset;
      this.findings.push({ path, offset, what, loss: NOTHING_LOST, isDamage: false });
    } catch (error) {
      if (error instanceof CorruptionError) {
        this.damage(path, error.offset, error.detail, EVERYTHING);
      } else if (error instanceof InvalidEditError) {
        this.damage(path, 0, error.message, EVERYTHING);
      } else {
        throw error;
      }
    }
  }
}
