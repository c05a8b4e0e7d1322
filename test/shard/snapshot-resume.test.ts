/**
 * A snapshot whose connection breaks in the middle, from store to store: the next try sends what is
 * missing and no more, and the tree arrives whole. Another snapshot starts from nothing.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { encodeConfiguration } from "../../src/raft/configuration-codec.js";
import type { Replica } from "../../src/shard/replica.js";
import { decodeSnapshotChunk } from "../../src/shard/snapshot-messages.js";
import type {
  SnapshotAnswer,
  SnapshotBegin,
  SnapshotEnd,
  StagedSnapshot,
} from "../../src/shard/snapshot-messages.js";
import { SnapshotReceiver } from "../../src/shard/snapshot-receiver.js";
import { sendSnapshot } from "../../src/shard/snapshot-sender.js";
import type { BulkTransport } from "../../src/shard/snapshot-sender.js";
import { UnfinishedSnapshots } from "../../src/shard/unfinished-snapshots.js";
import type { Store } from "../../src/store/store.js";
import type { TreeCheckpoint } from "../../src/store/tree-checkpoint.js";
import { ALL, difference, flushedAt, openStore, write } from "../store/store-bench.js";
import { stateAt } from "../lsm/tree-model.js";
import { FakeTimers } from "../support/fake-timers.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

const TARGET = { shardId: 1, nodeId: 2, fromReplica: 1, toReplica: 2, term: 3 };
const CONFIGURATION = { voters: [1, 2], outgoing: [], learners: [], learnersNext: [] };
const ENTRIES = 60;

/** A store with several files. */
async function filledStore(): Promise<Store> {
  const { store } = await openStore(new MemoryDisk(), { compaction: { enabled: false } });
  const tree = store.createTree(1, ALL, stateAt(0));
  for (let index = 1; index <= ENTRIES; index++) {
    void write(store, tree, index);
    if (index % 13 === 0) await store.flushNow(tree, flushedAt(index));
  }
  await store.flushNow(tree, withMembers(ENTRIES));
  return store;
}

function withMembers(index: number): ReturnType<typeof flushedAt> {
  return { ...flushedAt(index), configuration: encodeConfiguration(CONFIGURATION) };
}

/** The receiving node, behind a connection that breaks after so many chunks. */
class Receiver implements BulkTransport {
  readonly store: Store;
  readonly chunks: string[] = [];
  staged: StagedSnapshot | undefined;
  chunksUntilBreak = Number.POSITIVE_INFINITY;
  received: readonly number[] | undefined;
  readonly #receiver: SnapshotReceiver;

  constructor(store: Store) {
    this.store = store;
    const tree = store.createTree(1, ALL, stateAt(0));
    const replica = {
      replicaId: 2,
      raft: { term: 3 },
      tree,
      offerSnapshot: (staged: StagedSnapshot) => (this.staged = staged),
    };
    this.#receiver = new SnapshotReceiver(store, () => replica as unknown as Replica);
  }

  snapshotBegin(_: number, begin: SnapshotBegin): Promise<SnapshotAnswer> {
    const answer = this.#receiver.begin(begin);
    this.received = answer.received;
    return Promise.resolve(answer);
  }

  snapshotChunk(_: number, encode: (out: ByteWriter) => void): Promise<SnapshotAnswer> {
    if (this.chunksUntilBreak-- <= 0) return Promise.reject(new Error("the connection broke"));
    const out = new ByteWriter();
    encode(out);
    const chunk = decodeSnapshotChunk(new ByteReader(out.copy()));
    this.chunks.push(`${chunk.fileIndex}@${chunk.offset}`);
    return Promise.resolve(this.#receiver.chunk(chunk));
  }

  snapshotEnd(_: number, end: SnapshotEnd): Promise<SnapshotAnswer> {
    return Promise.resolve(this.#receiver.end(end));
  }
}

async function openReceiver(): Promise<Receiver> {
  return new Receiver((await openStore(new MemoryDisk())).store);
}

describe("a snapshot that broke off", () => {
  test("goes on at the chunk where it broke", async () => {
    const from = await filledStore();
    const receiver = await openReceiver();
    const checkpoint = await from.checkpointTree(1);
    expect(checkpoint.files.length).toBeGreaterThan(3);
    receiver.chunksUntilBreak = 2;
    await expect(sendSnapshot(checkpoint, receiver, TARGET, 1)).rejects.toThrow("broke");
    receiver.chunksUntilBreak = Number.POSITIVE_INFINITY;
    await sendSnapshot(checkpoint, receiver, { ...TARGET, term: 4 }, 2);
    expect(receiver.received!.slice(0, 3)).toEqual([
      checkpoint.files[0]!.file.sizeBytes,
      checkpoint.files[1]!.file.sizeBytes,
      0,
    ]);
    expect(receiver.chunks).toEqual(checkpoint.files.map((_, index) => `${index}@0`));
    const { install, state, files, message } = must(receiver.staged);
    expect(message.term).toBe(4);
    expect(difference(install.finish(state, files), ENTRIES)).toBeUndefined();
    checkpoint.release();
    await from.close();
    await receiver.store.close();
  });

  test("is forgotten when another one comes", async () => {
    const from = await filledStore();
    const receiver = await openReceiver();
    const checkpoint = await from.checkpointTree(1);
    receiver.chunksUntilBreak = 2;
    await expect(sendSnapshot(checkpoint, receiver, TARGET, 1)).rejects.toThrow("broke");
    const tree = must(from.tree(1));
    void write(from, tree, ENTRIES + 1);
    await from.flushNow(tree, withMembers(ENTRIES + 1));
    const newer = await from.checkpointTree(1);
    receiver.chunksUntilBreak = Number.POSITIVE_INFINITY;
    await sendSnapshot(newer, receiver, TARGET, 2);
    expect(receiver.received).toBeUndefined();
    const { install, state, files } = must(receiver.staged);
    expect(difference(install.finish(state, files), ENTRIES + 1)).toBeUndefined();
    checkpoint.release();
    newer.release();
    await from.close();
    await receiver.store.close();
  });
});

describe("the checkpoint of a snapshot that broke off", () => {
  interface Fake extends Pick<TreeCheckpoint, "state" | "release"> {
    released: boolean;
  }

  function checkpointAt(index: number): Fake {
    const made: Fake = {
      state: flushedAt(index),
      released: false,
      release: () => void (made.released = true),
    };
    return made;
  }

  test("is kept for the next try, while the log goes on from there", () => {
    const kept = new UnfinishedSnapshots<Fake>(new FakeTimers(), 1000);
    const first = checkpointAt(10);
    kept.keep("1/2", first);
    expect(kept.take("1/3", 5)).toBeUndefined();
    expect(kept.take("1/2", 10)).toBe(first);
    expect(kept.take("1/2", 10)).toBeUndefined();
    kept.keep("1/2", first);
    expect(kept.take("1/2", 11)).toBeUndefined();
    expect(first.released).toBe(true);
  });

  test("is let go of when nobody asks, and when the node closes", () => {
    const timers = new FakeTimers();
    const kept = new UnfinishedSnapshots<Fake>(timers, 1000);
    const [first, second, third] = [checkpointAt(1), checkpointAt(2), checkpointAt(3)];
    kept.keep("1/2", first);
    timers.advance(999);
    expect(first.released).toBe(false);
    timers.advance(1);
    expect(first.released).toBe(true);
    kept.keep("1/2", second);
    kept.close();
    kept.keep("1/3", third);
    expect([second.released, third.released]).toEqual([true, true]);
  });
});
