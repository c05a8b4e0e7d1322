/**
 * Does one merge of one tree, in a job that reads pinned inputs: its outcome replaces them in one
 * manifest edit, provided that the tree still has them. What overlaps nothing only changes its
 * place, and what has expired goes, both without a job.
 */
import { pickExpired, sizeOf } from "../lsm/compaction-picker.js";
import { gcPolicyOf } from "../lsm/families.js";
import type { Merge } from "../lsm/level-picker.js";
import type { Slice } from "../lsm/slice.js";
import type { WrittenTable } from "../lsm/sstable-writer.js";
import type { Tree } from "../lsm/tree.js";
import { sliceOf } from "../lsm/version.js";
import type { EditOperation } from "../lsm/version-edit.js";
import { corruptionOf } from "./job-failure.js";
import { planOf } from "./merge-choice.js";
import type { StoreCore } from "./store-core.js";

export type MergeOutcome =
  | { readonly kind: "merged"; readonly writtenBytes: number }
  /** Nothing has changed. */
  | { readonly kind: "noSpace" }
  /** A table is damaged, which was said; nothing has changed. */
  | { readonly kind: "damaged" }
  /** The tree is another one meanwhile, or the store has ended. */
  | { readonly kind: "void" };

const VOID: MergeOutcome = { kind: "void" };
const NO_SPACE: MergeOutcome = { kind: "noSpace" };

/** Never rejects. */
export async function mergeInTree(
  core: StoreCore,
  tree: Tree,
  merge: Merge,
): Promise<MergeOutcome> {
  if (merge.isMove) return move(core, tree, merge);
  const { version } = tree;
  version.retain();
  try {
    return await rewrite(core, tree, merge);
  } finally {
    version.release();
  }
}

/** Slices of which nothing is left go. Returns whether there were any. */
export function dropExpired(core: StoreCore, tree: Tree): boolean {
  const horizon = tree.flushed.compactedRevision;
  const { shardId } = tree;
  let isDropped = false;
  for (const runs of tree.version.runs) {
    if (runs.length === 0 || gcPolicyOf(runs[0]!.slice.family) !== "dropBelow") continue;
    const slices = runs.map((run) => run.slice);
    const expired = pickExpired(slices, horizon);
    if (expired.length === 0) continue;
    const edit = expired.map((slice) => ({ kind: "removeSlice", shardId, slice }) as const);
    if (!core.tryAppend(edit)) continue;
    tree.installCompaction(expired, []);
    isDropped = true;
  }
  return isDropped;
}

async function rewrite(core: StoreCore, tree: Tree, merge: Merge): Promise<MergeOutcome> {
  const { tableBytesMax } = core.settings;
  const tablesMax = 1 + Math.ceil(sizeOf(merge.inputs) / tableBytesMax);
  const targets = Array.from({ length: tablesMax }, () => core.newTarget());
  const plan = planOf(core, tree, merge);
  const result = await core.runJob({ kind: "compact", targets, plan });
  switch (result.kind) {
    case "noSpace":
      return NO_SPACE;
    case "failed":
      core.fail(new Error(`a compaction failed: ${result.message}`));
      return VOID;
    case "corrupt":
      core.damaged(tree, corruptionOf(result));
      return { kind: "damaged" };
    case "written":
      if (isWanted(core, tree, merge)) return install(core, tree, merge, result.tables);
      remove(core, result.tables);
      return VOID;
  }
}

async function install(
  core: StoreCore,
  tree: Tree,
  merge: Merge,
  tables: readonly WrittenTable[],
): Promise<MergeOutcome> {
  const { shardId } = tree;
  const added: Slice[] = [];
  const edit: EditOperation[] = [];
  for (const slice of merge.inputs) edit.push({ kind: "removeSlice", shardId, slice });
  for (const { file, sections } of tables) {
    edit.push({ kind: "addFile", file });
    for (const section of sections) {
      const slice = sliceOf(file.fileNumber, section, merge.level);
      added.push(slice);
      edit.push({ kind: "addSlice", shardId, slice });
    }
  }
  if (!(await core.tryAppendSoon(edit))) {
    remove(core, tables);
    return NO_SPACE;
  }
  if (!isWanted(core, tree, merge)) {
    // Dropped or replaced meanwhile, by an edit that took these files out of the manifest again.
    const { files } = core.manifest.catalog;
    remove(
      core,
      tables.filter(({ file }) => !files.has(file.fileNumber)),
    );
    return VOID;
  }
  let writtenBytes = 0;
  for (const { file } of tables) {
    core.tables.add(file);
    writtenBytes += file.sizeBytes;
  }
  tree.installCompaction(merge.inputs, added);
  return { kind: "merged", writtenBytes };
}

/** The table changes its place in the tree and is not written anew. */
async function move(core: StoreCore, tree: Tree, merge: Merge): Promise<MergeOutcome> {
  const { shardId } = tree;
  const slice = merge.inputs[0]!;
  const moved = { ...slice, level: merge.level };
  const edit: EditOperation[] = [
    { kind: "removeSlice", shardId, slice },
    { kind: "addSlice", shardId, slice: moved },
  ];
  if (!(await core.tryAppendSoon(edit))) return NO_SPACE;
  if (!isWanted(core, tree, merge)) return VOID;
  tree.installCompaction(merge.inputs, [moved]);
  return { kind: "merged", writtenBytes: 0 };
}

/** Whether the tree is as it was when the merge was picked, apart from what came to it. */
function isWanted(core: StoreCore, tree: Tree, merge: Merge): boolean {
  const { slices } = tree.version;
  return core.isLive(tree) && merge.inputs.every((slice) => slices.includes(slice));
}

/** A store that has ended leaves them to the next start. */
function remove(core: StoreCore, tables: readonly WrittenTable[]): void {
  if (core.hasFailed) return;
  for (const { file } of tables) core.tables.remove(file.fileNumber);
}
