/** Who a node is: made once, found again, and never mistaken for another. */
import { describe, expect, test } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { utf8 } from "../../src/base/bytes.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import type { NodeConfig } from "../../src/node/config.js";
import {
  establishIdentity,
  foundersOf,
  nodeIdOf,
  placementDescriptor,
  saveIdentity,
} from "../../src/node/identity.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";

const FOUNDERS = ["c", "a", "b"].map((name) => ({ name, peerAddress: `${name}:2380` }));

function config(changed: Partial<NodeConfig> = {}): NodeConfig {
  return { ...DEFAULT_CONFIG, dataDirectory: "/data", name: "a", ...changed };
}

describe("a data directory", () => {
  test("is given an identity at the first start, which a crash does not take", () => {
    const disk = new MemoryDisk();
    const made = establishIdentity(disk, config());
    expect(made).toMatchObject({ name: "a", nodeId: nodeIdOf("flotilla", "a") });
    const after = disk.crash(new Prng(1), "loseAll");
    expect(after.exists("/data/node.json")).toBe(true);
    expect(establishIdentity(after, config())).toEqual(made);
  });

  test("of another node or cluster is refused and left as it is", () => {
    const disk = new MemoryDisk();
    establishIdentity(disk, config({ initialCluster: FOUNDERS }));
    const before = disk.content("/data/node.json");
    const opening = (changed: Partial<NodeConfig>) => () =>
      establishIdentity(disk, config({ initialCluster: FOUNDERS, ...changed }));
    expect(opening({ name: "b" })).toThrow("belongs to node a, not b");
    expect(opening({ clusterToken: "other" })).toThrow(/belongs to node a/);
    expect(opening({ initialCluster: [] })).toThrow(
      expect.objectContaining({ code: "wrongCluster", outcome: "notApplied" }),
    );
    expect(disk.content("/data/node.json")).toEqual(before);
  });

  test("is opened again whatever the order of the founders and their addresses", () => {
    const disk = new MemoryDisk();
    const made = establishIdentity(disk, config({ initialCluster: FOUNDERS }));
    const moved = FOUNDERS.map(({ name }) => ({ name, peerAddress: `${name}.new:1` })).reverse();
    expect(establishIdentity(disk, config({ initialCluster: moved }))).toEqual(made);
  });

  test("any bit of whose identity is flipped is the same node, and whole again", () => {
    const disk = new MemoryDisk();
    const made = establishIdentity(disk, config());
    const whole = disk.content("/data/node.json");
    for (const path of ["/data/node.json", "/data/node.json.copy"]) {
      for (let bit = 0; bit < whole.length * 8; bit++) {
        disk.flipBit(path, bit);
        expect(establishIdentity(disk, config())).toEqual(made);
        expect(disk.content(path)).toEqual(whole);
      }
    }
  });

  test("whose identity is lost in both copies is not taken for a new one", () => {
    const disk = new MemoryDisk();
    establishIdentity(disk, config());
    disk.setContent("/data/node.json", utf8("{"));
    disk.remove("/data/node.json.copy");
    expect(() => establishIdentity(disk, config())).toThrow(CorruptionError);
  });
});

describe("a node that was added", () => {
  const joining = config({ initialCluster: FOUNDERS, initialClusterState: "existing" });
  const told = { clusterId: "abc", nodeId: 77, name: "a", joined: true };

  test("has no identity before it is told one, and keeps that whatever it is started with", () => {
    const disk = new MemoryDisk();
    expect(establishIdentity(disk, joining)).toBeUndefined();
    expect(disk.exists("/data/node.json")).toBe(false);
    saveIdentity(disk, "/data", told);
    expect(establishIdentity(disk, joining)).toEqual(told);
    expect(establishIdentity(disk, config({ initialCluster: FOUNDERS }))).toEqual(told);
    expect(() => establishIdentity(disk, { ...joining, name: "b" })).toThrow("belongs to node a");
  });

  test("goes on with a founder's directory, too", () => {
    const disk = new MemoryDisk();
    const made = establishIdentity(disk, config({ initialCluster: FOUNDERS }));
    expect(establishIdentity(disk, joining)).toEqual(made);
  });
});

describe("the founders", () => {
  test("are this node alone where none are given, at its advertised address", () => {
    expect(foundersOf(config({ listenPeer: "l:1" }))).toEqual([{ name: "a", peerAddress: "l:1" }]);
    const advertised = config({ listenPeer: "l:1", advertisePeer: "p:2" });
    expect(foundersOf(advertised)).toEqual([{ name: "a", peerAddress: "p:2" }]);
  });

  test("agree on the placement group without having talked", () => {
    const [first, ...others] = FOUNDERS.map(({ name }, i) => {
      const initialCluster = [...FOUNDERS.slice(i), ...FOUNDERS.slice(0, i)];
      return placementDescriptor(config({ name, initialCluster }));
    });
    for (const other of others) expect(other).toEqual(first);
    expect(first!.replicas.map((each) => each.nodeId)).toEqual(
      ["a", "b", "c"].map((name) => nodeIdOf("flotilla", name)),
    );
  });

  test("have ids that are safe integers and depend on token and name", () => {
    const ids = new Set<number>();
    for (const token of ["x", "y"]) {
      for (let i = 0; i < 1000; i++) ids.add(nodeIdOf(token, `n${i}`));
    }
    expect(ids.size).toBe(2000);
    expect([...ids].every((id) => Number.isSafeInteger(id) && id > 0)).toBe(true);
  });
});
