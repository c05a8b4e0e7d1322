/**
 * Replaces small tables of many trees by tables of one new pack:
 *
 *   job: the pack written, synced, directory synced
 *   one manifest edit: for each tree the new slices in place of the old ones
 *   trees: new slices in, old ones out
 *
 * A tree that has changed meanwhile is left out; so is one of whose tables something is damaged,
 * and that is said.
 */
import type { CorruptionError } from "../log/corruption-error.js";
import type { Pack, Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { corruptionOf } from "./job-failure.js";
import type { PackMember } from "./pack-job.js";
import type { StoreCore } from "./store-core.js";

/** One new table and what it replaces. */
export interface Replacement {
  /** A copy is the same entries in another place. */
  readonly member: PackMember;
  readonly owners: readonly ReplacementOwner[];
}

export interface ReplacementOwner {
  readonly tree: Tree;
  readonly removed: readonly Slice[];
  readonly added: (table: WrittenTable) => readonly Slice[];
}

/** A replacement whose table, if anything is left of it, is written. */
interface Written {
  readonly replacement: Replacement;
  readonly table: WrittenTable | undefined;
}

export class PackRound {
  readonly #core: StoreCore;
  readonly #replacements: readonly Replacement[];
  readonly replaced: Replacement[] = [];
  /** Those of which a table is damaged. */
  readonly damaged: Replacement[] = [];
  writtenBytes = 0;

  constructor(core: StoreCore, replacements: readonly Replacement[]) {
    this.#core = core;
    this.#replacements = replacements;
  }

  async run(): Promise<"done" | "noSpace"> {
    const owners = this.#replacements.flatMap((replacement) => replacement.owners);
    const versions = owners.map(({ tree }) => tree.version);
    for (const version of versions) version.retain();
    try {
      return await this.#run();
    } finally {
      for (const version of versions) version.release();
    }
  }

  async #run(): Promise<"done" | "noSpace"> {
    const core = this.#core;
    const result = await core.runPack(this.#replacements.map(({ member }) => member));
    if (result.kind === "noSpace") return "noSpace";
    if (result.kind !== "packed") {
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return "done";
    }
    const written: Written[] = [];
    for (const [at, packed] of result.members.entries()) {
      const replacement = this.#replacements[at]!;
      if (packed.kind === "corrupt") {
        this.#damaged(replacement, corruptionOf(packed));
      } else {
        const table = packed.kind === "table" ? packed.table : undefined;
        written.push({ replacement, table });
      }
    }
    const wanted = written.filter(({ replacement }) =>
      replacement.owners.every((owner) => this.#isIntact(owner)),
    );
    const isDone = wanted.length === 0 || (await core.tryAppendSoon(editOf(wanted, result.pack)));
    if (isDone) this.#install(wanted, result.pack);
    else this.#remove(result.pack);
    return isDone ? "done" : "noSpace";
  }

  #damaged(replacement: Replacement, error: CorruptionError): void {
    this.damaged.push(replacement);
    for (const { tree } of replacement.owners) this.#core.damaged(tree, error);
  }

  /** Whether the tree is as it was, apart from what came to it. */
  #isIntact({ tree, removed }: ReplacementOwner): boolean {
    const { slices } = tree.version;
    return this.#core.isLive(tree) && removed.every((slice) => slices.includes(slice));
  }

  #install(written: readonly Written[], pack: Pack | undefined): void {
    const { tables } = this.#core;
    // Others were dropped or replaced meanwhile, by an edit that took their slices out again.
    const left = written.map((each) => ({
      ...each,
      owners: each.replacement.owners.filter((owner) => this.#isIntact(owner)),
    }));
    const files = left.flatMap(({ table, owners }) =>
      table === undefined || owners.length === 0 ? [] : [table.file],
    );
    if (files.length === 0) this.#remove(pack);
    else if (pack !== undefined) tables.addPack(pack);
    for (const file of files) {
      tables.add(file);
      this.writtenBytes += file.sizeBytes;
    }
    for (const { replacement, table, owners } of left) {
      for (const { tree, removed, added } of owners) {
        tree.installCompaction(removed, table === undefined ? [] : added(table));
      }
      if (owners.length > 0) this.replaced.push(replacement);
    }
  }

  /** A store that has ended leaves it to the next start. */
  #remove(pack: Pack | undefined): void {
    const core = this.#core;
    if (pack === undefined || core.hasFailed) return;
    if (!core.manifest.catalog.packs.has(pack.packNumber)) core.tables.removePack(pack.packNumber);
  }
}

function editOf(written: readonly Written[], pack: Pack | undefined): EditOperation[] {
  const edit: EditOperation[] = [];
  const hasTables = written.some(({ table }) => table !== undefined);
  if (pack !== undefined && hasTables) edit.push({ kind: "addPack", pack });
  for (const { replacement, table } of written) {
    if (table !== undefined) edit.push({ kind: "addFile", file: table.file });
    for (const { tree, removed, added } of replacement.owners) {
      const { shardId } = tree;
      for (const slice of removed) edit.push({ kind: "removeSlice", shardId, slice });
      for (const slice of table === undefined ? [] : added(table)) {
        edit.push({ kind: "addSlice", shardId, slice });
      }
    }
  }
  return edit;
}
