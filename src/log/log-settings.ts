/** The options of a log with every default filled in. */
import { assert } from "../base/assert.js";
import type { SharedLogOptions } from "./log-types.js";
import { SEGMENT_START } from "./segment-format.js";

const MIB = 1024 * 1024;

export interface LogSettings {
  readonly run: number | undefined;
  readonly segmentSizeBytes: number;
  readonly firstSegmentSizeBytes: number;
  readonly reservedBytes: number;
  readonly batchSizeBytesMax: number;
  readonly batchSizeBytesAimed: number;
  readonly idleMarkerMs: number;
  readonly fullRetryMs: number;
}

export function settingsOf(options: SharedLogOptions): LogSettings {
  const segmentSizeBytes = options.segmentSizeBytes ?? 64 * MIB;
  const batchSizeBytesMax = options.batchSizeBytesMax ?? 4 * MIB;
  assert(segmentSizeBytes % SEGMENT_START === 0, "a segment is whole blocks");
  return {
    run: options.run,
    segmentSizeBytes,
    firstSegmentSizeBytes: Math.min(segmentSizeBytes, options.firstSegmentSizeBytes ?? 4 * MIB),
    reservedBytes: options.reservedBytes ?? Math.floor(segmentSizeBytes / 8),
    batchSizeBytesMax,
    batchSizeBytesAimed: options.batchSizeBytesAimed ?? batchSizeBytesMax,
    idleMarkerMs: options.idleMarkerMs ?? 50,
    fullRetryMs: options.fullRetryMs ?? 1000,
  };
}
