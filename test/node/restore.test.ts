/** Restores of a node, cut short at every operation: it starts on a whole one, or not at all. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { establishIdentity } from "../../src/node/identity.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import { isRestoreUnfinished, requireRestored } from "../../src/node/restore-mark.js";
import { restoreNode } from "../../src/node/restore.js";
import { planRestore } from "../../src/node/restore-plan.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
import { readListing } from "../../src/store/backup-listing.js";
import { checkStore } from "../../src/store/store-check.js";
import { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { difference, orHalt } from "../store/store-bench.js";
import { BACKED_UP, BACKUPS, BackedUp, envOn } from "../support/backed-up.js";

const DATA = "/data";
const ENTRIES = 40;
const NODES = ["n1", "n2", "n3"].map((name) => ({ name, peerAddress: `${name}:2` }));
const TREES = [PLACEMENT_SHARD_ID, ...BACKED_UP.shards.map(({ shardId }) => shardId)];

async function backedUp(): Promise<MemoryDisk> {
  const source = await BackedUp.open();
  await source.fill(ENTRIES);
  const disk = new MemoryDisk();
  await source.backUp(disk);
  await source.close();
  return disk;
}

function restoreOn(disk: MemoryDisk, raiseBy = 0): ReturnType<typeof restoreNode> {
  const listing = readListing(disk, BACKUPS, 1);
  const request = { backups: BACKUPS, listing, dataDirectory: DATA, name: "n1", nodes: NODES };
  return restoreNode(envOn(disk), { ...request, raiseBy });
}

/** What is wrong with the node's data. */
async function faultsOf(disk: MemoryDisk): Promise<readonly string[]> {
  requireRestored(disk, DATA);
  const { findings } = checkStore(disk, `${DATA}/store`);
  const faults = findings.filter(({ isDamage }) => isDamage).map(({ what }) => what);
  const identity = establishIdentity(disk, { ...DEFAULT_CONFIG, name: "n1", dataDirectory: DATA });
  if (identity?.joined !== true) faults.push("it takes itself for a founder");
  const { store } = await Store.open(envOn(disk), `${DATA}/store`, {
    logOptions: { segmentSizeBytes: 256 * 1024, batchSizeBytesMax: 64 * 1024 },
  });
  const found = [...store.trees()].map(({ shardId }) => shardId).sort((a, b) => a - b);
  if (found.join() !== TREES.join()) faults.push(`it has the trees ${found.join()}`);
  for (const tree of store.trees()) {
    if (tree.shardId === PLACEMENT_SHARD_ID) continue;
    const fault = difference(tree, ENTRIES);
    if (fault !== undefined) faults.push(fault);
  }
  await store.close();
  return faults;
}

/** What a restore that was cut short has left. */
function outcomeOn(disk: MemoryDisk): "nothing" | "unfinished" | "whole" {
  if (!disk.exists(DATA) || disk.list(DATA).length === 0) return "nothing";
  return isRestoreUnfinished(disk, DATA) ? "unfinished" : "whole";
}

describe("a restore of a node", () => {
  test("that loses power leaves nothing to start on, or all of it; and it can be repeated", async () => {
    const origin = await backedUp();
    const operations = await (async () => {
      const disk = origin.crash(new Prng(1), "loseAll");
      const before = disk.operations;
      await restoreOn(disk);
      return disk.operations - before;
    })();
    const outcomes = new Set<string>();
    for (let halt = 0; halt <= operations; halt++) {
      const disk = origin.crash(new Prng(1), "loseAll");
      disk.haltAt(disk.operations + halt);
      await orHalt(
        disk,
        restoreOn(disk).catch(() => undefined),
      );
      const survivor = disk.crash(new Prng(halt), halt % 2 === 0 ? "loseAll" : "mixed");
      const outcome = outcomeOn(survivor);
      outcomes.add(outcome);
      if (outcome !== "whole") await restoreOn(survivor);
      expect(await faultsOf(survivor)).toEqual([]);
    }
    expect(outcomes).toEqual(new Set(["nothing", "unfinished", "whole"]));
  }, 120_000);

  test("on a full disk says so, and goes on with room", async () => {
    const disk = await backedUp();
    disk.quotaBytes = disk.usedBytes() + 3000;
    await expect(restoreOn(disk)).rejects.toMatchObject({ code: "noSpace" });
    expect(isRestoreUnfinished(disk, DATA)).toBe(true);
    disk.quotaBytes = Infinity;
    await restoreOn(disk);
    expect(await faultsOf(disk)).toEqual([]);
    await expect(restoreOn(disk)).rejects.toMatchObject({ code: "exists" });
  });

  test("of a damaged backup makes no node", async () => {
    const disk = await backedUp();
    const [name = ""] = disk.list(`${BACKUPS}/tables`);
    disk.flipBit(`${BACKUPS}/tables/${name}`, 777);
    await expect(restoreOn(disk)).rejects.toThrow("not what was written");
    expect(() => requireRestored(disk, DATA)).toThrow("cut short");
  });
});

describe("what a restore comes to", () => {
  test("is the same wherever it is told the same, and another cluster otherwise", async () => {
    const disk = await backedUp();
    const listing = readListing(disk, BACKUPS, 1);
    const wish = { listing, nodes: NODES, raiseBy: 1000 };
    const plan = planRestore(wish);
    expect(planRestore(wish)).toEqual(plan);
    const others = [
      { ...wish, raiseBy: 0 },
      { ...wish, nodes: NODES.slice(1) },
      { ...wish, listing: { ...listing, number: 2 } },
      { ...wish, listing: { ...listing, edit: listing.edit.slice(1) } },
    ].map((each) => planRestore(each).clusterId);
    expect(new Set([...others, plan.clusterId, BACKED_UP.clusterId]).size).toBe(6);
  });

  test("raises all shards of a keyspace to one revision, and compacts what lies below", async () => {
    const disk = await backedUp();
    const plan = planRestore({
      listing: readListing(disk, BACKUPS, 1),
      nodes: NODES,
      raiseBy: 1000,
    });
    for (const operation of plan.edit) {
      if (operation.kind !== "createTree") continue;
      const { revision, compactedRevision, closedRevision, index } = operation.flushed;
      expect([revision, compactedRevision, closedRevision, index]).toEqual([
        ENTRIES + 1000,
        ENTRIES + 1000,
        ENTRIES + 1000,
        ENTRIES,
      ]);
    }
    expect(plan.map.shards.map(({ replicas }) => replicas.length)).toEqual([3, 3, 3, 3]);
  });
});
