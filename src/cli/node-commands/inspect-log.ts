/** flotilla inspect log: the segments of a log, or the batches of one segment. */
import type { Disk } from "../../env/disk.js";
import { segmentNumber } from "../../log/segment-format.js";
import type { BatchItem, SegmentSurvey, SurveyedBatch } from "../../log/segment-survey.js";
import { segmentStoreId } from "../../log/segment-survey.js";
import { readBlocks, surveySegmentFile } from "../../store/store-check.js";
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { findingValue } from "../findings.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { INSPECT_FLAGS, printSurvey } from "../inspection.js";
import { placeOf } from "../inspection.js";
import type { NodeContext } from "../node-context.js";

export const inspectLog: CommandDefinition<NodeContext> = {
  flags: INSPECT_FLAGS,
  writes: false,
  examples: [
    ["inspect log ./n1/store/log", "one line for each segment"],
    ["inspect log ./n1/store/log/0000000003.log", "one line for each batch of a segment"],
  ],
  epilogue: "Nothing is changed. Of a running node the last batch may be seen half.",
  run: async ({ terminal, openDisk }, argv) => {
    const disk = await openDisk();
    const given = requiredOf(argv, "path");
    const segment = segmentNumber(given.split("/").at(-1)!);
    const surveys = segment === undefined ? surveyAll(disk, given) : [surveyOne(disk, given)];
    const lines = surveys.map(segment === undefined ? segmentLine : batchLines);
    return printSurvey(terminal, argv, {
      value: surveys.map(segment === undefined ? withoutBatches : plain),
      text: lines.join(""),
      findings: surveys.flatMap(({ findings }) => findings),
    });
  },
};

function surveyAll(disk: Disk, given: string): SegmentSurvey[] {
  const directory = placeOf(disk, given, "log");
  const names = disk.list(directory).filter((name) => segmentNumber(name) !== undefined);
  return names.map((name) => surveyOne(disk, `${directory}/${name}`));
}

/** The segment behind it says where it ended, unless it was only prepared. */
function surveyOne(disk: Disk, path: string): SegmentSurvey {
  const slash = path.lastIndexOf("/");
  const directory = slash < 0 ? "." : path.slice(0, slash);
  const number = segmentNumber(path.slice(slash + 1))!;
  const siblings = disk.list(directory).filter((name) => segmentNumber(name) !== undefined);
  const next = siblings.find((name) => segmentNumber(name) === number + 1);
  const storeId = [path.slice(slash + 1), ...siblings]
    .map((name) => segmentStoreId(readBlocks(disk, `${directory}/${name}`), segmentNumber(name)!))
    .find((id) => id !== undefined);
  if (storeId === undefined) {
    throw new CliError(EXIT.invalidInput, `${path} is no segment of a log`, {
      because: "neither its first block nor that of any other segment beside it says which store",
    });
  }
  const nextPath = next === undefined ? undefined : `${directory}/${next}`;
  return surveySegmentFile(disk, path, { number, storeId, nextPath });
}

function plain({ findings, ...rest }: SegmentSurvey): object {
  return { ...rest, findings: findings.map(findingValue) };
}

function withoutBatches(survey: SegmentSurvey): object {
  return { ...plain(survey), batches: undefined, batchCount: survey.batches.length };
}

function segmentLine({ path, storeId, endOffset, batches }: SegmentSurvey): string {
  const entries = new Map<number, { first: number; last: number }>();
  for (const { items } of batches) {
    for (const { kind, shardId, index, extra } of items) {
      if (kind !== "append") continue;
      const range = entries.get(shardId) ?? { first: index, last: index };
      range.first = Math.min(range.first, index);
      range.last = Math.max(range.last, index + extra - 1);
      entries.set(shardId, range);
    }
  }
  const ranges = [...entries].map(([shardId, { first, last }]) => `${shardId}: ${first}-${last}`);
  const shards = ranges.length === 0 ? "no entries" : `shards ${ranges.join(", ")}`;
  return `${path} store ${storeId ?? "?"} end ${endOffset} batches ${batches.length} ${shards}\n`;
}

function batchLines(survey: SegmentSurvey): string {
  return segmentLine(survey) + survey.batches.map(batchLine).join("");
}

function batchLine({ offset, length, syncedOffset, checkpoint, items }: SurveyedBatch): string {
  const parts = items.map(itemText);
  if (checkpoint.length > 0) {
    parts.unshift(`checkpoint of ${new Set(checkpoint.map(({ shardId }) => shardId)).size}`);
  }
  const text = parts.length === 0 ? "marker" : parts.join("; ");
  return `  ${offset} +${length} synced ${syncedOffset} ${text}\n`;
}

function itemText({ kind, shardId, replicaId, term, index, extra }: BatchItem): string {
  const shard = `shard ${shardId}`;
  switch (kind) {
    case "append":
      return `${shard} entries ${index}-${index + extra - 1} term ${term}`;
    case "hardState":
      return `${shard} replica ${replicaId} term ${term} vote ${extra} commit ${index}`;
    case "index":
      return `index of ${extra} appends`;
    case "clean":
      return `${shard} cleaned`;
    default:
      return `${shard} ${kind} ${index} term ${term}`;
  }
}
