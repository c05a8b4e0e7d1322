/** flotilla inspect sstable: what a table holds, or all tables of a store. */
import type { Disk } from "../../env/disk.js";
import { familyName } from "../../lsm/families.js";
import type { TableFile } from "../../lsm/slice.js";
import { packNumber, packPath, tableNumber } from "../../lsm/table-set.js";
import type { SectionInfo } from "../../lsm/sstable-format.js";
import type { TableSurvey } from "../../lsm/table-survey.js";
import { shown, surveyTable } from "../../lsm/table-survey.js";
import { lookAtManifest } from "../../store/manifest-look.js";
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { findingValue } from "../findings.js";
import { INSPECT_FLAGS, placeOf, printSurvey } from "../inspection.js";
import type { NodeContext } from "../node-context.js";
import { counted, formatBytes } from "../quantities.js";

export const inspectSstable: CommandDefinition<NodeContext> = {
  flags: INSPECT_FLAGS,
  writes: false,
  examples: [
    ["inspect sstable ./n1/store/tables/000000007.sst", "one table"],
    ["inspect sstable ./n1/store/tables/000000009.pack", "the tables that share a file"],
    ["inspect sstable ./n1", "all tables of a node"],
  ],
  epilogue: "Every block is read and checked. Nothing is changed, a node may run.",
  run: async ({ terminal, openDisk }, argv) => {
    const disk = await openDisk();
    const tables = tablesAt(disk, requiredOf(argv, "path"));
    const surveys = tables.map(({ path, packed }) => surveyTable(disk, path, packed));
    return printSurvey(terminal, argv, {
      value: surveys.map(plain),
      text: surveys.map(tableText).join("") || "there are no tables\n",
      findings: surveys.flatMap(({ findings }) => findings),
    });
  },
};

interface InspectedTable {
  readonly path: string;
  /** What the manifest says of a table in a pack: nothing else says where it lies. */
  readonly packed: TableFile | undefined;
}

function tablesAt(disk: Disk, given: string): readonly InspectedTable[] {
  const name = given.split("/").at(-1)!;
  if (tableNumber(name) !== undefined) return [{ path: given, packed: undefined }];
  const number = packNumber(name);
  if (number !== undefined) {
    const tables = packedTables(disk, given.slice(0, -name.length - 1));
    return tables.filter(({ packed }) => packed?.home?.packNumber === number);
  }
  const directory = placeOf(disk, given, "tables");
  const names = disk.list(directory).filter((each) => tableNumber(each) !== undefined);
  const own = names.map((each) => ({ path: `${directory}/${each}`, packed: undefined }));
  return [...own, ...packedTables(disk, directory)];
}

/** In the order in which they lie. */
function packedTables(disk: Disk, directory: string): readonly InspectedTable[] {
  const store = directory.slice(0, Math.max(0, directory.lastIndexOf("/"))) || ".";
  const tables: InspectedTable[] = [];
  for (const file of lookAtManifest(disk, store).catalog.files.values()) {
    if (file.home === undefined) continue;
    tables.push({ path: packPath(directory, file.home.packNumber), packed: file });
  }
  return tables;
}

function plain({ path, offset, sizeBytes, checksum, sections, findings }: TableSurvey): object {
  const plainSections = sections.map((info) => ({
    family: familyName(info.family),
    blockCount: info.keyIndex.blockCount,
    entryCount: info.entryCount,
    keyCount: info.keyCount,
    tombstoneCount: info.tombstoneCount,
    minVersion: info.minVersion,
    maxVersion: info.maxVersion,
    sizeBytes: info.sizeBytes,
    smallestKey: shown(info.smallestKey),
    largestKey: shown(info.largestKey),
  }));
  const values = findings.map(findingValue);
  return { path, offset, sizeBytes, checksum, sections: plainSections, findings: values };
}

function tableText({ path, offset, sizeBytes, sections }: TableSurvey): string {
  const place = offset === undefined ? path : `${path} at ${offset}`;
  const head = `${place} ${formatBytes(sizeBytes)}, ${counted(sections.length, "family section")}\n`;
  return head + sections.map(sectionText).join("");
}

function sectionText(info: SectionInfo): string {
  const { entryCount, keyCount, tombstoneCount, minVersion, maxVersion } = info;
  return (
    `  ${familyName(info.family)}: ${entryCount} entries of ${keyCount} keys, ` +
    `${tombstoneCount} tombstones, versions ${minVersion} to ${maxVersion}, ` +
    `${formatBytes(info.sizeBytes)} in ${counted(info.keyIndex.blockCount, "block")}, ` +
    `keys ${shown(info.smallestKey)} to ${shown(info.largestKey)}\n`
  );
}
