/** flotilla inspect manifest: which tables make up which trees, and how far they are flushed. */
import type { CatalogTree } from "../../lsm/catalog.js";
import { familyName } from "../../lsm/families.js";
import { LEVEL_BASE } from "../../lsm/level.js";
import { clipOf } from "../../lsm/slice.js";
import type { Slice } from "../../lsm/slice.js";
import { shown } from "../../lsm/table-survey.js";
import type { ManifestLook } from "../../store/manifest-look.js";
import { lookAtManifest } from "../../store/manifest-look.js";
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { findingValue } from "../findings.js";
import { INSPECT_FLAGS, printSurvey } from "../inspection.js";
import type { NodeContext } from "../node-context.js";
import { counted, formatBytes } from "../quantities.js";
import { storeDirectoryOf } from "../store-directory.js";

export const inspectManifest: CommandDefinition<NodeContext> = {
  flags: INSPECT_FLAGS,
  writes: false,
  examples: [["inspect manifest ./n1", "the trees of a node and their tables"]],
  epilogue: "It is read in whichever copy is whole. Nothing is changed, a node may run.",
  run: async ({ terminal, openDisk }, argv) => {
    const disk = await openDisk();
    const given = requiredOf(argv, "path").replace(/\/(manifest|current)-\d+(\.copy)?$/, "");
    const look = lookAtManifest(disk, storeDirectoryOf(disk, given).store);
    return printSurvey(terminal, argv, {
      value: plain(look),
      text: manifestText(look),
      findings: look.findings,
    });
  },
};

function plain({ path, content, catalog, findings }: ManifestLook): object {
  const trees = [...catalog.trees].map(([shardId, { range, flushed, slices }]) => ({
    shardId,
    start: shown(range.start),
    end: range.end === undefined ? null : shown(range.end),
    flushed: { ...flushed, configuration: flushed.configuration.length },
    slices: slices.map(plainSlice),
  }));
  const { run, nextFileNumber } = catalog;
  const records = content?.edits.length ?? 0;
  const storeId = content?.storeId ?? null;
  const files = [...catalog.files.values()];
  return {
    path,
    storeId,
    run,
    nextFileNumber,
    records,
    files,
    trees,
    findings: findings.map(findingValue),
  };
}

function plainSlice(slice: Slice): object {
  const { fileNumber, family, range, entryCount, keyCount, tombstoneCount, sizeBytes } = slice;
  const { minVersion, maxVersion } = slice;
  return {
    fileNumber,
    family: familyName(family),
    place: placeText(slice),
    start: shown(range.start),
    end: range.end === undefined ? null : shown(range.end),
    clipped: clipOf(slice) !== undefined,
    minVersion,
    maxVersion,
    entryCount,
    keyCount,
    tombstoneCount,
    sizeBytes,
  };
}

function manifestText({ path, content, catalog }: ManifestLook): string {
  const { run, files, trees } = catalog;
  const head =
    `${path} store ${content?.storeId ?? "?"} run ${run}, ` +
    `${counted(content?.edits.length ?? 0, "record")}, ${counted(files.size, "table")}\n`;
  return head + [...trees].map(([shardId, tree]) => treeText(shardId, tree)).join("");
}

function treeText(shardId: number, { flushed, slices }: CatalogTree): string {
  const { index, term, revision, compactedRevision } = flushed;
  const head =
    `  tree ${shardId}: flushed to index ${index} term ${term} revision ${revision}, ` +
    `compacted to ${compactedRevision}, ${counted(slices.length, "slice")}\n`;
  return head + slices.map(sliceText).join("");
}

function sliceText(slice: Slice): string {
  const { fileNumber, family, minVersion, maxVersion, entryCount, sizeBytes } = slice;
  return (
    `    table ${fileNumber} ${familyName(family)} ${placeText(slice)}: ${entryCount} entries, ` +
    `versions ${minVersion} to ${maxVersion}, ${formatBytes(sizeBytes)}${clipText(slice)}\n`
  );
}

/** What a cut through the tree has left; the numbers before it are estimates then. */
function clipText(slice: Slice): string {
  const clip = clipOf(slice);
  if (clip === undefined) return "";
  const end = clip.end === undefined ? "the end" : shown(clip.end);
  return `, about, from ${shown(clip.start)} to ${end}`;
}

function placeText({ level }: Slice): string {
  return level < LEVEL_BASE ? `tier ${level}` : `level ${level - LEVEL_BASE}`;
}
