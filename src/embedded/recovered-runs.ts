/**
 * What of a recovered log is to be applied again. Nobody else has a copy, so a hole in it, or an
 * end that is unknown, is an error and never skipped; a loss that the tables cover is none.
 */
import type { EntryRun } from "../base/entry-run.js";
import { lastIndexOf, sliceRun } from "../base/entry-run.js";
import type { RecoveredShard } from "../log/log-types.js";
import { notApplied } from "../protocol/errors.js";
import type { OpenedStore } from "../store/store.js";

/** The runs of the entries after `appliedIndex`, in order and without a gap. */
export function recoveredRuns(
  { recovered, logsLost }: OpenedStore,
  shardId: number,
  appliedIndex: number,
): readonly EntryRun[] {
  const shard = recovered.get(shardId);
  if (shard === undefined) {
    if (logsLost.has(shardId))
      throw notApplied("corrupt", "the log has lost what nothing tells of");
    return [];
  }
  const { health } = shard;
  const runs: EntryRun[] = [];
  let last = appliedIndex;
  for (const run of [...shard.runs, ...shard.runsAfterLoss]) {
    if (lastIndexOf(run) <= last) continue;
    if (run.firstIndex > last + 1) throw lost(last + 1);
    runs.push(sliceRun(run, last + 1, lastIndexOf(run)));
    last = lastIndexOf(run);
  }
  const isCut = health.kind === "corrupt" && (health.tailUnknown || health.lastIndex > last);
  if (isCut || shard.baseIndex > last) throw lost(last + 1);
  // No table is of entries that are not in the log yet: this is an older log than the tables are.
  if (endOf(shard) < appliedIndex) throw lost(endOf(shard) + 1);
  return runs;
}

function endOf({ baseIndex, runs, runsAfterLoss, health }: RecoveredShard): number {
  const last = [...runs, ...runsAfterLoss].at(-1);
  const knownIndex = health.kind === "corrupt" ? health.lastIndex : 0;
  return Math.max(baseIndex, knownIndex, last === undefined ? 0 : lastIndexOf(last));
}

function lost(index: number): Error {
  return notApplied("corrupt", `the log has lost writes, from entry ${index} on`);
}
