/** A snapshot leaves in chunks, several of them at once, and stops at the first refusal. */
import { describe, expect, test } from "vitest";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../../src/base/limits.js";
import { decodeSnapshotChunk } from "../../src/shard/snapshot-messages.js";
import type { SnapshotAnswer } from "../../src/shard/snapshot-messages.js";
import { sendSnapshot } from "../../src/shard/snapshot-sender.js";
import type { BulkTransport, SnapshotSource } from "../../src/shard/snapshot-sender.js";

const TARGET = { shardId: 7, nodeId: 2, fromReplica: 1, toReplica: 2, term: 3 };
const SIZES: readonly number[] = [
  1,
  5 * SNAPSHOT_CHUNK_SIZE_BYTES,
  0,
  12.5 * SNAPSHOT_CHUNK_SIZE_BYTES,
];

interface CountingSource extends SnapshotSource {
  reads: number;
}

function source(): CountingSource {
  const files = SIZES.map((sizeBytes) => ({ file: { sizeBytes }, slices: [] }));
  const made = {
    state: {},
    files,
    reads: 0,
    readChunk: (fileIndex: number, offset: number, length: number): Uint8Array => {
      made.reads++;
      return new Uint8Array(Math.min(length, SIZES[fileIndex]! - offset));
    },
  };
  return made as unknown as CountingSource;
}

class Receiver implements BulkTransport {
  readonly received: number[] = SIZES.map(() => 0);
  readonly waiting: ((answer: SnapshotAnswer) => void)[] = [];
  mostWaiting = 0;
  ended = false;
  /** What an earlier try has brought. */
  earlier: readonly number[] | undefined;

  snapshotBegin(): Promise<SnapshotAnswer> {
    return Promise.resolve({ received: this.earlier });
  }

  snapshotChunk(_: number, encode: (out: ByteWriter) => void): Promise<SnapshotAnswer> {
    const out = new ByteWriter();
    encode(out);
    const chunk = decodeSnapshotChunk(new ByteReader(out.copy()));
    this.received[chunk.fileIndex]! += chunk.bytes.length;
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.mostWaiting = Math.max(this.mostWaiting, this.waiting.length);
    });
  }

  snapshotEnd(): Promise<SnapshotAnswer> {
    expect(this.waiting).toHaveLength(0);
    this.ended = true;
    return Promise.resolve({});
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("snapshot sender", () => {
  test("keeps a window of chunks on their way, answered in any order", async () => {
    const receiver = new Receiver();
    const sent = sendSnapshot(source(), receiver, TARGET, 1);
    for (await turn(); receiver.waiting.length > 0; await turn()) receiver.waiting.pop()!({});
    await sent;
    expect(receiver.ended).toBe(true);
    expect(receiver.received).toEqual(SIZES);
    expect(receiver.mostWaiting).toBe(8);
  });

  test("leaves out what an earlier try has brought", async () => {
    const receiver = new Receiver();
    const files = source();
    receiver.earlier = [1, 2 * SNAPSHOT_CHUNK_SIZE_BYTES, 0, 12 * SNAPSHOT_CHUNK_SIZE_BYTES];
    const sent = sendSnapshot(files, receiver, TARGET, 2);
    for (await turn(); receiver.waiting.length > 0; await turn()) receiver.waiting.pop()!({});
    await sent;
    const missing = SIZES.map((sizeBytes, i) => sizeBytes - receiver.earlier![i]!);
    expect(receiver.received).toEqual(missing);
    expect(files.reads).toBe(3 + 1);
  });

  test("reads no file any more once a chunk was refused", async () => {
    const receiver = new Receiver();
    const files = source();
    const sent = sendSnapshot(files, receiver, TARGET, 1);
    await turn();
    const { reads } = files;
    receiver.waiting.shift()!({ refused: "no such transfer" });
    await expect(sent).rejects.toThrow("no such transfer");
    for (const answer of receiver.waiting.splice(0)) answer({});
    await turn();
    expect(files.reads).toBe(reads);
    expect(receiver.ended).toBe(false);
  });
});
