/** Each rule tells what breaks it, and nothing else. */
import { expect, test } from "vitest";
import {
  LogMatching,
  countFault,
  deafnessFault,
  matchFault,
  nothingSeen,
  voteFault,
} from "../../../jepsen-style/sim/raft-rules.js";
import type { RaftView } from "../../../jepsen-style/sim/raft-rules.js";

/** A replica with a log of these terms, from index 1 on. */
function replica(terms: readonly number[], rest: Partial<RaftView> = {}): RaftView {
  return {
    role: "follower",
    term: terms.at(-1) ?? 0,
    vote: 0,
    quiesced: false,
    configuration: { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] },
    firstIndex: 1,
    lastIndex: terms.length,
    commitIndex: 0,
    progress: () => undefined,
    termAt: (index) => (index === 0 ? 0 : terms[index - 1]),
    ...rest,
  };
}

test("a vote may be given once in a term, and not be taken back", () => {
  const seen = nothingSeen();
  expect(voteFault(seen, replica([], { term: 1, vote: 0 }))).toBeUndefined();
  expect(voteFault(seen, replica([], { term: 1, vote: 2 }))).toBeUndefined();
  expect(voteFault(seen, replica([], { term: 2, vote: 0 }))).toBeUndefined();
  expect(voteFault(seen, replica([], { term: 2, vote: 1 }))).toBeUndefined();
  expect(voteFault(seen, replica([], { term: 2, vote: 0 }))).toMatch(/term 2 to 1, and now to 0/);
});

test("logs with an entry of one index and term have the same entry before it", () => {
  const matching = new LogMatching();
  expect(matching.fault(nothingSeen(), replica([1, 1, 3]), 0)).toBeUndefined();
  expect(matching.fault(nothingSeen(), replica([1, 2, 2]), 0)).toBeUndefined();
  expect(matching.fault(nothingSeen(), replica([1, 2, 3]), 0)).toMatch(/before 3 of term 3/);
});

test("a leader commits an older entry only along with one of its own term", () => {
  expect(countFault(replica([1, 2], { term: 3, commitIndex: 2 }))).toMatch(/of term 2/);
  expect(countFault(replica([1, 2, 3], { term: 3, commitIndex: 3 }))).toBeUndefined();
});

test("a leader that no majority is heard by has to step down in time", () => {
  const leader = replica([1], { role: "leader" });
  const fault = (heardMs: number, nowMs: number, view = leader): string | undefined => {
    const seen = { ...nothingSeen(), leadsSinceMs: 0, configuration: leader.configuration };
    const time = { nowMs, awakeSinceMs: 0, boundMs: 100 };
    return deafnessFault(seen, view, {
      ...time,
      heardMs: (id) => (id === 1 ? undefined : heardMs),
    });
  };
  expect(fault(0, 99)).toBeUndefined();
  expect(fault(50, 140)).toBeUndefined();
  expect(fault(50, 151)).toMatch(/heard no majority/);
  expect(fault(50, 151, { ...leader, role: "follower" })).toBeUndefined();
});

test("a leader counts what was acknowledged to it, and never less than before", () => {
  const fault = (...matches: readonly number[]): string | undefined => {
    const seen = nothingSeen();
    const said = { isLost: false, ackTerm: 1, ackIndex: 7, leftIndex: 4 };
    const faults = matches.map((matchIndex) => {
      const leader = replica([1], { role: "leader", progress: () => ({ matchIndex }) });
      return matchFault(seen, leader, (id) => (id === 2 ? said : undefined));
    });
    return faults.at(-1);
  };
  expect(fault(7)).toBeUndefined();
  expect(fault(8)).toMatch(/which acknowledged 7 in term 1/);
  expect(fault(7, 4)).toBeUndefined();
  expect(fault(7, 3)).toMatch(/counted 7 before/);
});
