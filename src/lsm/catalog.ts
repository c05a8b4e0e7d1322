/**
 * What the manifest describes, in memory: the trees of a store, their slices and tables, and the
 * packs in which small tables lie. Every edit
 * is checked as it is applied; one that makes no sense throws InvalidEditError, which on reading
 * means a damaged manifest and on writing a bug.
 */
import { compareBytes, equalBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import { intersectRanges, rangeCovers } from "../base/key-range.js";
import type { FlushedState } from "./entry.js";
import { LEVEL_BASE } from "./level.js";
import type { Pack, Slice, TableFile } from "./slice.js";
import type { EditOperation, SliceName, VersionEdit } from "./version-edit.js";

export interface CatalogTree {
  range: KeyRange;
  flushed: FlushedState;
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
  /** Of each file what slices show: it goes with the last one, and a pack with its last file. */
  readonly #uses: Map<number, FileUse> = new Map();

  apply(edit: VersionEdit): void {
    const touched = new Set<number>();
    for (const operation of edit) this.#applyOperation(operation, touched);
    for (const fileNumber of touched) {
      if (this.sliceCount(fileNumber) > 0) continue;
      this.#removeFile(fileNumber);
      this.#uses.delete(fileNumber);
    }
    for (const operation of edit) if (operation.kind === "addPack") this.#checkPack(operation.pack);
  }

  get packs(): ReadonlyMap<number, CatalogPack> {
    return this.#packs;
  }

  /** How many slices of any tree show a part of a file. */
  sliceCount(fileNumber: number): number {
    return this.#uses.get(fileNumber)?.slices ?? 0;
  }

  /** About how much of a file is seen through the slices of any tree. */
  shownBytes(fileNumber: number): number {
    return this.#uses.get(fileNumber)?.sizeBytes ?? 0;
  }

  /** The edit that makes an empty catalog equal to this one. */
  snapshot(): VersionEdit {
    const edit: EditOperation[] = [
      { kind: "startRun", run: this.run },
      { kind: "nextFileNumber", fileNumber: this.nextFileNumber },
    ];
    for (const { packNumber, sizeBytes } of this.#packs.values()) {
      edit.push({ kind: "addPack", pack: { packNumber, sizeBytes } });
    }
    for (const file of this.files.values()) edit.push({ kind: "addFile", file });
    for (const [shardId, { range, flushed, slices }] of this.trees) {
      edit.push({ kind: "createTree", shardId, range, flushed });
      for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    }
    return edit;
  }

  #applyOperation(operation: EditOperation, touched: Set<number>): void {
    switch (operation.kind) {
      case "createTree": {
        const { shardId, range, flushed } = operation;
        if (this.trees.has(shardId)) throw new InvalidEditError(`tree ${shardId} exists`);
        this.trees.set(shardId, { range, flushed, slices: [] });
        return;
      }
      case "dropTree":
        for (const slice of this.#tree(operation.shardId).slices)
          this.#countSlice(slice, -1, touched);
        this.trees.delete(operation.shardId);
        return;
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
        this.#addSlice(this.#tree(operation.shardId), operation.slice, touched);
        return;
      case "removeSlice":
        this.#removeSlice(this.#tree(operation.shardId), operation.slice, touched);
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

  #addSlice(tree: CatalogTree, slice: Slice, touched: Set<number>): void {
    const file = this.files.get(slice.fileNumber);
    if (file === undefined) throw new InvalidEditError(`there is no file ${slice.fileNumber}`);
    if (tree.slices.some((other) => isSameEntry(slice, other))) {
      throw new InvalidEditError("a slice exists");
    }
    const { range } = slice;
    const isEmpty = range.end !== undefined && compareBytes(range.start, range.end) >= 0;
    const isInside = rangeCovers(slice.filterRange, range) && slice.sizeBytes <= file.sizeBytes;
    if (isEmpty || slice.minVersion > slice.maxVersion || !isInside) {
      throw new InvalidEditError(`the bounds of a slice of file ${slice.fileNumber} are wrong`);
    }
    if (slice.level >= LEVEL_BASE && tree.slices.some((other) => collides(slice, other))) {
      throw new InvalidEditError(`the tables of level ${slice.level} overlap`);
    }
    tree.slices = [...tree.slices, slice];
    this.#countSlice(slice, 1, touched);
  }

  #removeSlice(tree: CatalogTree, name: SliceName, touched: Set<number>): void {
    const slice = findSlice(tree, name);
    if (slice === undefined) throw new InvalidEditError("a slice to be removed is not there");
    tree.slices = tree.slices.filter((other) => other !== slice);
    this.#countSlice(slice, -1, touched);
  }

  #countSlice(slice: Slice, change: 1 | -1, touched: Set<number>): void {
    const { fileNumber } = slice;
    const { slices, sizeBytes } = this.#uses.get(fileNumber) ?? { slices: 0, sizeBytes: 0 };
    this.#uses.set(fileNumber, {
      slices: slices + change,
      sizeBytes: sizeBytes + change * slice.sizeBytes,
    });
    touched.add(fileNumber);
  }
}

interface FileUse {
  readonly slices: number;
  readonly sizeBytes: number;
}

function collides(a: Slice, b: Slice): boolean {
  const isSameLevel = a.level === b.level && a.family === b.family;
  return isSameLevel && intersectRanges(a.range, b.range) !== undefined;
}

/** Whether two slices show the same entries of the same file. */
function isSameEntry(a: Slice, b: Slice): boolean {
  const isSamePart = a.fileNumber === b.fileNumber && a.family === b.family;
  return isSamePart && intersectRanges(a.range, b.range) !== undefined;
}

function findSlice(tree: CatalogTree, { fileNumber, family, range }: SliceName): Slice | undefined {
  return tree.slices.find(
    (slice) =>
      slice.fileNumber === fileNumber &&
      slice.family === family &&
      (range === undefined || equalBytes(slice.range.start, range.start)),
  );
}
