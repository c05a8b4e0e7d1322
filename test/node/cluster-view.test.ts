/** The map that a node keeps for its next start. */
import { expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { ClusterView } from "../../src/node/cluster-view.js";
import { writeTextFile } from "../../src/node/text-file.js";
import type { ClusterMap } from "../../src/protocol/cluster.js";
import { clusterMap } from "../support/cluster-maps.js";

const MAP = clusterMap([{ name: "default", kind: "range", cuts: ["m"] }]);

function viewOn(disk: MemoryDisk): ClusterView {
  return new ClusterView(disk, "/data", MAP.clusterId);
}

function emptyDisk(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.makeDirectory("/data");
  return disk;
}

/** The same map as a decoder may give it that makes Buffers of bytes. */
function withBuffers(map: ClusterMap): ClusterMap {
  const shards = map.shards.map((shard) => {
    const { start, end } = shard.range;
    const range = { start: Buffer.from(start), end: end && Buffer.from(end) };
    return { ...shard, range };
  });
  return { ...map, shards };
}

test("a map is the same after a restart, whatever kind its bytes are of", () => {
  for (const map of [MAP, withBuffers(MAP)]) {
    const disk = emptyDisk();
    const view = viewOn(disk);
    expect(view.update(map)).toBe(true);
    expect(view.save()).toBeUndefined();
    expect(viewOn(disk).map).toEqual(MAP);
  }
});

test("of a file whose ranges are not bytes only the nodes count", () => {
  const disk = emptyDisk();
  writeTextFile(disk, "/data", "cluster-map.json", `${JSON.stringify(withBuffers(MAP))}\n`);
  const view = viewOn(disk);
  expect(view.map).toEqual({ ...MAP, version: 0, keyspaces: [], shards: [] });
  expect(view.update(MAP)).toBe(true);
});
