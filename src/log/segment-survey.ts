/**
 * Looks at one segment of the log for people: its batches and what they hold, and every byte of
 * them that is not what was written, also where the log itself would not mind. It changes nothing
 * and decides nothing: what recovery makes of it is recovery's business.
 */
import { equalBytes } from "../base/bytes.js";
import {
  HEADER_SIZE_BYTES,
  ITEM,
  Item,
  ITEM_SIZE_BYTES,
  readBatch,
  readBatchByCopy,
  TRAILER_SIZE_BYTES,
} from "./batch-format.js";
import type { FoundBatch, SegmentPlace } from "./batch-format.js";
import { NOTHING_LOST } from "./finding.js";
import type { Finding, Loss } from "./finding.js";
import { decodeSegmentHeader, SEGMENT_START } from "./segment-format.js";
import { walkSegment } from "./segment-reader.js";

const NOT_NEEDED: Loss = { kind: "nothing", because: "the next start makes it anew" };

export interface BatchItem {
  readonly kind: keyof typeof ITEM;
  readonly shardId: number;
  readonly replicaId: number;
  readonly term: number;
  readonly index: number;
  /** Of entries, or of what an index names, how many; of a hard state the vote; otherwise 0. */
  readonly extra: number;
}

export interface SurveyedBatch {
  readonly offset: number;
  readonly length: number;
  readonly syncedOffset: number;
  readonly payloadBytes: number;
  readonly payloadIntact: boolean;
  readonly checkpoint: readonly BatchItem[];
  readonly items: readonly BatchItem[];
}

export interface SegmentSurvey {
  readonly path: string;
  readonly number: number;
  /** By its first block; undefined where that is damaged. */
  readonly storeId: string | undefined;
  /** Where its batches end. */
  readonly endOffset: number;
  readonly batches: readonly SurveyedBatch[];
  readonly findings: readonly Finding[];
}

/** `statedEnd`: what the next segment says about its end, if there is one. */
export function surveySegment(
  bytes: Uint8Array,
  path: string,
  place: SegmentPlace,
  statedEnd: number | undefined,
): SegmentSurvey {
  const findings: Finding[] = [];
  const batches: SurveyedBatch[] = [];
  const damage = (offset: number, what: string, loss: Loss): void => {
    findings.push({ path, offset, what, loss, isDamage: true });
  };
  const header = decodeSegmentHeader(bytes.subarray(0, SEGMENT_START), place.number);
  const endOffset = walkSegment(bytes, place, statedEnd, {
    batch: (batch) => {
      const surveyed = surveyBatch(bytes, batch);
      batches.push(surveyed);
      if (batch.flippedBit !== undefined) {
        const what = "one bit of a batch's entries has flipped";
        damage(Math.floor(batch.flippedBit / 8), what, {
          kind: "nothing",
          because: "the next start mends it",
        });
      } else if (!batch.payloadIntact) {
        const what = "the entries of a batch fail their checksums";
        damage(batch.payloadOffset, what, entriesLost(surveyed));
      }
      for (const [offset, what] of copyFaults(bytes, batch, place))
        damage(offset, what, NOTHING_LOST);
    },
    lost: (from, end) => {
      const what = `all that ${end - from} bytes of batches held, of shards that are not known`;
      damage(from, "nothing is left of the headers of a batch", { kind: "content", what });
    },
  });
  const index = statedEnd === undefined ? undefined : indexAt(bytes, place, endOffset);
  if (index !== undefined) {
    batches.push(surveyBatch(bytes, index));
    const fault = indexFault(bytes, index, place);
    if (fault !== undefined) findings.push({ ...fault, path });
  }
  // It is written last when a segment is prepared, and before any batch.
  if (header === undefined && batches.length > 0) {
    damage(0, "the first block of the segment is damaged", NOTHING_LOST);
  }
  const torn = statedEnd === undefined ? tornBatch(bytes, path, place, endOffset) : undefined;
  if (torn !== undefined) findings.push(torn);
  return { path, number: place.number, storeId: header?.storeId, endOffset, batches, findings };
}

/** The index that follows the batches of a full segment, if it was written. */
function indexAt(bytes: Uint8Array, place: SegmentPlace, end: number): FoundBatch | undefined {
  const found = readBatch(bytes, place, end) ?? readBatchByCopy(bytes, place, end);
  if (found?.itemCount !== 1) return undefined;
  return itemAt(bytes, found.itemsOffset).kind === "index" ? found : undefined;
}

/** Nothing is built upon an index: one that was cut short looks like one that has rotted. */
function indexFault(
  bytes: Uint8Array,
  index: FoundBatch,
  place: SegmentPlace,
): Omit<Finding, "path"> | undefined {
  const [fault] = copyFaults(bytes, index, place);
  if (index.payloadIntact && fault === undefined) return undefined;
  const offset = fault?.[0] ?? index.payloadOffset;
  return {
    offset,
    what: "the index of the segment is not whole",
    loss: NOT_NEEDED,
    isDamage: false,
  };
}

/** The store whose segment this is, so that it can be read without the store. */
export function segmentStoreId(bytes: Uint8Array, number: number): string | undefined {
  return decodeSegmentHeader(bytes.subarray(0, SEGMENT_START), number)?.storeId;
}

/** Where the segment before this one ended, as its first batch says. */
export function statedPreviousEnd(bytes: Uint8Array, place: SegmentPlace): number | undefined {
  const first =
    readBatch(bytes, place, SEGMENT_START) ?? readBatchByCopy(bytes, place, SEGMENT_START);
  return first?.previousEnd;
}

function entriesLost(batch: SurveyedBatch): Loss {
  const what = entriesOf(batch);
  return what === undefined ? NOTHING_LOST : { kind: "content", what };
}

/** The entries of a batch as "entries 3 to 9 of shard 2, …". */
function entriesOf({ items }: SurveyedBatch): string | undefined {
  const texts = items
    .filter(({ kind }) => kind === "append")
    .map(
      ({ shardId, index, extra }) => `entries ${index} to ${index + extra - 1} of shard ${shardId}`,
    );
  return texts.length === 0 ? undefined : texts.join(", ");
}

/** A batch behind the end that is not whole: nothing later speaks for it. */
function tornBatch(
  bytes: Uint8Array,
  path: string,
  place: SegmentPlace,
  offset: number,
): Finding | undefined {
  if (offset >= bytes.length) return undefined;
  const batch = readBatch(bytes, place, offset) ?? readBatchByCopy(bytes, place, offset);
  if (batch === undefined) return undefined;
  const entries = entriesOf(surveyBatch(bytes, batch));
  const what = "the last batch is not whole: a write that a crash cut short, or damage";
  return {
    path,
    offset,
    what,
    loss:
      entries === undefined
        ? NOTHING_LOST
        : { kind: "content", what: `${entries}, unless nobody was told of them` },
    isDamage: false,
  };
}

function surveyBatch(bytes: Uint8Array, batch: FoundBatch): SurveyedBatch {
  const items: BatchItem[] = [];
  for (let i = 0; i < batch.itemCount; i++) {
    items.push(itemAt(bytes, batch.itemsOffset + i * ITEM_SIZE_BYTES));
  }
  return {
    offset: batch.offset,
    length: batch.length,
    syncedOffset: batch.syncedOffset,
    payloadBytes: batch.payloadLength,
    payloadIntact: batch.payloadIntact,
    checkpoint: items.slice(0, batch.checkpointCount),
    items: items.slice(batch.checkpointCount),
  };
}

function itemAt(bytes: Uint8Array, at: number): BatchItem {
  const item = new Item();
  item.read(bytes, at);
  const names = Object.keys(ITEM) as (keyof typeof ITEM)[];
  const kind = names.find((name) => ITEM[name] === item.kind) ?? "clean";
  const { shardId, replicaId, term, index, extra } = item;
  return { kind, shardId, replicaId, term, index, extra };
}

/** Where one of the two headers of a batch, or what lies between, is not what was written. */
function copyFaults(
  bytes: Uint8Array,
  batch: FoundBatch,
  place: SegmentPlace,
): readonly (readonly [number, string])[] {
  const headerLength = HEADER_SIZE_BYTES + batch.itemCount * ITEM_SIZE_BYTES;
  const end = batch.offset + batch.length;
  const copyAt = end - TRAILER_SIZE_BYTES - headerLength;
  if (readBatch(bytes, place, batch.offset) === undefined) {
    return [[batch.offset, "the header of a batch is damaged; its copy is not"]];
  }
  const header = bytes.subarray(batch.offset, batch.offset + headerLength);
  const copy = bytes.subarray(copyAt, copyAt + headerLength);
  const isFound = readBatchByCopy(bytes, place, batch.offset)?.length === batch.length;
  if (!equalBytes(header, copy) || !isFound) {
    return [[copyAt, "the copy of a batch's header is damaged; the header is not"]];
  }
  const padding = batch.payloadOffset + batch.payloadLength;
  const dirty = bytes.subarray(padding, copyAt).findIndex((byte) => byte !== 0);
  return dirty < 0 ? [] : [[padding + dirty, "what fills up a batch is not zero"]];
}
