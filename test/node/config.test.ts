/** The settings of a node: what is accepted, and which setting a refusal names. */
import { describe, expect, test } from "vitest";
import { ENTRY_SIZE_BYTES_MAX, REQUEST_SIZE_BYTES_BOUND } from "../../src/base/limits.js";
import { DEFAULT_CONFIG, checkConfig } from "../../src/node/config.js";
import type { NodeConfig } from "../../src/node/config.js";

const node = (name: string): { name: string; peerAddress: string } => ({
  name,
  peerAddress: `${name}:2380`,
});

const check = (changed: Partial<NodeConfig>) => (): void =>
  checkConfig({ ...DEFAULT_CONFIG, ...changed });

describe("is accepted", () => {
  test.each<[string, Partial<NodeConfig>]>([
    ["the default", {}],
    ["no lease", { leaderLeaseMs: 0 }],
    ["shards that never rest", { quiesceAfterMs: 0 }],
    ["a lease as long as the shortest election time-out", { leaderLeaseMs: 400 }],
    ["an IPv6 address", { listenClient: "[::1]:0" }],
    ["a cluster of three", { name: "b", initialCluster: ["a", "b", "c"].map(node) }],
    ["the largest request", { requestSizeBytesMax: REQUEST_SIZE_BYTES_BOUND }],
    ["the smallest segment", { segmentSizeBytes: 4 * ENTRY_SIZE_BYTES_MAX }],
  ])("%s", (_what, changed) => {
    expect(check(changed)).not.toThrow();
  });
});

describe("is refused, by name", () => {
  test.each<[string, Partial<NodeConfig>]>([
    ["name", { name: "" }],
    ["name", { name: "a b" }],
    ["name", { name: "a".repeat(65) }],
    ["dataDirectory", { dataDirectory: "" }],
    ["listenClient", { listenClient: "localhost" }],
    ["listenPeer", { listenPeer: ":2380" }],
    ["advertiseClient", { advertiseClient: "host:65536" }],
    ["advertisePeer", { advertisePeer: "host:x" }],
    ["heartbeatMs", { heartbeatMs: 4 }],
    ["heartbeatMs", { heartbeatMs: Number.NaN }],
    ["electionTimeoutMinMs", { electionTimeoutMinMs: 199 }],
    ["electionTimeoutMaxMs", { electionTimeoutMaxMs: 400 }],
    ["leaderLeaseMs", { leaderLeaseMs: 50 }],
    ["flow.inflightMessagesMax", { flow: { ...DEFAULT_CONFIG.flow, inflightMessagesMax: 0 } }],
    ["flow.inflightBytesMax", { flow: { ...DEFAULT_CONFIG.flow, inflightBytesMax: 1024 } }],
    ["leaderLeaseMs", { leaderLeaseMs: 401 }],
    ["quiesceAfterMs", { quiesceAfterMs: 49 }],
    ["quiesceAfterMs", { quiesceAfterMs: -1 }],
    ["initialCluster", { name: "a", initialCluster: ["a", "a", "b"].map(node) }],
    ["initialCluster", { name: "d", initialCluster: ["a", "b", "c"].map(node) }],
    ["initialCluster", { name: "a", initialCluster: ["a", "b"].map(node) }],
    ["initialCluster", { name: "a", initialCluster: [{ name: "a", peerAddress: "a" }] }],
    ["requestSizeBytesMax", { requestSizeBytesMax: 1023 }],
    ["requestSizeBytesMax", { requestSizeBytesMax: REQUEST_SIZE_BYTES_BOUND + 1 }],
    ["segmentSizeBytes", { segmentSizeBytes: 4 * ENTRY_SIZE_BYTES_MAX - 1 }],
  ])("%s: %o", (setting, changed) => {
    expect(check(changed)).toThrow(
      expect.objectContaining({
        code: "invalidArgument",
        outcome: "notApplied",
        message: expect.stringMatching(new RegExp(`^${setting} `)) as string,
      }),
    );
  });
});
