/**
 * The edits that make an empty catalog equal to one as it was at some moment, a few trees each. To
 * take it costs little, and the catalog may change while it is read.
 */
import type { Catalog, CatalogTree } from "./catalog.js";
import type { Pack, TableFile } from "./slice.js";
import type { EditOperation, VersionEdit } from "./version-edit.js";

export class CatalogSnapshot {
  readonly #trees: readonly (readonly [number, CatalogTree])[];
  readonly #files: ReadonlyMap<number, TableFile>;
  readonly #packs: ReadonlyMap<number, Pack>;
  /** Tables and packs, which are numbered together, that an edit has named. */
  readonly #named: Set<number> = new Set();
  #numbers: EditOperation[];
  #at = 0;

  constructor({ trees, files, packs, run, nextFileNumber }: Catalog) {
    this.#trees = [...trees].map(([shardId, tree]) => [shardId, { ...tree }] as const);
    this.#files = new Map(files);
    this.#packs = new Map(packs);
    this.#numbers = [
      { kind: "startRun", run },
      { kind: "nextFileNumber", fileNumber: nextFileNumber },
    ];
  }

  /**
   * The next edit, which ends with a tree once it has so many operations; undefined after the last.
   * A table is named in the edit of the first tree that shows it, and a pack with its first table:
   * neither may be without a use at the end of an edit.
   */
  next(operationsMin: number): VersionEdit | undefined {
    const edit = this.#numbers;
    this.#numbers = [];
    while (edit.length < operationsMin && this.#at < this.#trees.length) {
      const [shardId, tree] = this.#trees[this.#at++]!;
      this.#addTree(edit, shardId, tree);
    }
    return edit.length === 0 ? undefined : edit;
  }

  #addTree(edit: EditOperation[], shardId: number, { range, flushed, slices }: CatalogTree): void {
    edit.push({ kind: "createTree", shardId, range, flushed });
    for (const slice of slices) {
      this.#addFile(edit, this.#files.get(slice.fileNumber)!);
      edit.push({ kind: "addSlice", shardId, slice });
    }
  }

  #addFile(edit: EditOperation[], file: TableFile): void {
    if (this.#named.has(file.fileNumber)) return;
    this.#named.add(file.fileNumber);
    const pack = file.home === undefined ? undefined : this.#packs.get(file.home.packNumber)!;
    if (pack !== undefined && !this.#named.has(pack.packNumber)) {
      const { packNumber, sizeBytes } = pack;
      this.#named.add(packNumber);
      edit.push({ kind: "addPack", pack: { packNumber, sizeBytes } });
    }
    edit.push({ kind: "addFile", file });
  }
}
