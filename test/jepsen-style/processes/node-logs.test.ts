/** What counts as committed of several logs, and when they contradict each other. */
import { expect, test } from "vitest";
import { singleRun } from "../../../src/base/entry-run.js";
import type { RecoveredShard } from "../../../src/log/log-types.js";
import { LogArchive } from "../../../jepsen-style/processes/log-archive.js";
import { shardOrder } from "../../../jepsen-style/processes/node-logs.js";
import type { NodeLog } from "../../../jepsen-style/processes/node-logs.js";

const SHARD = 7;
const VOTERS = ["n1", "n2", "n3"];

/** Terms of the entries after `base`; the payload says the term and the index. */
function log(node: string, terms: readonly number[], commitIndex = 0, base = 0): NodeLog {
  const runs = terms.map((term, at) =>
    singleRun("noop", term, base + at + 1, new Uint8Array([term, base + at + 1])),
  );
  const shard: RecoveredShard = {
    replicaId: 1,
    hardState: { term: terms.at(-1) ?? 1, vote: 0, commitIndex },
    baseIndex: base,
    baseTerm: 1,
    runs,
    runsAfterLoss: [],
    health: { kind: "intact" },
  };
  return { node, shards: new Map([[SHARD, shard]]) };
}

function range(logs: readonly NodeLog[]): readonly [number, number] {
  const { first, last, fault } = shardOrder(SHARD, logs, VOTERS);
  expect(fault).toBeUndefined();
  return [first, last];
}

test("a majority of the newest term commits, one node alone does not", () => {
  expect(range([log("n1", [1, 1, 2]), log("n2", [1, 1, 2]), log("n3", [1])])).toEqual([1, 3]);
  expect(range([log("n1", [1, 1, 2]), log("n2", [1, 1]), log("n3", [1, 1])])).toEqual([1, 0]);
});

test("a hard state's word counts, and behind it logs may differ", () => {
  const logs = [log("n1", [1, 1, 2], 2), log("n2", [1, 1, 3]), log("n3", [1, 1])];
  expect(range(logs)).toEqual([1, 2]);
});

test("logs that were trimmed are put together", () => {
  const logs = [log("n1", [1, 1], 4, 2), log("n2", [1, 1, 1], 3), log("n3", [1], 0, 3)];
  expect(range(logs)).toEqual([1, 4]);
  expect(range([log("n1", [1, 1], 4, 2)])).toEqual([3, 4]);
});

test("two entries at one committed index are a fault", () => {
  const logs = [log("n1", [1, 1], 2), log("n2", [1, 2], 2)];
  expect(shardOrder(SHARD, logs, VOTERS).fault).toBe("n1 and n2 have other entries 2 of shard 7");
});

test("what a log let go of was kept, as far as it was committed then", () => {
  const archive = new LogArchive();
  archive.keep(log("n1", [1, 1, 1], 2));
  archive.keep(log("n2", [1, 1], 2));
  const rest = [log("n1", [2, 2], 4, 2)];
  const { first, last } = shardOrder(SHARD, rest, VOTERS, archive.of(SHARD));
  expect([first, last, archive.fault]).toEqual([1, 4, undefined]);
  archive.keep(log("n3", [1, 3], 2));
  expect(archive.fault).toBe("n1 and n3 committed other entries 2 of shard 7");
});
