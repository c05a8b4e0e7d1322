/**
 * Takes tables that were built elsewhere into a tree, all or none, without writing them again:
 *
 *   job: each is read as a whole, every checksum and order checked, and synced
 *   standstill: what was applied before is flushed, a merge of the tree is let end
 *   each gets a name among the tables (a link), and that is synced
 *   one manifest edit: their slices, with the state after it
 *   the names they had before go
 *
 * After a power cut before the edit the tables lie where they were, and the log gives the same
 * entry again; after the edit they are the tree's.
 */
import { rangeCovers } from "../base/key-range.js";
import type { FlushedState } from "../lsm/entry.js";
import { isCutByRange } from "../lsm/families.js";
import { placeOf } from "../lsm/ingest-place.js";
import type { Slice, TableFile } from "../lsm/slice.js";
import { tablePath } from "../lsm/table-set.js";
import type { Tree } from "../lsm/tree.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { errorOf } from "./job-failure.js";
import type { ExaminedTable } from "./jobs.js";
import type { Standstill } from "./standstill.js";
import type { StoreCore } from "./store-core.js";

export interface TableIngest {
  readonly shardId: number;
  /** What was applied to the tree before the tables come. */
  readonly before: FlushedState;
  /** Where the tables are now; a later one may overlap what an earlier one brings. */
  readonly paths: readonly string[];
  /** Its revision is that of the newest entry of the tables, or a younger one. */
  readonly after: FlushedState;
}

/**
 * damaged        it is no sstable, or not what was written
 * foreignFamily  it has entries of a family whose keys are not those of shards
 * outsideRange   it has keys outside the range of the tree
 * aheadOfState   it has versions above the revision that the tree has afterwards
 * belowCompacted it has versions up to the compacted revision: of those the tree may have forgotten
 *                the deletes that would hide them
 * overlapsNewer  the tree has entries between its first and last key that are as new as its own
 */
export type IngestRefusal =
  | "damaged"
  | "foreignFamily"
  | "outsideRange"
  | "aheadOfState"
  | "belowCompacted"
  | "overlapsNewer";

export type IngestOutcome =
  | { readonly kind: "ingested"; readonly slices: readonly Slice[] }
  | {
      readonly kind: "refused";
      readonly reason: IngestRefusal;
      readonly path: string;
      readonly detail: string;
    };

type Refused = Extract<IngestOutcome, { readonly kind: "refused" }>;

interface NamedTable {
  readonly path: string;
  readonly examined: ExaminedTable;
}

interface PlacedTable {
  readonly path: string;
  readonly file: TableFile;
  readonly slices: readonly Slice[];
}

export class TableIngester {
  readonly #core: StoreCore;
  readonly #standstill: Standstill;

  constructor(core: StoreCore, standstill: Standstill) {
    this.#core = core;
    this.#standstill = standstill;
  }

  /** Throws as Standstill.run does, and DiskError where a table cannot be read or linked. */
  async ingest({ shardId, before, paths, after }: TableIngest): Promise<IngestOutcome> {
    const tables: NamedTable[] = [];
    for (const path of paths) {
      const examined = await this.#examine(path);
      if (examined.kind === "refused") return examined;
      tables.push({ path, examined });
    }
    // A merge may bring its outcome to where a table would go.
    const options = { shardId, before, awaitsMerge: true };
    const outcome = await this.#standstill.run(options, (tree) => this.#take(tree, tables, after));
    if (outcome.kind === "refused") return outcome;
    for (const path of paths) await this.#core.runJob({ kind: "remove", path });
    return outcome;
  }

  #take(tree: Tree, tables: readonly NamedTable[], after: FlushedState): IngestOutcome {
    const present = [...tree.version.slices];
    const placed: PlacedTable[] = [];
    for (const table of tables) {
      const outcome = this.#place(tree, table, present, after);
      if ("kind" in outcome) return outcome;
      placed.push(outcome);
      present.push(...outcome.slices);
    }
    this.#install(tree, placed, after);
    return { kind: "ingested", slices: placed.flatMap(({ slices }) => slices) };
  }

  async #examine(path: string): Promise<ExaminedTable | Refused> {
    const result = await this.#core.runCheck({ kind: "examineTable", path });
    switch (result.kind) {
      case "examined":
        return result;
      case "corrupt":
        return { kind: "refused", reason: "damaged", path, detail: result.message };
      case "noSpace":
      case "failed":
        throw errorOf(result, path);
      default:
        throw new Error(`the answer to another job: ${result.kind}`);
    }
  }

  #place(
    tree: Tree,
    { path, examined }: NamedTable,
    present: readonly Slice[],
    after: FlushedState,
  ): PlacedTable | Refused {
    const { fileNumber } = this.#core.newTarget();
    const slices: Slice[] = [];
    for (const info of examined.sections) {
      const slice = sliceOf(fileNumber, info, 0);
      const refuse = (reason: IngestRefusal): Refused => {
        return { kind: "refused", reason, path, detail: detailOf(slice) };
      };
      const reason = reasonAgainst(tree, slice, after);
      if (reason !== undefined) return refuse(reason);
      const level = placeOf(slice, present);
      if (level === undefined) return refuse("overlapsNewer");
      slices.push({ ...slice, level });
    }
    return { path, file: { ...examined.file, fileNumber }, slices };
  }

  #install(tree: Tree, placed: readonly PlacedTable[], after: FlushedState): void {
    const core = this.#core;
    const { shardId } = tree;
    const edit: EditOperation[] = [{ kind: "setFlushed", shardId, flushed: after }];
    for (const { file, slices } of placed) {
      edit.push({ kind: "addFile", file });
      for (const slice of slices) edit.push({ kind: "addSlice", shardId, slice });
    }
    this.#append(placed, edit);
    for (const { file } of placed) core.tables.add(file);
    const added = placed.flatMap(({ slices }) => slices);
    tree.installCut([], added, after);
    core.observer?.flushed(shardId, after);
  }

  /** Where it throws, no file of the tables is left but to the next start. */
  #append(placed: readonly PlacedTable[], edit: EditOperation[]): void {
    const core = this.#core;
    const linked: TableFile[] = [];
    try {
      for (const { path, file } of placed) {
        core.env.disk.link(path, tablePath(core.directory, file.fileNumber));
        linked.push(file);
      }
      core.syncTables();
      core.append(edit);
    } catch (error) {
      if (!core.hasFailed) for (const { fileNumber } of linked) core.tables.remove(fileNumber);
      throw error;
    }
  }
}

function reasonAgainst(
  tree: Tree,
  { family, range, minVersion, maxVersion }: Slice,
  after: FlushedState,
): IngestRefusal | undefined {
  if (!isCutByRange(family)) return "foreignFamily";
  if (!rangeCovers(tree.range, range)) return "outsideRange";
  if (maxVersion > after.revision) return "aheadOfState";
  return minVersion <= tree.flushed.compactedRevision ? "belowCompacted" : undefined;
}

function detailOf({ minVersion, maxVersion, entryCount }: Slice): string {
  return `it has ${entryCount} entries with versions ${minVersion} to ${maxVersion}`;
}
