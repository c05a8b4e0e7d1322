/** The route map: finding shards, and what it believes when told different things. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { compareBytes } from "../../src/base/bytes.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { ShardDescriptor } from "../../src/protocol/cluster.js";
import { RouteMap } from "../../src/route/route-map.js";
import { OPEN_END, storedKey, storedRange } from "../../src/route/stored-key.js";
import { bytesOf } from "../support/bytes-of.js";
import { clusterMap } from "../support/cluster-maps.js";

const MAP = clusterMap([
  { name: "one", kind: "range", cuts: [] },
  { name: "docs", kind: "range", cuts: ["g", "p"] },
  { name: "files", kind: "hash", cuts: 4 },
]);
const docs = MAP.keyspaces[1]!;

function docsKey(text: string): Uint8Array {
  return storedKey(docs, bytesOf(text));
}

function shardIdsOf(map: RouteMap, start: string, end: Uint8Array): number[] {
  const range = storedRange(docs, bytesOf(start), end);
  return map.routesOf(range).map((route) => route.shard.shardId);
}

/** The halves of docs' middle shard [g, p), cut at "k", as a split leaves them. */
function halves(): readonly [ShardDescriptor, ShardDescriptor] {
  const parent = MAP.shards[2]!;
  const at = docsKey("k");
  const epoch = { configuration: 1, range: 2 };
  return [
    { ...parent, range: { start: parent.range.start, end: at }, epoch, generation: 2 },
    { ...parent, shardId: 300, range: { start: at, end: parent.range.end }, epoch, generation: 2 },
  ];
}

describe("a route map", () => {
  property.prop([fc.constantFrom(0, 1, 2), fc.uint8Array({ minLength: 1, maxLength: 5 })])(
    "finds the one shard whose interval holds a key",
    (which, userKey) => {
      const key = storedKey(MAP.keyspaces[which]!, userKey);
      const expected = MAP.shards.filter((shard) => rangeContains(shard.range, key));
      expect(expected.length).toBe(1);
      expect(new RouteMap(MAP, []).routeOf(key)?.shard).toBe(expected[0]);
    },
  );

  test("finds the shards of a range in order, and no others", () => {
    const map = new RouteMap(MAP, []);
    expect(shardIdsOf(map, "a", OPEN_END)).toEqual([101, 102, 103]);
    expect(shardIdsOf(map, "g", bytesOf("p"))).toEqual([102]);
    expect(shardIdsOf(map, "f", bytesOf("ga"))).toEqual([101, 102]);
    expect(shardIdsOf(map, "z", OPEN_END)).toEqual([103]);
  });

  test("has no route before the first shard and beyond the last", () => {
    const map = new RouteMap(MAP, []);
    expect(map.routeOf(new Uint8Array([0]))).toBe(undefined);
    expect(map.routeOf(new Uint8Array([0, 0, 0, 200]))).toBe(undefined);
  });

  test("takes the halves of a split in either order, and only once", () => {
    for (const order of [halves(), [...halves()].reverse()]) {
      const map = new RouteMap(MAP, [{ shardId: 102, nodeId: 3, term: 5 }]);
      for (const half of order) expect(map.apply(half)).toBe(true);
      for (const half of order) expect(map.apply(half)).toBe(false);
      expect(shardIdsOf(map, "a", OPEN_END)).toEqual([101, 102, 300, 103]);
      expect(map.apply(MAP.shards[2]!)).toBe(false);
    }
  });

  test("keeps the leader of a shard whose descriptor changed", () => {
    const map = new RouteMap(MAP, [{ shardId: 102, nodeId: 3, term: 5 }]);
    map.apply(halves()[0]);
    expect(map.route(102)?.leaderNodeId).toBe(3);
  });

  test("has a hole where the winner of an overlap covers less", () => {
    const map = new RouteMap(MAP, []);
    map.apply(halves()[0]);
    expect(map.routeOf(docsKey("h"))?.shard.shardId).toBe(102);
    expect(map.routeOf(docsKey("l"))).toBe(undefined);
    expect(shardIdsOf(map, "a", OPEN_END)).toEqual([101, 102, 103]);
  });

  test("keeps what it knows better than a fetched map, and takes the rest", () => {
    const map = new RouteMap(MAP, [{ shardId: 101, nodeId: 2, term: 9 }]);
    for (const half of halves()) map.apply(half);
    const moved: ShardDescriptor = {
      ...MAP.shards[1]!,
      epoch: { configuration: 8, range: 1 },
    };
    const shards = [MAP.shards[0]!, moved, ...MAP.shards.slice(2)];
    map.replace({ ...MAP, version: 2, shards }, [{ shardId: 101, nodeId: 1, term: 4 }]);
    expect(map.clusterMap.version).toBe(2);
    expect(map.route(101)?.shard.epoch.configuration).toBe(8);
    expect(map.route(101)?.leaderNodeId).toBe(2);
    expect(map.routeOf(docsKey("h"))?.shard.epoch.range).toBe(2);
  });

  test("takes leaders of an older map, but not its shards", () => {
    const map = new RouteMap({ ...MAP, version: 5 }, []);
    map.replace({ ...MAP, version: 4, shards: [] }, [{ shardId: 101, nodeId: 1, term: 4 }]);
    expect(map.clusterMap.version).toBe(5);
    expect(map.route(101)?.leaderNodeId).toBe(1);
  });

  property.prop([
    fc.array(
      fc.record({
        from: fc.integer({ min: 0, max: 20 }),
        size: fc.integer({ min: 1, max: 9 }),
        generation: fc.integer({ min: 0, max: 6 }),
      }),
      { maxLength: 30 },
    ),
  ])("stays sorted and disjoint, whatever it is told", (descriptors) => {
    const map = new RouteMap(MAP, []);
    for (const [i, { from, size, generation }] of descriptors.entries()) {
      const start = docsKey(String.fromCharCode(97 + from));
      const end = docsKey(String.fromCharCode(97 + from + size));
      map.apply({ ...MAP.shards[1]!, shardId: 500 + (i % 7), range: { start, end }, generation });
      for (const [at, route] of map.routes.entries()) {
        const before = map.routes[at - 1];
        if (before === undefined) continue;
        expect(compareBytes(before.shard.range.end!, route.shard.range.start)).not.toBeGreaterThan(
          0,
        );
      }
    }
  });
});
