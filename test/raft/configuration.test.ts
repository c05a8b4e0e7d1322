/**
 * Changes of members against slow twins: a change is permitted if every two majorities that could
 * decide before and after it meet, tried one by one; and which configuration counts is the last one
 * in a plain list of the log.
 */
import { fc, test } from "@fast-check/vitest";
import { describe, expect, test as plainTest } from "vitest";
import { decodeConfiguration, encodeConfiguration } from "../../src/raft/configuration-codec.js";
import { ConfigurationHistory } from "../../src/raft/configuration-history.js";
import {
  enterJoint,
  isJoint,
  isPermittedChange,
  isSound,
  isVoter,
  leaveJoint,
  membersOf,
} from "../../src/raft/configuration.js";
import type { Configuration, ReplicaId } from "../../src/raft/types.js";

const ID_MAX = 5;
const idSet = fc.uniqueArray(fc.integer({ min: 1, max: ID_MAX }), { maxLength: ID_MAX });
const voterSet = fc.uniqueArray(fc.integer({ min: 1, max: ID_MAX }), {
  minLength: 1,
  maxLength: ID_MAX,
});
const simple = fc
  .tuple(voterSet, idSet)
  .map(([voters, rest]) => simpleOf(voters, without(rest, voters)));
const wanted = fc.tuple(voterSet, idSet).map(([voters, rest]) => ({
  voters,
  learners: without(rest, voters),
}));

function simpleOf(voters: readonly ReplicaId[], learners: readonly ReplicaId[]): Configuration {
  return { voters, outgoing: [], learners, learnersNext: [] };
}

function without(ids: readonly ReplicaId[], others: readonly ReplicaId[]): ReplicaId[] {
  return ids.filter((id) => !others.includes(id));
}

function sorted(ids: readonly ReplicaId[]): ReplicaId[] {
  return [...ids].sort((a, b) => a - b);
}

/** All sets of replicas, as bits, that may decide in a configuration. */
function decidingSets({ voters, outgoing }: Configuration): number[] {
  const isMajorityOf = (set: number, half: readonly ReplicaId[]): boolean =>
    half.length === 0 || half.filter((id) => (set & (1 << id)) !== 0).length > half.length / 2;
  const sets: number[] = [];
  for (let set = 0; set < 1 << (ID_MAX + 1); set++) {
    if (isMajorityOf(set, voters) && isMajorityOf(set, outgoing)) sets.push(set);
  }
  return sets;
}

function alwaysMeet(a: Configuration, b: Configuration): boolean {
  const before = decidingSets(a);
  return decidingSets(b).every((set) => before.every((other) => (set & other) !== 0));
}

describe("a change", () => {
  test.prop([simple, wanted])("by a joint step keeps majorities meeting", (current, next) => {
    const joint = enterJoint(current, next.voters, next.learners);
    const left = leaveJoint(joint);
    expect([isJoint(joint), isJoint(left)]).toEqual([true, false]);
    expect([isPermittedChange(current, joint), isSound(joint), isSound(left)]).toEqual([
      true,
      true,
      true,
    ]);
    expect(alwaysMeet(current, joint) && alwaysMeet(joint, left)).toBe(true);
    expect([sorted(left.voters), sorted(left.learners)]).toEqual([
      sorted(next.voters),
      sorted(next.learners),
    ]);
    expect(membersOf(joint)).toEqual(sorted([...new Set([...membersOf(left), ...current.voters])]));
  });

  test.prop([simple, simple])("that is direct is permitted only if majorities meet", (a, b) => {
    if (isPermittedChange(a, b)) expect(alwaysMeet(a, b)).toBe(true);
    const differing = [...without(a.voters, b.voters), ...without(b.voters, a.voters)];
    expect(isPermittedChange(a, b)).toBe(differing.length <= 1);
  });

  test.prop([simple, wanted, simple])(
    "from a joint configuration is not for callers",
    (a, b, c) => {
      const joint = enterJoint(a, b.voters, b.learners);
      expect(isPermittedChange(joint, c)).toBe(false);
      expect(isPermittedChange(joint, enterJoint(joint, c.voters, c.learners))).toBe(false);
    },
  );

  test.prop([simple, wanted])("survives its encoding", (current, next) => {
    for (const each of [current, enterJoint(current, next.voters, next.learners)]) {
      expect(decodeConfiguration(encodeConfiguration(each))).toEqual(each);
    }
  });

  plainTest.each<readonly [string, Configuration]>([
    ["no voter", simpleOf([], [1])],
    ["a voter twice", simpleOf([1, 1], [])],
    ["a voter that is a learner", simpleOf([1, 2], [2])],
    ["an id that is none", simpleOf([0, 1], [])],
    ["an outgoing voter that is a learner", { ...simpleOf([1], [2]), outgoing: [1, 2] }],
    ["somebody to become learner who did not vote", { ...simpleOf([1], []), learnersNext: [2] }],
    [
      "a voter to become learner who stays",
      { ...simpleOf([1, 2], []), outgoing: [1, 2], learnersNext: [2] },
    ],
  ])("with %s is none", (_, configuration) => {
    expect(isSound(configuration)).toBe(false);
    expect(isPermittedChange(simpleOf([1, 2], []), configuration)).toBe(false);
  });
});

/** The configurations of a log as a plain list, by index. */
interface Twin {
  base: number;
  last: number;
  stages: { index: number; configuration: Configuration }[];
}

type Action =
  | { readonly kind: "append"; readonly gap: number; readonly configuration: Configuration }
  | { readonly kind: "truncate"; readonly by: number }
  | { readonly kind: "compact"; readonly by: number }
  | { readonly kind: "reset"; readonly by: number; readonly configuration: Configuration };

const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constant("append" as const), gap: fc.nat(3), configuration: simple }),
  fc.record({ kind: fc.constant("truncate" as const), by: fc.integer({ min: 1, max: 6 }) }),
  fc.record({ kind: fc.constant("compact" as const), by: fc.nat(5) }),
  fc.record({ kind: fc.constant("reset" as const), by: fc.nat(5), configuration: simple }),
);

describe("the history of configurations", () => {
  test.prop([simple, fc.array(action, { maxLength: 30 })])(
    "knows what a plain list knows, also after tails are cut and beginnings dropped",
    (initial, actions) => {
      const history = new ConfigurationHistory(0, initial);
      const twin: Twin = { base: 0, last: 0, stages: [{ index: 0, configuration: initial }] };
      for (const each of actions) {
        play(each, history, twin);
        expect(history.active).toEqual(known(twin, twin.last));
        expect(history.activeIndex).toBe(twin.stages.at(-1)!.index);
        for (const index of range(twin.base, twin.last)) {
          const later = range(index, twin.last).map((each) => known(twin, each));
          const votes = range(1, ID_MAX).map((id) => later.some((each) => isVoter(each, id)));
          expect(history.at(index)).toEqual(later[0]);
          expect(range(1, ID_MAX).map((id) => history.votesSince(index, id))).toEqual(votes);
        }
      }
    },
  );
});

function known(twin: Twin, index: number): Configuration {
  return twin.stages.filter((stage) => stage.index <= index).at(-1)!.configuration;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function play(each: Action, history: ConfigurationHistory, twin: Twin): void {
  if (each.kind === "append") {
    twin.last += each.gap + 1;
    history.append(twin.last, each.configuration);
    twin.stages.push({ index: twin.last, configuration: each.configuration });
  } else if (each.kind === "truncate") {
    twin.last = Math.max(twin.base, twin.last - each.by);
    const kept = twin.stages.filter((stage) => stage.index <= Math.max(twin.last, twin.base));
    expect(history.truncateAfter(twin.last)).toBe(kept.length < twin.stages.length);
    twin.stages = kept;
  } else if (each.kind === "compact") {
    twin.base = Math.min(twin.last, twin.base + each.by);
    history.compactTo(twin.base);
  } else {
    twin.base = twin.last = twin.last + each.by;
    history.reset(twin.base, each.configuration);
    twin.stages = [{ index: twin.base, configuration: each.configuration }];
  }
}

test("a snapshot that restores a state brings its members; later entries still count", () => {
  const members = (...voters: readonly number[]): Configuration => ({
    voters,
    outgoing: [],
    learners: [],
    learnersNext: [],
  });
  const history = new ConfigurationHistory(0, members(1, 2, 3));
  history.append(30, members(1, 2, 4, 5, 6));
  history.restore(20, members(1, 2, 4));
  expect([history.at(20), history.active]).toEqual([members(1, 2, 4), members(1, 2, 4, 5, 6)]);
  history.restore(40, members(2, 4, 5));
  expect([history.at(40), history.active]).toEqual([members(2, 4, 5), members(2, 4, 5)]);
});
