/**
 * The arithmetic of majorities against a slow twin that says what a majority is: more than half of
 * the voters, and of both halves while joint.
 */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { LeaderState } from "../../src/raft/leader-state.js";
import { countBallot, majorityValue, matchIndexOf } from "../../src/raft/quorum.js";
import { Progress } from "../../src/raft/progress.js";
import type { Configuration, RaftConfig, ReplicaId } from "../../src/raft/types.js";
import { RAFT_DEFAULTS } from "./cluster.js";

const config: RaftConfig = { ...RAFT_DEFAULTS, selfId: 1, random: () => 0 };
const ids = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 9 });
const voterIds = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 });
/** What each replica from 1 to 9 holds. */
const held = fc.array(fc.nat(20), { minLength: 10, maxLength: 10 });
const answers = fc.dictionary(fc.integer({ min: 1, max: 9 }).map(String), fc.boolean());

function isMajority(count: number, of: number): boolean {
  return count > of / 2;
}

/** The highest index at which more than half of `voters` are, found by trying all. */
function slowMajorityIndex(voters: readonly ReplicaId[], values: readonly number[]): number {
  let found = 0;
  for (let index = 0; index <= 20; index++) {
    const count = voters.filter((id) => values[id]! >= index).length;
    if (isMajority(count, voters.length)) found = index;
  }
  return found;
}

describe("a majority", () => {
  test.prop([voterIds, held])("has reached what more than half have reached", (voters, values) => {
    const members = voters.map((id) => progressAt(id, values[id]!));
    expect(majorityValue(members, matchIndexOf)).toBe(slowMajorityIndex(voters, values));
  });

  test.prop([voterIds, ids, held])(
    "of a joint configuration is one of both halves, and learners do not count",
    (voters, outgoing, values) => {
      const leader = new LeaderState(config, 1, 0);
      const learners = [10, 11];
      const configuration: Configuration = { voters, outgoing, learners, learnersNext: [] };
      leader.follow(configuration, 1, 0);
      for (const id of [...voters, ...outgoing]) leader.progress(id)!.acknowledged(values[id]!);
      for (const id of learners) leader.progress(id)!.acknowledged(20);
      const halves = outgoing.length === 0 ? [voters] : [voters, outgoing];
      const expected = Math.min(...halves.map((half) => slowMajorityIndex(half, values)));
      expect(leader.quorumIndex()).toBe(expected);
    },
  );
});

describe("a ballot", () => {
  test.prop([voterIds, answers])("is decided once no answer can change it", (voters, given) => {
    const ballot = new Map(Object.entries(given).map(([id, granted]) => [Number(id), granted]));
    const open = voters.filter((id) => !ballot.has(id)).length;
    const granted = voters.filter((id) => ballot.get(id) === true).length;
    const expected = isMajority(granted, voters.length)
      ? "won"
      : isMajority(granted + open, voters.length)
        ? "open"
        : "lost";
    expect(countBallot(voters, ballot)).toBe(expected);
  });
});

function progressAt(id: ReplicaId, matchIndex: number): Progress {
  const progress = new Progress(id, 1, 0, config);
  progress.acknowledged(matchIndex);
  return progress;
}
