/** How much of a shard's log is kept, and for whom. */
import { beforeEach, describe, expect, test } from "vitest";
import { singleRun } from "../../src/base/entry-run.js";
import type { ProgressStatus } from "../../src/raft/raft.js";
import { LogTail } from "../../src/shard/log-tail.js";
import type { RaftView } from "../../src/shard/log-tail.js";

const OWN = 1;
const NOW_MS = 100_000;
const MEBIBYTE: Uint8Array = new Uint8Array(1024 * 1024);

interface Follower {
  readonly state?: ProgressStatus["state"];
  readonly matchIndex: number;
  readonly silentMs?: number;
}

function leaderOf(followers: Record<number, Follower>, firstIndex = 1): RaftView {
  const voters = [OWN, ...Object.keys(followers).map(Number)];
  return {
    role: "leader",
    firstIndex,
    durableIndex: 100,
    configuration: { voters, outgoing: [], learners: [], learnersNext: [] },
    progress: (id) => {
      const { state = "replicate", matchIndex, silentMs = 0 } = followers[id]!;
      const lastHeardMs = NOW_MS - silentMs;
      const window = { inflightCount: 0, inflightBytes: 0 };
      return { state, matchIndex, nextIndex: matchIndex + 1, lastHeardMs, heard: true, ...window };
    },
  };
}

/** Entries 1 to 100 of about 1 MiB each: the tail begins behind about entry 92. */
let tail = new LogTail(OWN);
const TAIL_START = 92;

beforeEach(() => {
  tail = new LogTail(OWN);
  for (let i = 1; i <= 100; i++) tail.appended(singleRun("command", 1, i, MEBIBYTE));
});

describe("log tail", () => {
  test("keeps a tail for whoever is silent, and nothing where all have all", () => {
    const lost = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 5, silentMs: 60_000 } });
    expect(tail.trimmableTo(100, lost, NOW_MS)).toBe(TAIL_START);
    expect(tail.trimmableTo(50, lost, NOW_MS)).toBe(50);
    const fine = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 98 } });
    expect(tail.trimmableTo(100, fine, NOW_MS)).toBe(98);
    expect(tail.trimmableTo(100, { ...fine, role: "follower" }, NOW_MS)).toBe(TAIL_START);
  });

  test("keeps what a replica that follows does not have yet", () => {
    const raft = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 40 } });
    expect(tail.trimmableTo(100, raft, NOW_MS)).toBe(40);
    expect(tail.heldFrom({ ...raft, role: "follower" }, NOW_MS)).toBe(Number.POSITIVE_INFINITY);
  });

  test("keeps what is behind a snapshot while it is on its way", () => {
    const raft = leaderOf({ 2: { matchIndex: 100 }, 3: { state: "snapshot", matchIndex: 0 } });
    tail.hold(3, 60, Number.POSITIVE_INFINITY);
    expect(tail.trimmableTo(100, raft, NOW_MS)).toBe(60);
    tail.trimmed(60);
    tail.hold(3, 60, NOW_MS);
    expect(tail.trimmableTo(100, raft, NOW_MS)).toBe(TAIL_START);
  });

  test("says who keeps entries that are durable", () => {
    const raft = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 98 } });
    expect(tail.keeperOf(99, raft, NOW_MS)).toBe("follower");
    expect(tail.keeperOf(98, raft, NOW_MS)).toBe("trim");
    const lost = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 5, silentMs: 60_000 } });
    expect(tail.keeperOf(TAIL_START + 1, lost, NOW_MS)).toBe("tail");
    expect(tail.keeperOf(TAIL_START, lost, NOW_MS)).toBe("trim");
  });

  test("keeps nothing for a replica that needs a snapshot whatever is kept", () => {
    const raft = leaderOf({ 2: { matchIndex: 100 }, 3: { matchIndex: 10 } }, 51);
    expect(tail.trimmableTo(100, raft, NOW_MS)).toBe(TAIL_START);
  });
});
