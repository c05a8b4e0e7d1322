/** A sealed segment is checked in steps: all of it, whatever a step's end cuts, and to the bit. */
import { describe, expect, test } from "vitest";
import { BLOCK_SIZE_BYTES, sealBatch } from "../../src/log/batch-format.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { checkSegment } from "../../src/log/segment-check.js";
import type { SegmentCheck } from "../../src/log/segment-check.js";
import { SEGMENT_START } from "../../src/log/segment-format.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

const PLACE = { storeTag: 17, number: 3 };
const PATH = "/segment";
const STEP_SIZE_BYTES = 2 * BLOCK_SIZE_BYTES;

/** Payloads of one to five blocks. */
const PAYLOAD_LENGTHS = [100, 9000, 0, 17_000, 300, 4000, 1];

interface Batch {
  readonly offset: number;
  readonly payloadLength: number;
  readonly length: number;
}

class Segment {
  readonly bytes: Uint8Array = new Uint8Array(64 * BLOCK_SIZE_BYTES);
  readonly disk: MemoryDisk = new MemoryDisk();
  readonly batches: Batch[] = [];
  #end: number = SEGMENT_START;

  add(payloadLength: number, syncedOffset: number = this.#end): void {
    const batch = this.bytes.subarray(this.#end);
    batch.fill(payloadLength % 251, 52, 52 + payloadLength);
    const length = sealBatch(batch, PLACE, {
      offset: this.#end,
      itemCount: 0,
      carriesCheckpoint: false,
      checkpointCount: 0,
      payloadLength,
      syncedOffset,
      previousEnd: 0,
    });
    this.batches.push({ offset: this.#end, payloadLength, length });
    this.#end += length;
  }

  /** What a start left behind that went on after it. */
  skipBlock(): void {
    this.bytes.fill(0xee, this.#end, this.#end + BLOCK_SIZE_BYTES);
    this.#end += BLOCK_SIZE_BYTES;
  }

  /** Where each step of a check began. */
  check(): number[] {
    this.disk.setContent(PATH, this.bytes);
    const segment: SegmentCheck = { ...PLACE, path: PATH, endOffset: this.#end };
    const steps: number[] = [];
    for (let from = SEGMENT_START; from < this.#end;) {
      steps.push(from);
      from = checkSegment(this.disk, segment, from, STEP_SIZE_BYTES);
    }
    return steps;
  }
}

function filled(): Segment {
  const segment = new Segment();
  for (const length of PAYLOAD_LENGTHS) segment.add(length);
  return segment;
}

describe("a check in steps", () => {
  test("begins each at a batch, and goes past those that are longer than a step", () => {
    const segment = filled();
    const offsets = segment.batches.map(({ offset }) => offset);
    const steps = segment.check();
    expect(steps.length).toBeGreaterThan(3);
    expect(offsets).toEqual(expect.arrayContaining(steps));
    expect(segment.batches.some(({ length }) => length > STEP_SIZE_BYTES)).toBe(true);
  });

  test.each(PAYLOAD_LENGTHS.map((_, at) => [at]))("finds one bit of batch %i", (at) => {
    const { offset, length, payloadLength } = filled().batches[at]!;
    const inHeader = offset + 20;
    const inCopy = offset + length - 20;
    const inPayload = offset + 52 + (payloadLength >> 1);
    const segment = filled();
    segment.bytes[inHeader]! ^= 4;
    // The copy of the header stands in for it.
    segment.check();
    segment.bytes[payloadLength > 0 ? inPayload : inCopy]! ^= 4;
    expect(() => segment.check()).toThrow(CorruptionError);
  });

  /** A start went on behind a block of noise, which was durable up to `synced` blocks of it. */
  function resumed(synced: number): Segment {
    const segment = filled();
    const before = segment.batches.at(-1)!;
    segment.skipBlock();
    segment.add(200, before.offset + before.length + synced * BLOCK_SIZE_BYTES);
    segment.add(200);
    return segment;
  }

  test("passes what a start has written again behind, and only that", () => {
    expect(resumed(0).check().length).toBeGreaterThan(3);
    expect(() => resumed(1).check()).toThrow(CorruptionError);
  });

  test("says where in the file the damage is", () => {
    const segment = filled();
    const last = segment.batches.at(-1)!;
    segment.bytes[last.offset + 52]! ^= 1;
    expect(() => segment.check()).toThrow(expect.objectContaining({ offset: last.offset }));
  });
});
