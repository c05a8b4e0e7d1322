/** To whom a node hands what it leads, and when it has. */
import { expect, test } from "vitest";
import { LeaderTransfers } from "../../src/node/leader-transfers.js";
import type { TransferRefusal } from "../../src/raft/types.js";
import type { ReplicaHost } from "../../src/shard/replica-host.js";
import type { Replica } from "../../src/shard/replica.js";
import { testEnv } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

const TIMEOUT_MS = 100;
const SELF = 1;

interface Bench {
  readonly env: TestEnv;
  readonly transfers: LeaderTransfers;
  /** Whom the leadership was offered to. */
  readonly asked: readonly number[];
  readonly stepDown: () => void;
}

/** Replica n is on node n and has that much of the log; the one on node 1 leads. */
function bench(matches: readonly number[], ...refilling: readonly number[]): Bench {
  const env = testEnv();
  const asked: number[] = [];
  const raft = {
    role: "leader",
    configuration: { voters: matches.map((_match, i) => i + 1) },
    progress: (id: number) => ({ matchIndex: matches[id - 1] }),
    transferLeader: (id: number): TransferRefusal | undefined => {
      asked.push(id);
      return refilling.includes(id) ? "refilling" : undefined;
    },
  };
  const nodeOf = (id: number): number => id;
  const replica = { shardId: 7, replicaId: SELF, nodeOf, raft } as unknown as Replica;
  const transfers = new LeaderTransfers(env, {
    nodeId: SELF,
    replicas: [replica],
    nowMs: () => env.fake.monotonicMs(),
    schedule: () => undefined,
  } as unknown as ReplicaHost);
  const stepDown = (): void => {
    raft.role = "follower";
    transfers.roleChanged(replica);
  };
  return { env, transfers, asked, stepDown };
}

test("the voter that has most of the log is asked, of those that may lead", async () => {
  const { transfers, asked, stepDown } = bench([9, 9, 7, 8]);
  const done = transfers.handOverAll(TIMEOUT_MS, (nodeId) => nodeId !== 2);
  expect(asked).toEqual([4]);
  stepDown();
  await done;
});

test("another is asked where the first is being refilled, which has as much of the log", async () => {
  const { env, transfers, asked } = bench([9, 9, 9], 2);
  const done = transfers.handOverAll(TIMEOUT_MS, () => true);
  expect(asked).toEqual([2, 3]);
  env.fake.advance(TIMEOUT_MS);
  await done;
});

test("nothing is waited for where nobody takes over", async () => {
  const { transfers, asked } = bench([9, 9, 9], 2, 3);
  await transfers.handOverAll(TIMEOUT_MS, () => true);
  expect(asked).toEqual([2, 3]);
});
