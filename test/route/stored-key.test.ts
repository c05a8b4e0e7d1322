/** Stored keys: their prefix, their order, and the intervals of keyspaces. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { compareBytes, equalBytes } from "../../src/base/bytes.js";
import { bucketOf } from "../../src/base/hash.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import {
  OPEN_END,
  arcBoundaries,
  keyspaceRange,
  storedKey,
  storedRange,
  userKeyView,
} from "../../src/route/stored-key.js";
import { bytesOf } from "../support/bytes-of.js";

function keyspace(kind: "range" | "hash", keyspaceId: number): KeyspaceDescriptor {
  return { keyspaceId, name: "k", kind, dense: true, replicationFactor: 3 };
}

const anyKey = fc.uint8Array({ minLength: 1, maxLength: 12 });

describe("stored keys", () => {
  test("have the prefix that the format says", () => {
    expect([...storedKey(keyspace("range", 0x01020304), bytesOf("a"))]).toEqual([1, 2, 3, 4, 97]);
    const bucket = bucketOf(bytesOf("a"));
    expect([...storedKey(keyspace("hash", 9), bytesOf("a"))]).toEqual([
      0,
      0,
      0,
      9,
      bucket >>> 8,
      bucket & 255,
      97,
    ]);
  });

  property.prop([anyKey, anyKey, fc.integer({ min: 0, max: 0xffff_ffff })])(
    "order as user keys in a range keyspace, and give the user key back",
    (a, b, id) => {
      const descriptor = keyspace("range", id);
      const order = compareBytes(storedKey(descriptor, a), storedKey(descriptor, b));
      expect(Math.sign(order)).toBe(Math.sign(compareBytes(a, b)));
      for (const kind of ["range", "hash"] as const) {
        const stored = storedKey(keyspace(kind, id), a);
        expect(equalBytes(userKeyView(keyspace(kind, id), stored), a)).toBe(true);
        expect(rangeContains(keyspaceRange(id), stored)).toBe(true);
        if (id > 0) expect(rangeContains(keyspaceRange(id - 1), stored)).toBe(false);
      }
    },
  );

  test("of an open-ended range end with the keyspace", () => {
    const range = storedRange(keyspace("range", 7), bytesOf("m"), OPEN_END);
    expect([...range.end!]).toEqual([0, 0, 0, 8]);
    expect(storedRange(keyspace("range", 0xffff_ffff), bytesOf("m"), OPEN_END).end).toBe(undefined);
  });

  test("of a hash keyspace are cut into arcs of equal size", () => {
    const cuts = arcBoundaries(1, 4).map((key) => [...key.subarray(4)]);
    expect(cuts).toEqual([
      [64, 0],
      [128, 0],
      [192, 0],
    ]);
  });
});
