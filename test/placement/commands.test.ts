/** Keyspaces of many shards: how they are cut into transactions, and what a crash leaves. */
import { describe, expect, test } from "vitest";
import { MAP_SIZE_BYTES_MAX, TRANSACTION_OPERATIONS_MAX } from "../../src/base/limits.js";
import { createKeyspace, foundCluster, registerNode } from "../../src/placement/commands.js";
import type { PlacementDecision, PlacementStep } from "../../src/placement/commands.js";
import { decodeState } from "../../src/placement/records.js";
import type { PlacementRecord, PlacementState } from "../../src/placement/records.js";
import type { KeyspaceCreateRequest } from "../../src/protocol/admin-messages.js";

/** The records that were written, as the placement group would hold them. */
class Records {
  readonly #held: Map<string, PlacementRecord> = new Map();
  #version = 0;

  get state(): PlacementState {
    const sorted = [...this.#held.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return decodeState(sorted, this.#version);
  }

  write(step: PlacementStep): void {
    this.#version++;
    for (const record of step) this.#held.set(record.key, record);
  }

  run(decision: PlacementDecision): void {
    for (const step of stepsOf(decision)) this.write(step);
  }
}

function stepsOf(decision: PlacementDecision): readonly PlacementStep[] {
  if (decision.kind === "refused") throw decision.error;
  return decision.kind === "write" ? decision.steps : [];
}

function founded(): Records {
  const records = new Records();
  records.run(foundCluster(records.state, "test"));
  for (const nodeId of [1, 2, 3]) {
    const node = { nodeId, name: `n${nodeId}`, clientAddress: "", peerAddress: "", labels: {} };
    records.run(registerNode(records.state, { ...node, incarnation: `disk ${nodeId}` }));
  }
  return records;
}

function hashed(name: string, shardCount: number): KeyspaceCreateRequest {
  return { name, kind: "hash", splitPoints: [], shardCount, replicationFactor: 0 };
}

/** A range keyspace cut at keys of 64 KiB. */
function wide(name: string, count: number): KeyspaceCreateRequest {
  const splitPoints = Array.from({ length: count }, (_, i) => {
    const point = new Uint8Array(64 * 1024).fill(1);
    point[0] = i;
    return point;
  });
  return { name, kind: "range", splitPoints, shardCount: 0, replicationFactor: 0 };
}

describe("a keyspace of many shards", () => {
  test("every step fits a transaction, beside its compare", () => {
    const steps = stepsOf(createKeyspace(founded().state, hashed("many", 1024)));
    expect(steps.length).toBeGreaterThan(1);
    for (const step of steps) expect(step.length).toBeLessThan(TRANSACTION_OPERATIONS_MAX);
  });

  test("long keys fill a step before their number does", () => {
    const steps = stepsOf(createKeyspace(founded().state, wide("long", 20)));
    expect(steps.length).toBeGreaterThan(2);
  });

  test("nothing shows before the last step, and all of it then", () => {
    const records = founded();
    const before = records.state;
    const steps = stepsOf(createKeyspace(before, hashed("many", 300)));
    for (const step of steps.slice(0, -1)) {
      records.write(step);
      expect(records.state).toMatchObject({
        counters: before.counters,
        map: { keyspaces: [], shards: [] },
      });
    }
    records.write(steps[steps.length - 1]!);
    expect(records.state.map?.keyspaces.map((each) => each.name)).toEqual(["many"]);
    expect(records.state.map?.shards).toHaveLength(300);
  });

  test("what was left half made never shows, whatever is made afterwards", () => {
    const records = founded();
    const steps = stepsOf(createKeyspace(records.state, hashed("lost", 300)));
    for (const step of steps.slice(0, -1)) records.write(step);
    let shardCount = 0;
    for (const [name, count] of [
      ["one", 5],
      ["two", 120],
      ["three", 250],
    ] as const) {
      records.run(createKeyspace(records.state, hashed(name, count)));
      shardCount += count;
      const { map } = records.state;
      expect(map?.shards).toHaveLength(shardCount);
      const { keyspaceId } = map!.keyspaces.find((each) => each.name === name)!;
      const own = map!.shards.filter((each) => each.keyspaceId === keyspaceId);
      expect(own).toHaveLength(count);
    }
    expect(records.state.map?.keyspaces.map((each) => each.name)).not.toContain("lost");
  });
});

test("a map that would outgrow a message is refused, and says the limit", () => {
  const records = founded();
  let made = 0;
  let refused: PlacementDecision | undefined;
  while (refused === undefined && made < 20) {
    const decision = createKeyspace(records.state, wide(`wide${made}`, 20));
    if (decision.kind === "refused") refused = decision;
    else records.run(decision);
    made++;
  }
  expect(made).toBeGreaterThan(1);
  expect(refused).toMatchObject({
    kind: "refused",
    error: { code: "requestTooLarge", details: { bound: MAP_SIZE_BYTES_MAX } },
  });
});
