/**
 * Garbage collection causes no elections: a host whose loop was held up for longer than an election
 * timeout takes nobody's silence for granted before it has read what waits in its sockets.
 */
import { describe, expect, test } from "vitest";
import type { Message } from "../../src/raft/message.js";
import { put } from "../support/operations.js";
import { turnsUntil } from "../support/test-env.js";
import { FakeAsker } from "./fake-replica.js";
import { HostBench } from "./host-bench.js";
import type { BenchNode } from "./host-bench.js";

/** Two election timeouts, the longest that there are. */
const LONG_MS = 1600;

async function followed(): Promise<HostBench> {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0 });
  await bench.until(() => [2, 3].every((id) => bench.node(id).replica.leaderNodeId === 1));
  return bench;
}

/** A heartbeat as a leader of this replica's term, or of the next one, sends it. */
function heartbeat({ replica }: BenchNode, from: number, termsLater = 0): Message {
  const { term } = replica.raft;
  const header = { from, to: replica.replicaId, term: term + termsLater };
  return {
    kind: "heartbeat",
    ...header,
    round: 1000,
    commitIndex: 0,
    promiseMs: 0,
    release: false,
  };
}

describe("a follower that was held up", () => {
  test("does not campaign where its leader's heartbeat waits to be read", async () => {
    const bench = await followed();
    const node = bench.node(2);
    for (const other of [1, 3]) bench.stop(other);
    for (let i = 0; i < 3; i++) {
      bench.holdUp(LONG_MS, () => node.replica.step(heartbeat(node, 1)));
      expect(node.replica.raft.role).toBe("follower");
    }
    bench.holdUp(LONG_MS, () => undefined);
    expect(node.replica.raft.role).toBe("preCandidate");
  });

  test("leaves a lost leader's succession to whom it finds elected", async () => {
    const bench = await followed();
    const node = bench.node(3);
    for (const other of [1, 2]) bench.stop(other);
    // Its turn to campaign comes after that of 2, and falls into the time in which it is held up.
    node.host.nodeLost(1);
    bench.holdUp(LONG_MS, () => {
      expect(node.replica.raft.role).toBe("follower");
      node.replica.step(heartbeat(node, 2, 1));
    });
    expect(node.replica.raft.describe()).toMatch(/^3 follower .* leader=2 /);
  });
});

test("a leader that was held up goes on where its followers' answers wait to be read", async () => {
  const bench = await followed();
  const { replica } = bench.node(1);
  // Its followers are due to be told of a commit, which is what comes before the next tick.
  const asker = new FakeAsker();
  replica.writes.submitTransaction(asker, 1, { compares: [], success: [put("key")], failure: [] });
  await turnsUntil(() => {
    bench.pass(1);
    return replica.raft.commitNoticeDueMs < Number.POSITIVE_INFINITY;
  });
  for (const other of [2, 3]) bench.stop(other);
  const { term } = replica.raft;
  const answer = { kind: "heartbeatResponse", to: 1, term, round: 1, promised: false } as const;
  bench.holdUp(LONG_MS, () => replica.step({ ...answer, from: 2 }));
  expect(replica.raft.role).toBe("leader");
  bench.holdUp(LONG_MS, () => undefined);
  expect(replica.raft.role).toBe("follower");
});
