/** Keyspaces of many shards: how they are cut into transactions, and what a crash leaves. */
import { describe, expect, test } from "vitest";
import { MAP_SIZE_BYTES_MAX, TRANSACTION_OPERATIONS_MAX } from "../../src/base/limits.js";
import { createKeyspace } from "../../src/placement/commands.js";
import type { PlacementDecision } from "../../src/placement/decision.js";
import type { PlacementState } from "../../src/placement/records.js";
import type { KeyspaceCreateRequest } from "../../src/protocol/admin-messages.js";
import type { ShardDescriptor } from "../../src/protocol/cluster.js";
import { founded, stepsOf } from "./support.js";

/** All shards but the placement group. */
function shardsOf(state: PlacementState): readonly ShardDescriptor[] {
  return (state.map?.shards ?? []).filter((each) => each.keyspaceId !== 0);
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
    const steps = stepsOf(createKeyspace(founded(3).state, hashed("many", 1024)));
    expect(steps.length).toBeGreaterThan(1);
    for (const step of steps) expect(step.length).toBeLessThan(TRANSACTION_OPERATIONS_MAX);
  });

  test("long keys fill a step before their number does", () => {
    const steps = stepsOf(createKeyspace(founded(3).state, wide("long", 20)));
    expect(steps.length).toBeGreaterThan(2);
  });

  test("nothing shows before the last step, and all of it then", () => {
    const records = founded(3);
    const before = records.state;
    const steps = stepsOf(createKeyspace(before, hashed("many", 300)));
    for (const step of steps.slice(0, -1)) {
      records.write(step);
      expect(records.state).toMatchObject({ counters: before.counters, map: { keyspaces: [] } });
      expect(shardsOf(records.state)).toEqual([]);
    }
    records.write(steps[steps.length - 1]!);
    expect(records.state.map?.keyspaces.map((each) => each.name)).toEqual(["many"]);
    expect(shardsOf(records.state)).toHaveLength(300);
  });

  test("what was left half made never shows, whatever is made afterwards", () => {
    const records = founded(3);
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
      expect(shardsOf(records.state)).toHaveLength(shardCount);
      const { keyspaceId } = map!.keyspaces.find((each) => each.name === name)!;
      const own = map!.shards.filter((each) => each.keyspaceId === keyspaceId);
      expect(own).toHaveLength(count);
    }
    expect(records.state.map?.keyspaces.map((each) => each.name)).not.toContain("lost");
  });
});

test("a map that would outgrow a message is refused, and says the limit", () => {
  const records = founded(3);
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
