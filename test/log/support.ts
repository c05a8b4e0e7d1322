/** Small logs on the in-memory disk, and entries to put into them. */
import { must } from "../../src/base/assert.js";
import type { EntryRun } from "../../src/base/entry-run.js";
import { lastIndexOf, sliceRun } from "../../src/base/entry-run.js";
import { writeU32 } from "../../src/base/coding.js";
import type { RecoveredShard, SharedLogOptions } from "../../src/log/log-types.js";
import { SharedLog } from "../../src/log/shared-log.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

export const DIRECTORY = "/log";
export const STORE_ID = "store-1";
export const SMALL: SharedLogOptions = {
  segmentSizeBytes: 64 * 1024,
  firstSegmentSizeBytes: 64 * 1024,
};

/** So large that no other segment is prepared meanwhile. */
export const ROOMY: SharedLogOptions = {
  segmentSizeBytes: 4 * 1024 * 1024,
  firstSegmentSizeBytes: 4 * 1024 * 1024,
};

export interface Opened {
  readonly env: TestEnv;
  readonly disk: MemoryDisk;
  readonly log: SharedLog;
  readonly recovered: ReadonlyMap<number, RecoveredShard>;
  readonly shardsMayBeMissing: boolean;
  readonly mendedBatches: number;
}

/** Opens a log; asynchronous writes wait until the disk is pumped. */
export function openLog(
  disk: MemoryDisk = new MemoryDisk({ completion: "manual" }),
  options: SharedLogOptions = SMALL,
): Opened {
  disk.makeDirectory(DIRECTORY);
  const env = testEnv({ disk });
  const opened = SharedLog.open(env, DIRECTORY, STORE_ID, options);
  return { env, disk, ...opened };
}

/** A run of `count` entries, whose payloads tell shard, index and term. */
export function entries(
  shardId: number,
  firstIndex: number,
  count: number,
  term: number,
  payloadLength = 16,
): EntryRun {
  const size = 4 + payloadLength;
  const bytes = new Uint8Array(count * size);
  for (let i = 0; i < count; i++) {
    bytes.fill((shardId * 31 + (firstIndex + i) * 7 + term * 3) & 0xff, i * size, (i + 1) * size);
    writeU32(bytes, i * size, payloadLength);
  }
  return { kind: "command", term, firstIndex, count, bytes };
}

/** Commits and pumps the disk until that is durable. */
export function commitNow({ disk, log }: Opened): void {
  let durable = false;
  log.commit(() => {
    durable = true;
  });
  for (let i = 0; i < 1000 && !durable; i++) disk.pump(1);
  if (!durable) throw new Error("the commit did not become durable");
}

/** Lets everything in flight complete: preparations of segments, too. */
export function settle({ disk }: Opened): void {
  for (let i = 0; i < 10_000 && disk.pendingWrites > 0; i++) disk.pump(1);
}

/** [first, last, term] of a shard's recovered runs, neighbours of one term joined. */
export function outline(shard: RecoveredShard | undefined): string {
  const parts: { first: number; last: number; term: number }[] = [];
  for (const run of must(shard, "shard").runs) {
    const last = parts.at(-1);
    if (last !== undefined && last.term === run.term && last.last + 1 === run.firstIndex) {
      last.last = lastIndexOf(run);
    } else parts.push({ first: run.firstIndex, last: lastIndexOf(run), term: run.term });
  }
  return parts.map((part) => `${part.first}-${part.last}@${part.term}`).join(" ");
}

/** Every recovered entry as index → "term:payload bytes", for comparing with a model. */
export function contents(shard: RecoveredShard): Map<number, string> {
  const all = new Map<number, string>();
  for (const run of shard.runs) {
    for (let index = run.firstIndex; index <= lastIndexOf(run); index++) {
      all.set(index, `${run.term}:${sliceRun(run, index, index).bytes.join()}`);
    }
  }
  return all;
}
