/**
 * What the manifest describes, in memory: the trees of a store, their slices and tables, and the
 * packs in which small tables lie. Every edit is checked as it is applied; one that makes no sense
 * throws InvalidEditError, which on reading means a damaged manifest and on writing a bug. No check
 * looks at all slices of a tree, of which there may be thousands.
 */
import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { rangeCovers } from "../base/key-range.js";
import type { FlushedState } from "./entry.js";
import { addedTo, removedFrom } from "./slice-order.js";
import { TableUses } from "./table-uses.js";
import type { Pack, Slice, TableFile } from "./slice.js";
import type { EditOperation, SliceName, VersionEdit } from "./version-edit.js";

export interface CatalogTree {
  range: KeyRange;
  flushed: FlushedState;
  /** In the order of slice-order.ts. */
  slices: readonly Slice[];
}

/** A pack and what of it is still of use. */
export interface CatalogPack extends Pack {
  readonly tables: ReadonlySet<number>;
  readonly liveBytes: number;
}

interface PackRecord extends Pack {
  readonly tables: Set<number>;
  liveBytes: number;
}

export class InvalidEditError extends Error {
  override readonly name = "InvalidEditError";
}

export class Catalog {
  run = 0;
  nextFileNumber = 1;
  /** Goes up whenever a pack comes, goes or loses a table. */
  packChanges = 0;
  readonly trees: Map<number, CatalogTree> = new Map();
  readonly files: Map<number, TableFile> = new Map();
  readonly #packs: Map<number, PackRecord> = new Map();
  /** A table goes with its last slice, and a pack with its last table. */
  readonly #uses: TableUses = new TableUses();

  apply(edit: VersionEdit): void {
    const touched = new Set<number>();
    for (const operation of edit) this.#applyOperation(operation, touched);
    for (const fileNumber of touched) {
      if (this.sliceCount(fileNumber) === 0) this.#removeFile(fileNumber);
    }
    for (const operation of edit) if (operation.kind === "addPack") this.#checkPack(operation.pack);
  }

  get packs(): ReadonlyMap<number, CatalogPack> {
    return this.#packs;
  }

  /** How many slices of any tree show a part of a file. */
  sliceCount(fileNumber: number): number {
    return this.#uses.of(fileNumber).length;
  }

  /** The trees that show a part of a file. */
  treesOf(fileNumber: number): ReadonlySet<number> {
    return new Set(this.#uses.of(fileNumber).map(({ shardId }) => shardId));
  }

  /** About how much of a file is seen through the slices of any tree. */
  shownBytes(fileNumber: number): number {
    return this.#uses.of(fileNumber).reduce((sum, { slice }) => sum + slice.sizeBytes, 0);
  }

  #applyOperation(operation: EditOperation, touched: Set<number>): void {
    switch (operation.kind) {
      case "createTree": {
        const { shardId, range, flushed } = operation;
        if (this.trees.has(shardId)) throw new InvalidEditError(`tree ${shardId} exists`);
        this.trees.set(shardId, { range, flushed, slices: [] });
        return;
      }
      case "dropTree": {
        const { shardId } = operation;
        for (const slice of this.#tree(shardId).slices) this.#letGo(shardId, slice, touched);
        this.trees.delete(shardId);
        return;
      }
      case "setRange":
        this.#tree(operation.shardId).range = operation.range;
        return;
      case "setFlushed":
        this.#setFlushed(this.#tree(operation.shardId), operation.flushed);
        return;
      case "addPack":
        this.#addPack(operation.pack);
        return;
      case "addFile":
        this.#addFile(operation.file, touched);
        return;
      case "addSlice":
        this.#addSlice(operation.shardId, operation.slice, touched);
        return;
      case "removeSlice":
        this.#removeSlice(operation.shardId, operation.slice, touched);
        return;
      case "nextFileNumber":
        this.nextFileNumber = Math.max(this.nextFileNumber, operation.fileNumber);
        return;
      case "startRun":
        if (operation.run < this.run) throw new InvalidEditError("the run fell");
        this.run = operation.run;
        return;
    }
  }

  #tree(shardId: number): CatalogTree {
    const tree = this.trees.get(shardId);
    if (tree === undefined) throw new InvalidEditError(`there is no tree ${shardId}`);
    return tree;
  }

  #setFlushed(tree: CatalogTree, flushed: FlushedState): void {
    if (flushed.index < tree.flushed.index) throw new InvalidEditError("the flushed index fell");
    tree.flushed = flushed;
  }

  #addPack({ packNumber, sizeBytes }: Pack): void {
    if (this.#packs.has(packNumber)) throw new InvalidEditError(`pack ${packNumber} exists`);
    this.#packs.set(packNumber, { packNumber, sizeBytes, tables: new Set(), liveBytes: 0 });
    this.packChanges++;
    this.nextFileNumber = Math.max(this.nextFileNumber, packNumber + 1);
  }

  #addFile(file: TableFile, touched: Set<number>): void {
    const { fileNumber } = file;
    if (this.files.has(fileNumber)) throw new InvalidEditError(`file ${fileNumber} exists`);
    this.#enterPack(file);
    this.files.set(fileNumber, file);
    this.nextFileNumber = Math.max(this.nextFileNumber, fileNumber + 1);
    touched.add(fileNumber);
  }

  #enterPack({ fileNumber, sizeBytes, home }: TableFile): void {
    if (home === undefined) return;
    const pack = this.#packs.get(home.packNumber);
    if (pack === undefined) throw new InvalidEditError(`there is no pack ${home.packNumber}`);
    pack.tables.add(fileNumber);
    pack.liveBytes += sizeBytes;
    if (home.offset + sizeBytes > pack.sizeBytes || pack.liveBytes > pack.sizeBytes) {
      throw new InvalidEditError(`the place of table ${fileNumber} in its pack is wrong`);
    }
  }

  #checkPack({ packNumber }: Pack): void {
    const isEmpty = this.#packs.get(packNumber)?.tables.size === 0;
    if (isEmpty) throw new InvalidEditError(`pack ${packNumber} has no tables`);
  }

  #removeFile(fileNumber: number): void {
    const file = this.files.get(fileNumber);
    this.files.delete(fileNumber);
    if (file?.home === undefined) return;
    const { packNumber } = file.home;
    const pack = this.#packs.get(packNumber)!;
    this.packChanges++;
    pack.tables.delete(fileNumber);
    pack.liveBytes -= file.sizeBytes;
    if (pack.tables.size === 0) this.#packs.delete(packNumber);
  }

  #addSlice(shardId: number, slice: Slice, touched: Set<number>): void {
    const tree = this.#tree(shardId);
    const file = this.files.get(slice.fileNumber);
    if (file === undefined) throw new InvalidEditError(`there is no file ${slice.fileNumber}`);
    if (this.#uses.shows(shardId, slice)) throw new InvalidEditError("a slice exists");
    const { range } = slice;
    const isEmpty = range.end !== undefined && compareBytes(range.start, range.end) >= 0;
    const isInside = rangeCovers(slice.filterRange, range) && slice.sizeBytes <= file.sizeBytes;
    if (isEmpty || slice.minVersion > slice.maxVersion || !isInside) {
      throw new InvalidEditError(`the bounds of a slice of file ${slice.fileNumber} are wrong`);
    }
    const slices = addedTo(tree.slices, slice);
    if (slices === undefined) {
      throw new InvalidEditError(`the tables of level ${slice.level} overlap`);
    }
    tree.slices = slices;
    this.#uses.add({ shardId, slice });
    touched.add(slice.fileNumber);
  }

  #removeSlice(shardId: number, name: SliceName, touched: Set<number>): void {
    const tree = this.#tree(shardId);
    const slice = this.#uses.find(shardId, name);
    if (slice === undefined) throw new InvalidEditError("a slice to be removed is not there");
    tree.slices = removedFrom(tree.slices, slice);
    this.#letGo(shardId, slice, touched);
  }

  #letGo(shardId: number, slice: Slice, touched: Set<number>): void {
    this.#uses.remove({ shardId, slice });
    touched.add(slice.fileNumber);
  }
}
