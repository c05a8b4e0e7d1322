/**
 * Finds the packs that are mostly garbage, or too small and too many, and says how to write what
 * is of use in them anew: each table as it is, with all trees that show a part of it.
 */
import { pickPacks } from "../lsm/pack-picker.js";
import type { Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import type { Replacement } from "./pack-round.js";
import type { StoreCore } from "./store-core.js";

export class PackGarbage {
  readonly #core: StoreCore;
  /** Packs of which something could not be read: it is as it is until its trees are refilled. */
  readonly #unreadable: Set<number> = new Set();
  /** Where all packs were found to be as they should be, the state of the catalog's packs. */
  #tidyAt = -1;

  constructor(core: StoreCore) {
    this.#core = core;
  }

  /** What to write into one new pack; nothing of trees that are `busy`. */
  collect(busy: { has(tree: Tree): boolean }): Replacement[] {
    const { catalog } = this.#core.manifest;
    if (this.#tidyAt === catalog.packChanges) return [];
    const picked = pickPacks(catalog.packs.values(), this.#unreadable);
    if (picked.length === 0) this.#tidyAt = catalog.packChanges;
    const replacements: Replacement[] = [];
    for (const [fileNumber, trees] of this.#owners(picked)) {
      const isBusy = [...trees.keys()].some((tree) => busy.has(tree));
      if (trees.size > 0 && !isBusy) replacements.push(this.#copyOf(fileNumber, trees));
    }
    return replacements;
  }

  /** What was to be replaced cannot be read. */
  isDamaged({ member }: Replacement): void {
    const home = member.kind === "copy" ? member.file.home : undefined;
    if (home !== undefined) this.#unreadable.add(home.packNumber);
  }

  /** The slices of each table of these packs, by the tree that has them. */
  #owners(packs: readonly number[]): ReadonlyMap<number, ReadonlyMap<Tree, readonly Slice[]>> {
    const { manifest, trees } = this.#core;
    const { catalog } = manifest;
    const tables = new Map<number, ReadonlyMap<Tree, readonly Slice[]>>();
    for (const fileNumber of packs.flatMap((pack) => [...catalog.packs.get(pack)!.tables])) {
      const owners = new Map<Tree, readonly Slice[]>();
      for (const shardId of catalog.treesOf(fileNumber)) {
        const tree = trees.get(shardId);
        const slices = tree?.version.slices.filter((slice) => slice.fileNumber === fileNumber);
        if (tree !== undefined && slices!.length > 0) owners.set(tree, slices!);
      }
      tables.set(fileNumber, owners);
    }
    return tables;
  }

  #copyOf(fileNumber: number, trees: ReadonlyMap<Tree, readonly Slice[]>): Replacement {
    const target = this.#core.newTarget();
    const file = this.#core.tables.file(fileNumber);
    const owners = [...trees].map(([tree, removed]) => ({
      tree,
      removed,
      added: (table: WrittenTable) =>
        removed.map((slice) => ({ ...slice, fileNumber: table.file.fileNumber })),
    }));
    return { member: { kind: "copy", target, file }, owners };
  }
}
