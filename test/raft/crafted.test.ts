/**
 * Single messages at a single replica, made by hand: what a follower verifies, commits, truncates
 * and promises, and what the table of roles forbids.
 */
import { describe, expect, test } from "vitest";
import { AssertionError, must } from "../../src/base/assert.js";
import { type EntryRun, singleRun } from "../../src/base/entry-run.js";
import { utf8 } from "../../src/base/bytes.js";
import type { Message } from "../../src/raft/message.js";
import { Raft } from "../../src/raft/raft.js";
import type { Ready } from "../../src/raft/ready.js";
import type { Configuration, SnapshotMark } from "../../src/raft/types.js";
import { RAFT_DEFAULTS } from "./cluster.js";
import { encodeCommands } from "./entries.js";

const THREE: Configuration = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [] };

interface Start {
  readonly terms?: readonly number[];
  readonly commit?: number;
  readonly holdUntilMs?: number;
  readonly configuration?: Configuration;
  readonly leaseMs?: number;
  readonly quiesceAfterMs?: number;
}

function follower(start: Start = {}): Raft {
  const { terms = [], commit = 0, holdUntilMs = 0, configuration = THREE, leaseMs = 150 } = start;
  return new Raft(
    {
      selfId: 1,
      electionTimeoutMs: { min: 400, max: 800 },
      heartbeatMs: 50,
      leaseMs,
      clockDriftRatio: 0.01,
      unnoticedSleepMs: 0,
      preVote: true,
      checkQuorum: true,
      inflightMessagesMax: 4,
      inflightBytesMax: 1000,
      appendBytesMax: 100,
      uncommittedBytesMax: 1000,
      applyBytesMax: 1000,
      commitNoticeMs: 0,
      electionPriority: 0,
      quiesceAfterMs: start.quiesceAfterMs ?? 0,
      random: () => 0.5,
      voteHoldUntilMs: holdUntilMs,
    },
    {
      hardState: { term: terms.at(-1) ?? 0, vote: 0, commitIndex: commit },
      snapshot: { index: 0, term: 0, configuration },
      runs: runsOf(1, terms),
      appliedIndex: 0,
    },
    0,
  );
}

/** What a Ready wants sent to the replica itself, once its disk is done. */
function ownReports(ready: Ready): Message[] {
  return ready.sendAfterPersist.filter((message) => message.to === 1);
}

/** Lets the disk finish until nothing is left to do. */
function finishDisk(raft: Raft, nowMs: number): void {
  while (raft.hasReady()) {
    const ready = raft.ready();
    for (const message of ownReports(ready)) raft.step(message, nowMs);
    for (const run of ready.apply) raft.applied(run.firstIndex + run.count - 1);
  }
}

function runsOf(firstIndex: number, terms: readonly number[]): EntryRun[] {
  return terms.map((term, i) => singleRun("command", term, firstIndex + i, utf8(`e${term}`)));
}

function append(prev: readonly [number, number], terms: readonly number[], commit = 0): Message {
  const [prevIndex, prevTerm] = prev;
  const runs = runsOf(prevIndex + 1, terms);
  return {
    kind: "append",
    from: 2,
    to: 1,
    term: 5,
    prevIndex,
    prevTerm,
    commitIndex: commit,
    runs,
  };
}

function heartbeat(round: number, promiseMs: number, release = false): Message {
  return {
    kind: "heartbeat",
    from: 2,
    to: 1,
    term: 5,
    round,
    commitIndex: 0,
    promiseMs,
    release,
  };
}

function vote(from: number, term: number, transfer: boolean): Message {
  return { kind: "vote", from, to: 1, term, lastIndex: 99, lastTerm: 5, transfer };
}

/** The answer of a kind among everything that a Ready wants sent to somebody else. */
function answer<K extends Message["kind"]>(
  ready: Ready,
  kind: K,
): Extract<Message, { kind: K }> | undefined {
  const all = [...ready.send, ...ready.sendAfterPersist];
  return all.find(
    (message): message is Extract<Message, { kind: K }> =>
      message.kind === kind && message.to !== 1,
  );
}

describe("a follower's log", () => {
  test("an acknowledgement and a commit end where the message ends", () => {
    const raft = follower({ terms: [1, 1, 1, 1] });
    raft.step(append([1, 1], [1], 4), 1);
    const ready = raft.ready();
    expect(answer(ready, "appendResponse")).toMatchObject({ index: 2, rejected: false });
    expect(raft.commitIndex).toBe(2);
    expect(raft.lastIndex).toBe(4);
  });

  test("an empty append verifies its prevIndex and no more", () => {
    const raft = follower({ terms: [1, 1, 1] });
    raft.step(append([2, 1], [], 3), 1);
    expect(answer(raft.ready(), "appendResponse")).toMatchObject({ index: 2 });
    expect(raft.commitIndex).toBe(2);
  });

  test("only entries from the first other term on are truncated", () => {
    const raft = follower({ terms: [1, 1, 2, 2] });
    raft.step(append([0, 0], [1, 1, 3]), 1);
    const ready = raft.ready();
    expect(must(ready.persist).runs.map((run) => [run.firstIndex, run.term])).toEqual([[3, 3]]);
    expect(raft.lastIndex).toBe(3);
    expect(raft.durableIndex).toBe(2);
  });

  test("a committed entry is never truncated: that would be a bug, and it asserts", () => {
    const raft = follower({ terms: [1, 1], commit: 2 });
    expect(() => raft.step(append([0, 0], [1, 3]), 1)).toThrow(AssertionError);
  });

  test("a heartbeat's commit beyond the log is not believed", () => {
    const raft = follower({ terms: [1] });
    raft.step({ ...heartbeat(1, 0), commitIndex: 9 } as Message, 1);
    expect(raft.commitIndex).toBe(0);
  });

  test("a rejection hints at the highest index that may fit", () => {
    const raft = follower({ terms: [1, 1, 3, 3, 4] });
    raft.step(append([5, 2], [5]), 1);
    const response = answer(raft.ready(), "appendResponse");
    expect(response).toMatchObject({ rejected: true, index: 5, hintIndex: 2, logTerm: 1 });
  });

  test("entries are not applied before this replica's own disk has them", () => {
    const raft = follower();
    raft.step(append([0, 0], [5, 5], 2), 1);
    const ready = raft.ready();
    expect(raft.commitIndex).toBe(2);
    expect(ready.apply).toEqual([]);
    const own = ready.sendAfterPersist.filter((message) => message.to === 1);
    for (const message of own) raft.step(message, 2);
    expect(raft.ready().apply.map((run) => run.firstIndex)).toEqual([1, 2]);
  });

  test("acknowledgements of one turn leave as one", () => {
    const raft = follower();
    raft.step(append([0, 0], [5]), 1);
    raft.step(append([1, 5], [5]), 1);
    const acks = raft.ready().sendAfterPersist.filter((message) => message.to === 2);
    expect(acks).toMatchObject([{ kind: "appendResponse", index: 2 }]);
  });
});

describe("a snapshot", () => {
  const mark: SnapshotMark = { index: 3, term: 2, configuration: THREE };
  const install: Message = { kind: "installSnapshot", from: 2, to: 1, term: 5, mark };

  test("that the log contains moves the commit index and throws nothing away", () => {
    const raft = follower({ terms: [1, 1, 2, 2] });
    raft.step(install, 1);
    const ready = raft.ready();
    expect(ready.persist?.snapshot).toBeUndefined();
    expect([raft.commitIndex, raft.lastIndex]).toEqual([3, 4]);
    expect(answer(ready, "appendResponse")).toMatchObject({ index: 3 });
  });

  test("that contradicts the log takes its place, once", () => {
    const raft = follower({ terms: [1, 1, 1, 1, 1] });
    raft.step(install, 1);
    const ready = raft.ready();
    expect(must(ready.persist).snapshot).toEqual(mark);
    expect([raft.firstIndex, raft.lastIndex, raft.commitIndex]).toEqual([4, 3, 3]);
    raft.step(install, 2);
    expect(raft.ready().persist?.snapshot).toBeUndefined();
  });
});

describe("promises", () => {
  test("count from their receipt, forbid votes to others, and say so", () => {
    const raft = follower({ terms: [5] });
    raft.step(heartbeat(1, 150), 1000);
    expect(answer(raft.ready(), "heartbeatResponse")).toMatchObject({ promised: true });
    raft.leaderLost(1001);
    raft.step(vote(3, 6, true), 1149);
    expect(raft.term).toBe(5);
    raft.step(vote(3, 6, true), 1150);
    expect(raft.vote).toBe(3);
  });

  test("do not forbid a vote for their holder", () => {
    const raft = follower({ terms: [5] });
    raft.step(heartbeat(1, 150), 1000);
    raft.step(vote(2, 6, false), 1010);
    expect(raft.vote).toBe(2);
  });

  test("end when the holder releases them, but not by an overtaken heartbeat", () => {
    const raft = follower({ terms: [5] });
    raft.step(heartbeat(2, 0, true), 1000);
    raft.step(heartbeat(1, 150), 1001);
    const responses = raft.ready().send.filter((each) => each.kind === "heartbeatResponse");
    expect(responses).toMatchObject([{ promised: false }, { promised: false }]);
    raft.step(heartbeat(3, 150), 1002);
    raft.step(heartbeat(4, 0, true), 1003);
    raft.step(vote(3, 6, true), 1004);
    expect(raft.vote).toBe(3);
  });

  test("of an earlier run hold every vote, one's own too", () => {
    const raft = follower({ holdUntilMs: 500 });
    raft.campaign(100);
    raft.step(vote(3, 6, true), 499);
    expect([raft.term, raft.vote, raft.role]).toEqual([0, 0, "follower"]);
    raft.tick(500);
    expect(raft.role).toBe("preCandidate");
  });

  test("of two leaders are both kept", () => {
    const raft = follower({ terms: [4] });
    raft.step({ ...heartbeat(1, 150), term: 4 } as Message, 1000);
    raft.step({ ...heartbeat(1, 20), from: 3 } as Message, 1010);
    raft.step(vote(3, 6, true), 1100);
    expect(raft.term).toBe(5);
    raft.step(vote(3, 6, true), 1150);
    expect(raft.vote).toBe(3);
  });
});

describe("what cannot be", () => {
  test("asserts: two leaders in one term", () => {
    const raft = follower();
    raft.step(append([0, 0], []), 1);
    expect(() => raft.step({ ...append([0, 0], []), from: 3 }, 2)).toThrow(AssertionError);
  });

  test("asserts: a message for somebody else", () => {
    expect(() => follower().step({ ...append([0, 0], []), to: 3 }, 2)).toThrow(AssertionError);
  });

  test("is refused: proposals where nobody leads, or of another term", () => {
    const raft = follower();
    expect(raft.propose(encodeCommands("a"), 1, 0)).toEqual({ kind: "notLeader", leaderId: 0 });
    const lone = soleVoter(0);
    expect(lone.propose(encodeCommands("a"), 1, 7)).toEqual({
      kind: "refused",
      reason: "termChanged",
    });
  });

  test("is refused: a read while nobody leads", () => {
    const raft = follower();
    raft.readIndex(42, 1);
    expect(raft.ready().readsFailed).toEqual([42]);
  });
});

/** A replica that leads alone, with its no-op applied. */
function soleVoter(leaseMs: number, learners: readonly number[] = []): Raft {
  const raft = follower({ configuration: { ...THREE, voters: [1], learners }, leaseMs });
  raft.tick(0);
  finishDisk(raft, 0);
  return raft;
}

function acknowledged(from: number, term: number, index: number, logTerm: number): Message {
  const answer = { kind: "appendResponse", from, to: 1, term, index, logTerm } as const;
  return { ...answer, rejected: false, hintIndex: 0 };
}

function granted(from: number, term: number): Message {
  return { kind: "voteResponse", from, to: 1, term, granted: true };
}

function preGranted(from: number, term: number): Message {
  return { kind: "preVoteResponse", from, to: 1, term, round: 1, granted: true };
}

describe("a report of the own disk", () => {
  test("about an entry that was replaced within the term counts for nothing", () => {
    const raft = follower();
    raft.step({ ...append([0, 0], [1, 1]), from: 3, term: 4 } as Message, 1);
    raft.ready();
    // Term 5 begins by a vote; its hard state brings a report about the old entries.
    raft.step({ ...vote(2, 5, true), lastIndex: 2 } as Message, 2);
    const late = ownReports(raft.ready());
    expect(late).toMatchObject([{ term: 5, index: 2, logTerm: 1 }]);
    raft.step(append([1, 1], [5]), 3);
    const next = ownReports(raft.ready());
    for (const message of late) raft.step(message, 4);
    expect(raft.durableIndex).toBe(0);
    for (const message of next) raft.step(message, 5);
    expect(raft.durableIndex).toBe(2);
  });

  test("of an earlier term counts for nothing, even if the same entry is back", () => {
    const raft = follower();
    raft.step({ ...append([0, 0], [1]), from: 3, term: 3 } as Message, 1);
    const first = ownReports(raft.ready());
    raft.step({ ...append([0, 0], [4]), from: 2, term: 4 } as Message, 2);
    raft.ready();
    raft.step({ ...append([0, 0], [1]), from: 3, term: 5 } as Message, 3);
    const third = ownReports(raft.ready());
    for (const message of first) raft.step(message, 4);
    expect(raft.durableIndex).toBe(0);
    for (const message of third) raft.step(message, 5);
    expect(raft.durableIndex).toBe(1);
  });
});

describe("members", () => {
  test("an election in a joint configuration needs both majorities", () => {
    const joint: Configuration = { ...THREE, voters: [1, 4, 5], outgoing: [1, 2, 3] };
    const raft = follower({ configuration: joint });
    raft.campaign(1);
    raft.ready();
    for (const from of [4, 5, 2]) raft.step(preGranted(from, 0), 2);
    finishDisk(raft, 3);
    for (const from of [4, 5]) raft.step(granted(from, 1), 4);
    expect(raft.role).toBe("candidate");
    raft.step(granted(2, 1), 5);
    expect(raft.role).toBe("leader");
  });

  test("do not change before the leader has committed in its term", () => {
    const raft = follower();
    raft.campaign(1);
    raft.ready();
    raft.step(preGranted(2, 0), 2);
    finishDisk(raft, 3);
    raft.step(granted(2, 1), 4);
    expect(raft.role).toBe("leader");
    const next: Configuration = { ...THREE, learners: [4] };
    expect(raft.proposeConfiguration(next)).toEqual({ kind: "refused", reason: "noCommitInTerm" });
  });

  test("that join end a lease that rested on the old ones", () => {
    const raft = soleVoter(150, [2]);
    raft.step(acknowledged(2, 1, 1, 1), 0);
    expect(raft.hasLease(1)).toBe(true);
    const joint: Configuration = { ...THREE, voters: [1, 2], outgoing: [1] };
    expect(raft.proposeConfiguration(joint).kind).toBe("accepted");
    expect(raft.hasLease(2)).toBe(false);
  });
});

describe("a vote", () => {
  test("of a learner, or of somebody who is no member, is not counted", () => {
    const raft = follower({ configuration: { ...THREE, learners: [4] } });
    raft.campaign(1);
    raft.ready();
    for (const from of [4, 5]) raft.step(preGranted(from, 0), 2);
    expect(raft.role).toBe("preCandidate");
    raft.step(preGranted(2, 0), 3);
    finishDisk(raft, 3);
    for (const from of [4, 5]) raft.step(granted(from, 1), 4);
    expect(raft.role).toBe("candidate");
    raft.step(granted(3, 1), 5);
    expect(raft.role).toBe("leader");
  });

  test("is counted once, whatever is said twice", () => {
    const five: Configuration = { ...THREE, voters: [1, 2, 3, 4, 5] };
    const raft = follower({ configuration: five });
    raft.campaign(1);
    raft.ready();
    for (const from of [2, 2, 2]) raft.step(preGranted(from, 0), 2);
    expect(raft.role).toBe("preCandidate");
  });
});

describe("TimeoutNow", () => {
  const timeoutNow: Message = { kind: "timeoutNow", from: 2, to: 1, term: 5, lastIndex: 3 };

  test("is ignored by a target whose log is shorter than the leader takes it for", () => {
    const raft = follower({ terms: [5, 5] });
    raft.step(timeoutNow, 1);
    expect([raft.role, raft.term]).toEqual(["follower", 5]);
    const other = follower({ terms: [5, 5, 5] });
    other.step(timeoutNow, 1);
    expect([other.role, other.term]).toEqual(["candidate", 6]);
  });

  test("is ignored by a learner", () => {
    const configuration: Configuration = { ...THREE, voters: [2, 3], learners: [1] };
    const raft = follower({ terms: [5, 5, 5], configuration });
    raft.step(timeoutNow, 1);
    expect(raft.role).toBe("follower");
  });
});

describe("a start", () => {
  test("with a gap in the log is refused loudly", () => {
    const config = {
      ...RAFT_DEFAULTS,
      selfId: 1,
      random: () => 0,
    };
    const restored = {
      hardState: { term: 1, vote: 0, commitIndex: 0 },
      snapshot: { index: 4, term: 1, configuration: THREE },
      runs: runsOf(6, [1]),
      appliedIndex: 4,
    };
    expect(() => new Raft(config, restored, 0)).toThrow(AssertionError);
    const whole = { ...restored, runs: runsOf(5, [1]) };
    expect(new Raft(config, whole, 0).lastIndex).toBe(5);
    const small = { ...config, inflightBytesMax: config.appendBytesMax - 1 };
    expect(() => new Raft(small, whole, 0)).toThrow(AssertionError);
  });
});

describe("a rest", () => {
  function quiesce(index: number, logTerm: number, round = 1): Message {
    return { kind: "quiesce", from: 2, to: 1, term: 5, round, index, logTerm };
  }

  test("is taken by whoever holds exactly the leader's log, durably", () => {
    const raft = follower({ terms: [5, 5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.step(quiesce(3, 5), 1);
    raft.step(quiesce(2, 4), 1);
    raft.step(quiesce(2, 5, 2), 1);
    expect(raft.quiesced).toBe(false);
    raft.step(append([2, 5], [5]), 2);
    raft.step(quiesce(3, 5), 2);
    expect(raft.quiesced).toBe(false);
    finishDisk(raft, 3);
    raft.step(quiesce(3, 5), 3);
    expect([raft.quiesced, raft.commitIndex]).toEqual([true, 3]);
    expect(raft.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
  });

  test("is not taken where it is switched off, nor from a leader whose node is gone", () => {
    const off = follower({ terms: [5] });
    off.step(heartbeat(1, 0), 1);
    off.step(quiesce(1, 5), 1);
    expect(off.quiesced).toBe(false);
    const raft = follower({ terms: [5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.leaderLost(2);
    raft.step(quiesce(1, 5), 3);
    expect(raft.quiesced).toBe(false);
  });

  test("is not taken while a read of this replica waits for its answer", () => {
    const raft = follower({ terms: [5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.readIndex(7, 1);
    raft.step(quiesce(1, 5), 1);
    expect(raft.quiesced).toBe(false);
    const { request } = must(answer(raft.ready(), "readIndex"));
    raft.step(quiesce(1, 5), 2);
    expect(raft.quiesced).toBe(false);
    raft.step({ kind: "readIndexResponse", from: 2, to: 1, term: 5, request, index: 1 }, 3);
    raft.step(quiesce(1, 5), 3);
    expect(raft.quiesced).toBe(true);
  });

  test("ends when a leader of another term rests, whom this replica has not heard", () => {
    const raft = follower({ terms: [5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.step(quiesce(1, 5), 1);
    expect(raft.quiesced).toBe(true);
    raft.step({ ...quiesce(1, 5), from: 3, term: 6 } as Message, 2);
    expect([raft.quiesced, raft.term]).toEqual([false, 6]);
  });

  test("ends by a read, which has all its time to be answered", () => {
    const raft = follower({ terms: [5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.step(quiesce(1, 5), 1);
    raft.readIndex(7, 99_000);
    expect(raft.quiesced).toBe(false);
    const { request } = must(answer(raft.ready(), "readIndex"));
    raft.tick(99_000);
    expect(raft.hasReady()).toBe(false);
    raft.step({ kind: "readIndexResponse", from: 2, to: 1, term: 5, request, index: 1 }, 99_001);
    expect(raft.ready().reads).toMatchObject([{ context: 7 }]);
    expect(raft.role).toBe("follower");
    expect(raft.nextDeadlineMs()).toBe(99_600);
    raft.tick(99_600);
    expect(raft.role).toBe("preCandidate");
  });

  test("is a reason to refuse votes: the leader lives, or the host would have said so", () => {
    const raft = follower({ terms: [5], quiesceAfterMs: 100 });
    raft.step(heartbeat(1, 0), 1);
    raft.step(quiesce(1, 5), 1);
    raft.step(vote(3, 6, false), 50_000);
    expect([raft.term, raft.quiesced]).toEqual([5, false]);
    raft.leaderLost(50_001);
    raft.step(vote(3, 6, false), 50_002);
    expect([raft.term, raft.vote]).toEqual([6, 3]);
  });
});

describe("a lone voter", () => {
  test("serves once its no-op is applied, and has no deadline but its own", () => {
    const raft = soleVoter(0);
    expect([raft.role, raft.noopApplied, raft.commitIndex]).toEqual(["leader", true, 1]);
    expect(raft.nextDeadlineMs()).toBe(Number.POSITIVE_INFINITY);
    expect(raft.hasLease(10)).toBe(false);
    expect(raft.hasReady()).toBe(false);
  });
});

test("a new leader has heard only those that have answered it", () => {
  const raft = follower();
  raft.campaign(0);
  const round = raft.ready().send.find((message) => message.kind === "preVote")?.round ?? 0;
  const granted = { from: 2, to: 1, granted: true } as const;
  raft.step({ kind: "preVoteResponse", ...granted, term: 0, round }, 1);
  finishDisk(raft, 2);
  raft.step({ kind: "voteResponse", ...granted, term: 1 }, 3);
  finishDisk(raft, 4);
  expect(raft.role).toBe("leader");
  expect([2, 3].map((id) => raft.progress(id)?.heard)).toEqual([false, false]);
  raft.step({ kind: "heartbeatResponse", from: 2, to: 1, term: 1, round: 1, promised: false }, 5);
  expect([2, 3].map((id) => raft.progress(id)?.heard)).toEqual([true, false]);
});
