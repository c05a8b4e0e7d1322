/** Read indexes are compared with what was committed when they were asked for. */
import { expect, test } from "vitest";
import { ReadLedger } from "../../../jepsen-style/sim/read-ledger.js";
import type { Ready } from "../../../src/raft/ready.js";
import type { Replica } from "../../../src/shard/replica.js";

/** A replica whose core answers what the test says. */
function stub(answers: Pick<Ready, "reads" | "readsFailed">[]): Replica {
  const raft = {
    readIndex: (): void => undefined,
    ready: () => answers.shift(),
  };
  return { shardId: 7, raft } as unknown as Replica;
}

function watched(committed: () => number, answers: Pick<Ready, "reads" | "readsFailed">[]) {
  const told: string[] = [];
  const ledger = new ReadLedger((what) => told.push(what));
  const replica = stub(answers);
  ledger.watch(replica, "n1", committed);
  ledger.watch(replica, "n1", committed);
  return { told, raft: replica.raft };
}

test("an index below what was committed when it was asked for is told", () => {
  const { told, raft } = watched(() => 5, [{ reads: [{ context: 1, index: 4 }], readsFailed: [] }]);
  raft.readIndex(1, 0);
  raft.ready();
  expect(told).toEqual(["n1 may read shard 7 at 4 and asked when 5 was committed"]);
});

test("what was committed since need not be covered, nor does a read that failed", () => {
  let committed = 5;
  const { told, raft } = watched(
    () => committed,
    [
      { reads: [{ context: 1, index: 5 }], readsFailed: [2] },
      { reads: [{ context: 2, index: 1 }], readsFailed: [] },
    ],
  );
  raft.readIndex(1, 0);
  raft.readIndex(2, 0);
  committed = 9;
  raft.ready();
  raft.ready();
  expect(told).toEqual([]);
});
