/** flotilla inspect sstable: what a table holds, or all tables of a store. */
import type { Disk } from "../../env/disk.js";
import { familyName } from "../../lsm/families.js";
import { tableNumber } from "../../lsm/table-set.js";
import type { SectionSurvey, TableSurvey } from "../../lsm/table-survey.js";
import { shown, surveyTable } from "../../lsm/table-survey.js";
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { INSPECT_FLAGS, placeOf, printSurvey } from "../inspection.js";
import type { NodeContext } from "../node-context.js";
import { counted, formatBytes } from "../quantities.js";

export const inspectSstable: CommandDefinition<NodeContext> = {
  flags: INSPECT_FLAGS,
  writes: false,
  examples: [
    ["inspect sstable ./n1/store/tables/000000007.sst", "one table"],
    ["inspect sstable ./n1", "all tables of a node"],
  ],
  epilogue: "Every block is read and checked. Nothing is changed, a node may run.",
  run: async ({ terminal, openDisk }, argv) => {
    const disk = await openDisk();
    const paths = pathsOf(disk, requiredOf(argv, "path"));
    const surveys = paths.map((path) => surveyTable(disk, path));
    return printSurvey(terminal, argv, {
      value: surveys.map(plain),
      text: surveys.map(tableText).join("") || "there are no tables\n",
      findings: surveys.flatMap(({ findings }) => findings),
    });
  },
};

function pathsOf(disk: Disk, given: string): readonly string[] {
  if (tableNumber(given.split("/").at(-1)!) !== undefined) return [given];
  const directory = placeOf(disk, given, "tables");
  const names = disk.list(directory).filter((name) => tableNumber(name) !== undefined);
  return names.map((name) => `${directory}/${name}`);
}

function plain({ path, sizeBytes, checksum, sections, findings }: TableSurvey): object {
  const plainSections = sections.map(({ info, blockCount }) => ({
    family: familyName(info.family),
    blockCount,
    entryCount: info.entryCount,
    keyCount: info.keyCount,
    tombstoneCount: info.tombstoneCount,
    minVersion: info.minVersion,
    maxVersion: info.maxVersion,
    sizeBytes: info.sizeBytes,
    smallestKey: shown(info.smallestKey),
    largestKey: shown(info.largestKey),
  }));
  return { path, sizeBytes, checksum, sections: plainSections, findings };
}

function tableText({ path, sizeBytes, sections }: TableSurvey): string {
  const head = `${path} ${formatBytes(sizeBytes)}, ${counted(sections.length, "family section")}\n`;
  return head + sections.map(sectionText).join("");
}

function sectionText({ info, blockCount }: SectionSurvey): string {
  const { entryCount, keyCount, tombstoneCount, minVersion, maxVersion } = info;
  return (
    `  ${familyName(info.family)}: ${entryCount} entries of ${keyCount} keys, ` +
    `${tombstoneCount} tombstones, versions ${minVersion} to ${maxVersion}, ` +
    `${formatBytes(info.sizeBytes)} in ${counted(blockCount, "block")}, ` +
    `keys ${shown(info.smallestKey)} to ${shown(info.largestKey)}\n`
  );
}
