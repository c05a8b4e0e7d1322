/** A block in memory, wherever it begins. */
import { expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { compareBytes, equalBytes } from "../../src/base/bytes.js";
import { BlockBuilder } from "../../src/lsm/block-builder.js";
import { Block } from "../../src/lsm/block-reader.js";
import { EntrySlot } from "../../src/lsm/entry-slot.js";
import { FrameMemory } from "../../src/lsm/frame.js";

interface Row {
  readonly key: Uint8Array;
  readonly version: number;
}

/** Few bytes, so that keys share beginnings, have the same end or the same prefix. */
const keys = fc
  .tuple(fc.constantFrom("", "aaaa", "abab", "b"), fc.stringMatching(/^[ab\0]{0,6}$/))
  .map(([head, tail]) => Buffer.from(head + tail, "latin1"));
const rows = fc.array(fc.record({ key: keys, version: fc.nat(3) }), { minLength: 1 });
const starts = fc.nat(50).map((words) => words * 4);
const noValues = {
  valueFrame: (): never => {
    throw new Error("no value lies apart");
  },
};

function compareRows(a: Row, b: Row): number {
  return compareBytes(a.key, b.key) || b.version - a.version;
}

function blockOf(sorted: readonly Row[], start: number): Block {
  const builder = new BlockBuilder();
  for (const { key, version } of sorted) {
    builder.add(key, 0, key.length, version, false, false).slice(key, 0, key.length);
  }
  const view = builder.finishView();
  const memory = new FrameMemory(new Uint8Array(start + view.length + 8).fill(0xff));
  memory.bytes.set(view, start);
  const block = new Block(memory.bytes, memory.words, start);
  block.open(view.length);
  return block;
}

test.prop([rows, keys, fc.nat(4), starts])("finds as a list does", (list, key, version, start) => {
  const sorted = list.sort(compareRows);
  const block = blockOf(sorted, start);
  const found = sorted.findIndex((row) => compareRows(row, { key, version }) >= 0);
  const place = found < 0 ? sorted.length : found;
  const isThere = found < 0 || equalBytes(sorted[found]!.key, key);
  expect(block.lowerBound(key, 0, key.length, version)).toBe(place);
  expect(block.find(key, 0, key.length, version)).toBe(isThere ? place : -1);
});

test.prop([rows, starts])("shows what was added", (list, start) => {
  const sorted = list.sort(compareRows);
  const block = blockOf(sorted, start);
  const slot = new EntrySlot();
  for (const [row, { key, version }] of sorted.entries()) {
    block.show(row, slot, noValues);
    const { bytes, keyOffset, keyLength, valueBytes, valueOffset, valueLength } = slot;
    expect(slot.version).toBe(version);
    expect(equalBytes(bytes.subarray(keyOffset, keyOffset + keyLength), key)).toBe(true);
    const value = valueBytes.subarray(valueOffset, valueOffset + valueLength);
    expect(equalBytes(value, key)).toBe(true);
    expect(equalBytes(block.key(row), key)).toBe(true);
  }
});
