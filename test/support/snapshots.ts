/** A snapshot that is in memory, checked as a whole. */
import { createHash } from "node:crypto";
import { expect } from "vitest";
import { hex } from "../../src/base/bytes.js";
import { SnapshotReader } from "../../src/gateway/snapshot/snapshot-reader.js";
import type { KeyValue } from "../../src/protocol/key-value.js";

const HASH_BYTES = 32;

export interface ReadSnapshot {
  readonly reader: SnapshotReader;
  /** In the order of revisions. */
  readonly kvs: readonly KeyValue[];
}

export async function readSnapshot(bytes: Uint8Array): Promise<ReadSnapshot> {
  const end = bytes.length - HASH_BYTES;
  const sum = createHash("sha256").update(bytes.subarray(0, end)).digest("hex");
  expect(hex(bytes.subarray(end))).toBe(sum);
  const reader = await SnapshotReader.open((offset, length) =>
    Promise.resolve(bytes.subarray(offset, offset + length)),
  );
  const kvs: KeyValue[] = [];
  for await (const kv of reader.rows()) kvs.push(kv);
  expect(kvs).toHaveLength(reader.keys);
  return { reader, kvs };
}
