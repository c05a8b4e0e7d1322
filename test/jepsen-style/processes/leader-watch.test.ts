/** Who is seen to lead the default keyspace, and who the placement group. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Cluster } from "../../../jepsen-style/processes/cluster.js";
import { LeaderWatch } from "../../../jepsen-style/processes/leader-watch.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../../../src/protocol/cluster.js";

const KEYSPACE_ID = 7;

interface Seat {
  readonly shardId: number;
  readonly keyspaceId: number;
  readonly role: string;
  readonly term: number;
}

const ofData = (role: string, term: number): Seat => ({
  shardId: 2,
  keyspaceId: KEYSPACE_ID,
  role,
  term,
});
const ofPlacement = (role: string, term: number): Seat => ({
  shardId: PLACEMENT_SHARD_ID,
  keyspaceId: SYSTEM_KEYSPACE_ID,
  role,
  term,
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A watch that has looked once at each of these states of all nodes. */
async function watched(...looks: readonly Record<string, readonly Seat[]>[]): Promise<LeaderWatch> {
  let seats: Record<string, readonly Seat[]> = {};
  const cluster = {
    nodes: ["n1", "n2", "n3"].map((name) => ({ name, state: "running" })),
    status: async (name: string) => ({ replicas: seats[name] ?? [] }),
  } as unknown as Cluster;
  const watch = new LeaderWatch(cluster, KEYSPACE_ID, () => 0);
  watch.start();
  for (const look of looks) {
    seats = look;
    await vi.advanceTimersByTimeAsync(250);
  }
  watch.stop();
  return watch;
}

test("the leaders of the default keyspace and of placement are told apart", async () => {
  const watch = await watched(
    { n1: [ofData("leader", 5), ofPlacement("follower", 9)], n2: [ofPlacement("leader", 9)] },
    { n1: [ofData("leader", 5), ofPlacement("leader", 8)], n3: [ofPlacement("leader", 10)] },
  );
  expect(watch.leader).toBe("n1");
  expect(watch.placementLeader).toBe("n3");
  expect(watch.leads.map(({ node }) => node)).toEqual(["n1", "n1"]);
  expect(watch.judge().verdict).toBe("valid");
});

test("two leaders of one term are a finding in either group, one of each group is none", async () => {
  const split = { n1: [ofData("leader", 5)], n2: [ofPlacement("leader", 5)] };
  expect((await watched(split)).judge().verdict).toBe("valid");
  for (const seat of [ofData, ofPlacement]) {
    const watch = await watched({ n1: [seat("leader", 5)] }, { n2: [seat("leader", 5)] });
    expect(watch.judge().verdict).toBe("invalid");
  }
});
