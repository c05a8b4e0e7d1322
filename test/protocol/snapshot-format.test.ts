/** Snapshots: what is written is read however it is cut, and whatever is not whole is refused. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { concatBytes } from "../../src/base/bytes.js";
import { DecodeError } from "../../src/base/coding.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import { SnapshotReader, SnapshotWriter } from "../../src/protocol/snapshot-format.js";

const HEAD = { revision: 2 ** 40 + 7, clusterId: 2n ** 63n + 1n };

const keyValues = fc.array(
  fc.record({
    key: fc.uint8Array({ minLength: 1, maxLength: 50 }),
    value: fc.uint8Array({ maxLength: 2000 }),
    createRevision: fc.nat(),
    modRevision: fc.nat(),
    version: fc.nat(),
    lease: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  }),
  { maxLength: 20 },
);

const ttlOf = (id: bigint): number => Number(id % 1000n);

function written(kvs: readonly KeyValue[], pieceBytes: number): Uint8Array {
  const writer = new SnapshotWriter(HEAD);
  const pieces: Uint8Array[] = [];
  for (const kv of kvs) {
    writer.add(kv);
    while (writer.waitingBytes >= pieceBytes) pieces.push(writer.take(pieceBytes));
  }
  for (const id of writer.leaseIds) writer.addLease(id, ttlOf(id));
  writer.finish();
  while (writer.waitingBytes > 0) pieces.push(writer.take(pieceBytes));
  expect(writer.writtenBytes % 512).toBe(0);
  return concatBytes(...pieces, writer.trailer());
}

function read(bytes: Uint8Array, pieceBytes: number): { reader: SnapshotReader; kvs: KeyValue[] } {
  const reader = new SnapshotReader();
  const kvs: KeyValue[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    kvs.push(...reader.push(bytes.subarray(at, at + pieceBytes)));
  }
  reader.finish();
  return { reader, kvs };
}

property.prop([keyValues, fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 3000 })])(
  "what is written is read, however it is cut",
  (kvs, out, back) => {
    const bytes = written(kvs, out);
    const { reader, kvs: found } = read(bytes, back);
    expect(found).toEqual(kvs);
    expect(reader.head).toEqual(HEAD);
    const leases = kvs.map(({ lease }) => lease).filter((lease) => lease !== 0n);
    expect(reader.leases).toEqual(new Map(leases.map((id) => [id, ttlOf(id)])));
    expect([reader.keys, reader.bytes]).toEqual([kvs.length, bytes.length]);
  },
);

describe("what is refused", () => {
  const kv = { createRevision: 1, modRevision: 2, version: 1, value: new Uint8Array(300) };
  const kvs = ["a", "b", "c"].map((key, i) => ({ ...kv, key: bytesOf(key), lease: BigInt(i) }));
  const whole = written(kvs, 512);

  test("bytes that are missing, wherever they are cut off", () => {
    for (let length = 0; length < whole.length; length++) {
      expect(() => read(whole.subarray(0, length), 100)).toThrow(DecodeError);
    }
  });

  test("a bit that has turned, wherever it is", () => {
    for (let at = 0; at < whole.length; at++) {
      const damaged = whole.slice();
      damaged[at] = damaged[at]! ^ (1 << (at % 8));
      expect(() => read(damaged, 100), `at ${at}`).toThrow(DecodeError);
    }
  });

  test("bytes behind the end, and files of others", () => {
    expect(() => read(concatBytes(whole, new Uint8Array(512)), 100)).toThrow(/behind its end/);
    expect(() => read(bytesOf("SQLite format 3".repeat(100)), 100)).toThrow(/no snapshot/);
    const newer = whole.slice();
    newer[8] = 2;
    expect(() => read(newer, 100)).toThrow(/version 2/);
  });
});
