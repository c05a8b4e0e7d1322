/** What a node says of its store, of parts that a test sets by hand. */
import { beforeEach, describe, expect, test } from "vitest";
import type { ReplicaStatus } from "../../src/protocol/admin-messages.js";
import type { StorageStatus } from "../../src/protocol/storage-status.js";
import type { LogPin, LogStats } from "../../src/log/log-types.js";
import type { NodeParts } from "../../src/node/node-parts.js";
import { storageOf } from "../../src/node/storage-status.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { StoreStats } from "../../src/store/store-stats.js";

const STORE: Partial<StoreStats> = {
  memtableBytes: 101,
  memtablesBytesMax: 102,
  sizeBytes: 103,
  tableCount: 104,
  pinnedBytes: 105,
  removalCount: 106,
  manifestBytes: 107,
  blockCacheBytes: 108,
  blocksRead: 109,
  flushes: 110,
  compactions: 111,
  flushBytesWritten: 112,
  mergeBytesWritten: 113,
  runsMax: 114,
  treesBehind: 115,
  jobs: { running: 1, waiting: 2 },
};

class FakeReplica {
  readonly shardId: number;
  readonly writes: { isCrowded: boolean } = { isCrowded: false };
  readonly raft: { cachedBytes: number } = { cachedBytes: 500 };
  readonly tree: { isLate: boolean; memtableBytes(): number } = {
    isLate: false,
    memtableBytes: () => 30,
  };
  leads = true;

  constructor(shardId: number) {
    this.shardId = shardId;
  }

  logKeeperOf(index: number): string {
    return index > 7 ? "unflushed" : "tail";
  }
}

class FakeNode {
  readonly replicas: readonly FakeReplica[] = [new FakeReplica(1), new FakeReplica(2)];
  readonly raised: Set<string> = new Set();
  refusal: "noSpace" | "overloaded" | undefined = undefined;
  isStalled = false;
  isMemoryFull = false;
  isLogBehind = false;
  pinnedBy: LogPin | undefined = undefined;

  storage(): StorageStatus {
    const parts = {
      isStalled: this.isStalled,
      room: { freeBytes: 15, reservedBytes: 16 },
      writeRefusal: () => (this.refusal === undefined ? undefined : notApplied(this.refusal, "")),
      view: { isRaised: (kind: string) => this.raised.has(kind) },
      host: {
        replicas: this.replicas,
        replica: (shardId: number) => this.replicas.find((each) => each.shardId === shardId),
      },
      store: {
        isMemoryFull: this.isMemoryFull,
        log: { isBehind: this.isLogBehind },
        lags: (tree: FakeReplica["tree"]) => tree.isLate,
      },
    };
    return storageOf(parts as unknown as NodeParts, {
      log: { writtenBytes: 9, sizeBytes: 20, segments: 21, pinnedBy: this.pinnedBy } as LogStats,
      store: STORE as StoreStats,
      replicas: [
        { usedBytes: 100 },
        { usedBytes: 200 },
        { usedBytes: undefined },
      ] as ReplicaStatus[],
    });
  }

  /** Those that hold. */
  obstacles(): readonly string[] {
    return Object.entries(this.storage().obstacles).flatMap(([name, is]) => (is ? [name] : []));
  }
}

let node = new FakeNode();

beforeEach(() => {
  node = new FakeNode();
});

describe("what holds writes up", () => {
  test("is nothing where all is well", () => {
    expect(node.obstacles()).toEqual([]);
  });

  test("is the disk where that has no room, and not where it is only slow", () => {
    node.refusal = "noSpace";
    expect(node.obstacles()).toEqual(["diskFull"]);
    node.refusal = "overloaded";
    node.isLogBehind = true;
    expect(node.obstacles()).toEqual(["log"]);
    node.isStalled = true;
    expect(node.obstacles()).toEqual(["diskStalls", "log"]);
  });

  test("is memory, and an alarm of either kind", () => {
    node.isMemoryFull = true;
    expect(node.obstacles()).toEqual(["memory"]);
    node.raised.add("corrupt");
    expect(node.obstacles()).toEqual(["memory", "alarm"]);
    node.raised.clear();
    node.raised.add("noSpace");
    expect(node.obstacles()).toEqual(["memory", "alarm"]);
  });

  test("is a shard that is led here, and no other", () => {
    const [, second] = node.replicas;
    second!.tree.isLate = true;
    expect(node.obstacles()).toEqual(["merges"]);
    second!.writes.isCrowded = true;
    expect(node.obstacles()).toEqual(["merges", "inFlight"]);
    second!.leads = false;
    expect(node.obstacles()).toEqual([]);
  });
});

describe("what takes room", () => {
  test("is summed up over replicas, without what is in memory", () => {
    expect(node.storage()).toMatchObject({ logCachedBytes: 1000, tableUsedBytes: 240 });
  });

  test("is told by those who know it", () => {
    expect(node.storage()).toMatchObject({
      memtableBytes: 101,
      memtableBytesMax: 102,
      tableBytes: 103,
      tables: 104,
      tablePinnedBytes: 105,
      filesToDelete: 106,
      manifestBytes: 107,
      blockCacheBytes: 108,
      blocksRead: 109,
      flushes: 110,
      merges: 111,
      flushBytesWritten: 112,
      mergeBytesWritten: 113,
      runsMax: 114,
      treesBehind: 115,
      jobsRunning: 1,
      jobsWaiting: 2,
      diskFreeBytes: 15,
      diskReservedBytes: 16,
      logBytesWritten: 9,
      logBytes: 20,
      logSegments: 21,
    });
  });

  test("is a log that a shard keeps, for a reason that its replica knows", () => {
    expect(node.storage().logKept).toBeUndefined();
    node.pinnedBy = { shardId: 2, index: 8 };
    expect(node.storage().logKept).toEqual({ shardId: 2, reason: "unflushed" });
    node.pinnedBy = { shardId: 1, index: 7 };
    expect(node.storage().logKept).toEqual({ shardId: 1, reason: "tail" });
    node.pinnedBy = { shardId: 3, index: 7 };
    expect(node.storage().logKept).toEqual({ shardId: 3, reason: "closed" });
  });
});
