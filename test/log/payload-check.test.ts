/** One flipped bit of a payload is found; what differs by more is never passed off as one bit. */
import { describe, expect, test } from "vitest";
import { equalBytes } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/checksum.js";
import { Prng } from "../../src/base/prng.js";
import { checkPayload, flipBit, writePayloadSums } from "../../src/log/payload-check.js";
import type { PayloadState } from "../../src/log/payload-check.js";

const SECTOR = 512;
const PLACE = [7, 8192 + 148] as const;

function randomBytes(prng: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => prng.between(0, 255));
}

function sumsOf(payload: Uint8Array): Uint8Array {
  const sums = new Uint8Array(8);
  writePayloadSums(sums, 0, payload, ...PLACE);
  return sums;
}

function check(payload: Uint8Array, sums: Uint8Array): PayloadState {
  return checkPayload(payload, ...PLACE, sums, 0);
}

/** `written` as a crash may leave it: some of its sectors are still what was there before. */
function torn(prng: Prng, written: Uint8Array, before: Uint8Array): Uint8Array {
  const found = written.slice();
  for (let at = -prng.between(0, SECTOR - 1); at < found.length; at += SECTOR) {
    if (prng.chance(0.5)) continue;
    const [from, end] = [Math.max(0, at), Math.min(at + SECTOR, found.length)];
    found.set(before.subarray(from, end), from);
  }
  return found;
}

/** Changes four bytes at `at` so that the CRC-32 becomes what is asked for. */
function forge(payload: Uint8Array, at: number, asked: number): void {
  const start = crc32(payload);
  const rows: Row[] = [];
  for (let bit = 0; bit < 32; bit++) {
    const changed = payload.slice();
    flipBit(changed, at * 8 + bit);
    let row = { adds: crc32(changed) ^ start, bits: 1 << bit };
    for (const other of rows) row = reduce(row, other);
    rows.push(row);
  }
  let rest = { adds: start ^ asked, bits: 0 };
  for (const row of rows) rest = reduce(rest, row);
  expect(rest.adds).toBe(0);
  for (let bit = 0; bit < 32; bit++) if (rest.bits & (1 << bit)) flipBit(payload, at * 8 + bit);
}

interface Row {
  adds: number;
  bits: number;
}

/** Takes `other` away from `row` where that has the highest bit of `other`. */
function reduce(row: Row, other: Row): Row {
  const highest = 31 - Math.clz32(other.adds);
  if ((row.adds & (1 << highest)) === 0) return row;
  return { adds: row.adds ^ other.adds, bits: row.bits ^ other.bits };
}

describe("a payload", () => {
  test("as it was written is intact, at any length", () => {
    const prng = new Prng(1);
    for (let length = 0; length < 70; length++) {
      const payload = randomBytes(prng, length);
      expect(check(payload, sumsOf(payload))).toBe("intact");
    }
  });

  test("with any one bit flipped says which", () => {
    const prng = new Prng(2);
    for (const length of [1, 3, 4, 15, 16, 17, 150]) {
      const payload = randomBytes(prng, length);
      const sums = sumsOf(payload);
      for (let bit = 0; bit < length * 8; bit++) {
        flipBit(payload, bit);
        expect(check(payload, sums)).toEqual({ flippedBit: bit });
        flipBit(payload, bit);
      }
    }
    const large = randomBytes(prng, 300_001);
    const sums = sumsOf(large);
    for (const bit of [0, 7, 8, 1_234_567, 300_001 * 8 - 1]) {
      flipBit(large, bit);
      expect(check(large, sums)).toEqual({ flippedBit: bit });
      flipBit(large, bit);
    }
  });

  test("with two bits flipped is bad", () => {
    const prng = new Prng(3);
    const payload = randomBytes(prng, 700);
    const sums = sumsOf(payload);
    for (let round = 0; round < 500; round++) {
      const first = prng.between(0, 5599);
      const second = (first + prng.between(1, 5599)) % 5600;
      const changed = payload.slice();
      flipBit(changed, first);
      flipBit(changed, second);
      expect(check(changed, sums)).toBe("bad");
    }
  });

  test("of a write that was cut short is never mended into something else", () => {
    const prng = new Prng(4);
    for (let round = 0; round < 3000; round++) {
      const written = randomBytes(prng, prng.between(1, 3000));
      // Nothing, something else, or nearly the same lay there: the entry before, another counter.
      const before = [
        new Uint8Array(written.length),
        randomBytes(prng, written.length),
        written.map((byte) => (prng.chance(0.002) ? byte ^ (1 << prng.between(0, 7)) : byte)),
      ][round % 3]!;
      const found = torn(prng, written, before);
      const state = check(found, sumsOf(written));
      if (typeof state === "object") flipBit(found, state.flippedBit);
      expect(state !== "bad").toBe(equalBytes(found, written));
    }
  });

  test("that one bit explains to the CRC, or that has it by chance, is bad all the same", () => {
    const prng = new Prng(5);
    for (let round = 0; round < 200; round++) {
      const written = randomBytes(prng, prng.between(1024, 2000));
      const found = written.slice();
      found.set(prng.chance(0.5) ? new Uint8Array(SECTOR) : randomBytes(prng, SECTOR), SECTOR);
      const explained = written.slice();
      if (prng.chance(0.8)) flipBit(explained, prng.between(0, written.length * 8 - 1));
      forge(found, SECTOR + prng.between(0, SECTOR - 4), crc32(explained));
      expect(crc32(found)).toBe(crc32(explained));
      expect(check(found, sumsOf(written))).toBe("bad");
    }
  });
});
