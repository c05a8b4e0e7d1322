/** How a log and a tree are made to fit when some of either is lost. */
import { describe, expect, test } from "vitest";
import type { EntryRun } from "../../src/base/entry-run.js";
import { singleRun } from "../../src/base/entry-run.js";
import type { LogHealth, RecoveredShard } from "../../src/log/log-types.js";
import {
  closedReasonOf,
  mayHavePromised,
  reconcile,
  withoutVote,
} from "../../src/shard/open-replica.js";
import { stateAt } from "../lsm/tree-model.js";

const TERM = 3;

function run(firstIndex: number, lastIndex: number): EntryRun[] {
  const runs: EntryRun[] = [];
  for (let index = firstIndex; index <= lastIndex; index++) {
    runs.push(singleRun("command", TERM, index, new Uint8Array(1)));
  }
  return runs;
}

/** A log of entries 11 to 30, of which those from `from` to `to` are lost. */
function damaged(from: number, to: number, health: Partial<LogHealth> = {}): RecoveredShard {
  return {
    replicaId: 1,
    hardState: { term: 4, vote: 2, commitIndex: 28 },
    baseIndex: 10,
    baseTerm: TERM,
    runs: run(11, from - 1),
    runsAfterLoss: run(to + 1, 30),
    health: {
      kind: "corrupt",
      hardStateLost: false,
      tailUnknown: false,
      firstLostIndex: from,
      lastIndex: 30,
      lastTerm: TERM,
      ...health,
    } as LogHealth,
  };
}

const flushedAt = (index: number) => ({ ...stateAt(index), term: TERM });
const firstOf = (runs: readonly EntryRun[]): number | undefined => runs[0]?.firstIndex;

describe("a log that has lost entries", () => {
  test("misses nothing where the tree has them: it starts behind the tree", () => {
    const log = reconcile(flushedAt(20), damaged(12, 15));
    expect(log).toMatchObject({ reset: false, baseIndex: 20, baseTerm: TERM, trimTo: 20 });
    expect([firstOf(log.runs), log.runs.length]).toEqual([21, 10]);
    expect(log.hardState).toEqual({ term: 4, vote: 2, commitIndex: 28 });
  });

  test("ends before them where the tree does not, and remembers its length", () => {
    const log = reconcile(flushedAt(14), damaged(20, 22));
    expect(log).toMatchObject({ reset: false, baseIndex: 10, trimTo: 0 });
    expect([firstOf(log.runs), log.runs.length]).toEqual([11, 9]);
    expect(log.hardState).toEqual({ term: 4, vote: 2, commitIndex: 19 });
    expect(log.floor).toEqual({ index: 30, term: TERM });
  });

  test("starts anew behind the tree where what is lost reaches beyond it", () => {
    const log = reconcile(flushedAt(20), damaged(15, 25));
    expect(log).toMatchObject({ reset: true, baseIndex: 20, runs: [] });
    expect(log.floor).toEqual({ index: 30, term: TERM });
  });

  test("of unknown length goes further than any of its terms", () => {
    const log = reconcile(flushedAt(20), damaged(25, 30, { tailUnknown: true }));
    expect(log.floor).toEqual({ index: Number.MAX_SAFE_INTEGER, term: TERM });
  });

  test("starts where it starts though the tree ends before: the tree is what is lost", () => {
    const log = reconcile(flushedAt(5), { ...damaged(31, 30), health: { kind: "intact" } });
    expect(log).toMatchObject({ reset: false, baseIndex: 10, floor: undefined });
    expect(log.runs.length).toBe(20);
  });
});

test("a replica stays closed only where a vote or its whole log may be lost", () => {
  expect(closedReasonOf(undefined, undefined, false)).toBeUndefined();
  expect(closedReasonOf(undefined, undefined, true)).toBe("its log may have been lost");
  expect(closedReasonOf(undefined, damaged(12, 15), false)).toBe("its tree is gone");
  const lost = damaged(12, 15, { hardStateLost: true });
  expect(closedReasonOf(undefined, lost, false)).toBe("a vote of it may have been lost");
});

test("a promise may have been given by any run but the first of the node", () => {
  expect(mayHavePromised(undefined, 1)).toBe(false);
  expect(mayHavePromised(undefined, 2)).toBe(true);
  expect(mayHavePromised(damaged(12, 15), 1)).toBe(true);
});

test("a replica whose log begins behind its tree does not take itself for a voter", () => {
  const known = { voters: [1, 2, 3], outgoing: [1, 4], learners: [5], learnersNext: [] };
  expect(withoutVote(known, 1)).toEqual({
    voters: [2, 3],
    outgoing: [4],
    learners: [5, 1],
    learnersNext: [],
  });
  // Nobody else could tell a lone voter better.
  const lone = { voters: [1], outgoing: [], learners: [], learnersNext: [] };
  expect(withoutVote(lone, 1)).toBe(lone);
});
