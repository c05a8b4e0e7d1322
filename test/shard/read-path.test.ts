/**
 * The read path against a core and a state machine that do as they are told: when a quorum round is
 * begun, what is served at which state, and what a read is told that cannot be served.
 */
import { describe, expect, test } from "vitest";
import { notApplied } from "../../src/protocol/errors.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import { ReadPath } from "../../src/shard/read-path.js";
import type { ReadHost } from "../../src/shard/read-path.js";
import type { ConfirmedAnswer, ReadRequest } from "../../src/shard/requests.js";
import { AGE_UNKNOWN_MS } from "../../src/shard/responder.js";
import { FakeAsker, FakeMachine, FakeRaft, notLeading, readOf } from "./fake-replica.js";

const ROUNDS_MAX = 2;
const ROUND_TIMEOUT_MS = 1500;
const PROBE_INTERVAL_MS = 100;
const LEASE_IN_USE_MS = 10_000;
const UNAVAILABLE = "notApplied unavailable";
const NOT_LEADER = "notApplied notLeader";

/** The read path of a leader, and all around it. */
class Bench implements ReadHost {
  readonly core: FakeRaft = new FakeRaft();
  readonly state: FakeMachine = new FakeMachine();
  readonly asker: FakeAsker = new FakeAsker();
  readonly reads: ReadPath = new ReadPath(this);
  readonly raft = this.core.core;
  readonly machine = this.state.machine;
  readonly notLeading = notLeading;
  readonly clockMs = (): number => this.nowMs;
  readonly checkClock = (): void => {
    this.clockChecks++;
    if (this.slept) this.reads.doubtAges();
    this.slept = false;
  };
  nowMs = 1000;
  clockChecks = 0;
  slept = false;
  wakes = 0;
  closesWanted = 0;

  serve(request: ReadRequest, level: ReadLevel, revision: number, ageMs: number): void {
    const age = level === "stale" ? ` ${ageMs} ms old` : "";
    this.asker.answered(request.requestId, `${level} ${revision}${age}`);
  }

  serveConfirmed(answer: ConfirmedAnswer): void {
    this.asker.answered(answer.requestId, `confirmed ${answer.revision}`);
  }

  wantClose(): void {
    this.closesWanted++;
  }

  wake(): void {
    this.wakes++;
  }

  request(requestId: number, fields: Partial<ReadRequest> = {}): ReadRequest {
    return readOf(this.asker, requestId, { transaction: undefined, ...fields });
  }

  submit(requestId: number, fields: Partial<ReadRequest> = {}): void {
    this.reads.submit(this.request(requestId, fields));
  }

  /** A read at revision 50 that came when `barrier` requests for revisions had begun. */
  submitAtFloor(requestId: number, barrier: number, fields: Partial<ReadRequest> = {}): void {
    this.reads.submitAtFloor(this.request(requestId, { floorRevision: 50, ...fields }), barrier);
  }

  /** An answer without effects, evaluated in this turn. */
  confirm(requestId: number): void {
    const response = new Uint8Array(1);
    this.reads.confirm({ responder: this.asker, requestId, revision: 7, response, minIndex: 0 });
  }

  endTurn(): void {
    this.reads.flush(true);
  }

  apply(index: number): void {
    this.core.appliedIndex = index;
    this.reads.applied();
  }

  told(...requestIds: readonly number[]): (string | undefined)[] {
    return requestIds.map((id) => this.asker.of(id));
  }
}

describe("quorum rounds", () => {
  test("reads of one turn share a round; none is begun for nobody", () => {
    const bench = new Bench();
    bench.endTurn();
    expect(bench.core.rounds).toEqual([]);
    bench.submit(1);
    bench.submit(2, { level: "follower" });
    bench.endTurn();
    expect(bench.core.rounds).toEqual([1]);
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2)).toEqual(["linearizable 1", "follower 1"]);
  });

  test("two at most are under way: what comes meanwhile shares the next", () => {
    const bench = new Bench();
    for (let id = 1; id <= 5; id++) {
      bench.submit(id);
      bench.endTurn();
    }
    expect(bench.core.rounds).toHaveLength(ROUNDS_MAX);
    const wakes = bench.wakes;
    bench.reads.confirmed(1, 0);
    expect(bench.wakes).toBe(wakes + 1);
    bench.endTurn();
    bench.reads.confirmed(3, 0);
    expect(bench.told(1, 2, 3, 4, 5)).toEqual([
      "linearizable 1",
      undefined,
      "linearizable 1",
      "linearizable 1",
      "linearizable 1",
    ]);
  });

  test("a read waits until what was committed is applied", () => {
    const bench = new Bench();
    bench.submit(1);
    bench.endTurn();
    bench.reads.confirmed(1, 20);
    bench.apply(19);
    expect(bench.told(1)).toEqual([undefined]);
    bench.apply(20);
    expect(bench.told(1)).toEqual(["linearizable 1"]);
  });

  test("one that is given up fails its reads, and says who leads", () => {
    const bench = new Bench();
    bench.submit(1);
    bench.confirm(2);
    bench.endTurn();
    bench.core.role = "follower";
    bench.reads.failed(1);
    expect(bench.told(1, 2)).toEqual([NOT_LEADER, NOT_LEADER]);
  });

  test("one without an answer fails in time, and makes room for the next", () => {
    const bench = new Bench();
    for (let id = 1; id <= 3; id++) {
      bench.submit(id);
      bench.endTurn();
    }
    bench.reads.expire(bench.nowMs + ROUND_TIMEOUT_MS);
    expect(bench.told(1, 2, 3)).toEqual([undefined, undefined, undefined]);
    bench.reads.expire(bench.nowMs + ROUND_TIMEOUT_MS + 1);
    expect(bench.told(1, 2, 3)).toEqual([UNAVAILABLE, UNAVAILABLE, undefined]);
    bench.endTurn();
    expect(bench.core.rounds).toEqual([1, 2, 3]);
    bench.reads.confirmed(1, 0);
    bench.reads.confirmed(3, 0);
    expect(bench.told(3)).toEqual(["linearizable 1"]);
  });

  test("a follower sends linearizable reads away and serves its own", () => {
    const bench = new Bench();
    bench.core.role = "follower";
    bench.submit(1);
    bench.submit(2, { level: "lease" });
    bench.submit(3, { level: "follower" });
    bench.endTurn();
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2, 3)).toEqual([NOT_LEADER, NOT_LEADER, "follower 1"]);
  });

  test("reads that have no round yet: a follower's wait on when leadership ends", () => {
    const bench = new Bench();
    bench.submit(1);
    bench.submit(2, { level: "follower" });
    bench.submitAtFloor(3, 1);
    bench.reads.leadershipEnded();
    expect(bench.told(1, 2, 3)).toEqual([NOT_LEADER, undefined, NOT_LEADER]);
  });

  test("all that waits is told when the replica closes", () => {
    const bench = new Bench();
    bench.submit(1);
    bench.endTurn();
    bench.submit(2);
    bench.endTurn();
    bench.reads.confirmed(2, 5);
    bench.submit(3, { level: "follower" });
    bench.confirm(4);
    bench.submitAtFloor(5, 1);
    bench.reads.abandon();
    expect(bench.told(1, 2, 3, 4, 5)).toEqual(Array(5).fill(NOT_LEADER));
  });
});

describe("answers without effects", () => {
  test("wait for a round and for everything that was in the log before it", () => {
    const bench = new Bench();
    bench.confirm(1);
    bench.core.lastIndex = 30;
    bench.endTurn();
    bench.reads.confirmed(1, 10);
    bench.apply(29);
    expect(bench.told(1)).toEqual([undefined]);
    bench.apply(30);
    expect(bench.told(1)).toEqual(["confirmed 7"]);
  });

  // An answer must not show a write which is then lost.
  test("fail from a mark on, where what they saw was refused", () => {
    const bench = new Bench();
    bench.confirm(1);
    const mark = bench.reads.answersMark;
    bench.confirm(2);
    bench.reads.failAnswersFrom(mark, notApplied("overloaded", "refused"));
    bench.endTurn();
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2)).toEqual(["confirmed 7", "notApplied overloaded"]);
  });

  test("fail when leadership ends, even where their round was confirmed", () => {
    const bench = new Bench();
    bench.confirm(1);
    bench.submit(2);
    bench.core.lastIndex = 30;
    bench.endTurn();
    bench.reads.confirmed(1, 10);
    bench.confirm(3);
    bench.reads.leadershipEnded();
    bench.apply(30);
    expect(bench.told(1, 2, 3)).toEqual([NOT_LEADER, "linearizable 1", NOT_LEADER]);
  });
});

describe("reads under the lease", () => {
  test("are answered at the end of their turn while it holds and everything committed is applied", () => {
    const bench = new Bench();
    bench.core.leaseHolds = true;
    bench.submit(1, { level: "lease" });
    expect(bench.told(1)).toEqual([undefined]);
    bench.endTurn();
    expect(bench.told(1)).toEqual(["lease 1"]);
    expect(bench.core.rounds).toEqual([]);
    expect(bench.core.leaseUsed).toBe(true);
  });

  test.each([
    ["the lease does not hold", { leaseHolds: false }],
    ["something committed is not applied", { commitIndex: 1 }],
    ["the leader is new", { noopApplied: false }],
  ])("need a round where %s", (_why, state) => {
    const bench = new Bench();
    Object.assign(bench.core, { leaseHolds: true }, state);
    bench.submit(1, { level: "lease" });
    bench.endTurn();
    expect(bench.told(1)).toEqual([undefined]);
    bench.reads.confirmed(1, 0);
    expect(bench.told(1)).toEqual(["linearizable 1"]);
  });

  test("cost no promises once nobody has used them for a while", () => {
    const bench = new Bench();
    bench.submit(1, { level: "lease" });
    bench.endTurn();
    bench.reads.expire(bench.nowMs + LEASE_IN_USE_MS);
    expect(bench.core.leaseUsed).toBe(true);
    bench.reads.expire(bench.nowMs + LEASE_IN_USE_MS + 1);
    expect(bench.core.leaseUsed).toBe(false);
  });
});

describe("stale reads", () => {
  /** A bench whose state was proved fresh by a round begun at its present time. */
  function proved(): Bench {
    const bench = new Bench();
    bench.submit(1, { level: "stale" });
    bench.endTurn();
    bench.nowMs += 30;
    bench.reads.confirmed(1, 0);
    return bench;
  }

  test("show the closed revision; before any proof its age is not known", () => {
    const bench = new Bench();
    bench.state.revision = 9;
    bench.state.closedRevision = 5;
    bench.submit(1, { level: "stale" });
    bench.endTurn();
    expect(bench.told(1)).toEqual([`stale 5 ${AGE_UNKNOWN_MS} ms old`]);
  });

  // What waited in a paused socket must not look fresh.
  test("their age counts from when the proof was asked for", () => {
    const bench = proved();
    bench.nowMs += 20;
    bench.submit(2, { level: "stale" });
    bench.endTurn();
    expect(bench.told(2)).toEqual(["stale 1 50 ms old"]);
  });

  test("a proof counts only once its index is applied", () => {
    const bench = new Bench();
    bench.submit(1, { level: "stale" });
    bench.endTurn();
    bench.reads.confirmed(1, 10);
    bench.submit(2, { level: "stale" });
    bench.endTurn();
    bench.apply(10);
    bench.submit(3, { level: "stale" });
    bench.endTurn();
    expect(bench.told(2, 3)).toEqual([`stale 1 ${AGE_UNKNOWN_MS} ms old`, "stale 1 0 ms old"]);
  });

  test("one that wants a younger state than this waits for a round", () => {
    const bench = proved();
    bench.submit(2, { level: "stale", maxStalenessMs: 30 });
    bench.submit(3, { level: "stale", maxStalenessMs: 29 });
    bench.endTurn();
    expect(bench.told(2, 3)).toEqual(["stale 1 30 ms old", undefined]);
    bench.nowMs += 3;
    bench.reads.confirmed(2, 0);
    expect(bench.told(3)).toEqual(["stale 1 3 ms old"]);
  });

  test("one that wants a revision asks for it to be closed, and waits for it", () => {
    const bench = new Bench();
    for (const id of [1, 2]) bench.submit(id, { level: "stale", minRevision: 4 + id });
    bench.submit(3, { level: "stale", floorRevision: 7 });
    bench.endTurn();
    expect(bench.closesWanted).toBe(3);
    bench.state.closedRevision = 5;
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2, 3)).toEqual(["stale 5 0 ms old", undefined, undefined]);
    bench.nowMs += 20;
    bench.state.closedRevision = 6;
    bench.apply(1);
    expect(bench.told(2, 3)).toEqual(["stale 6 20 ms old", undefined]);
    expect(bench.reads.inUse(bench.nowMs + 60_000)).toBe(true);
    bench.nowMs += ROUND_TIMEOUT_MS;
    bench.reads.expire(bench.nowMs);
    expect(bench.told(3)).toEqual(["notApplied futureRevision"]);
    expect(bench.reads.inUse(bench.nowMs + 60_000)).toBe(false);
  });

  test("after a sleep of the machine the age of what was proved before is not known", () => {
    const bench = proved();
    bench.slept = true;
    bench.submit(2, { level: "stale" });
    bench.submit(3, { level: "stale", maxStalenessMs: 1000 });
    bench.endTurn();
    expect(bench.told(2, 3)).toEqual([`stale 1 ${AGE_UNKNOWN_MS} ms old`, undefined]);
    expect(bench.clockChecks).toBe(2);
    bench.nowMs += 3;
    bench.reads.confirmed(2, 0);
    bench.submit(4, { level: "stale", maxStalenessMs: 1000 });
    bench.endTurn();
    expect(bench.told(4)).toEqual(["stale 1 3 ms old"]);
  });

  test("one that wants a young state asks again if the machine slept during its round", () => {
    const bench = new Bench();
    bench.submit(1, { level: "stale", maxStalenessMs: 500 });
    bench.endTurn();
    bench.slept = true;
    bench.reads.confirmed(1, 0);
    expect(bench.told(1)).toEqual([undefined]);
    bench.slept = false;
    bench.endTurn();
    bench.nowMs += 3;
    bench.reads.confirmed(2, 0);
    expect(bench.told(1)).toEqual(["stale 1 3 ms old"]);
  });

  test("freshness is proved again and again while they are in use, and then no more", () => {
    const bench = proved();
    bench.reads.expire(bench.nowMs);
    bench.endTurn();
    expect(bench.core.rounds).toHaveLength(1);
    bench.nowMs += PROBE_INTERVAL_MS;
    bench.reads.expire(bench.nowMs);
    bench.endTurn();
    expect(bench.core.rounds).toHaveLength(2);
    bench.reads.confirmed(2, 0);
    bench.nowMs += 10_000;
    bench.reads.expire(bench.nowMs);
    bench.endTurn();
    expect(bench.core.rounds).toHaveLength(2);
  });
});

describe("reads at a floor revision", () => {
  test("are held until the revisions given out before them are in the log and applied", () => {
    const bench = new Bench();
    bench.submitAtFloor(1, 2);
    bench.reads.allocationsResolved(1);
    bench.endTurn();
    expect(bench.core.rounds).toEqual([]);
    bench.core.lastIndex = 30;
    bench.reads.allocationsResolved(2);
    bench.core.lastIndex = 40;
    bench.endTurn();
    bench.reads.confirmed(1, 10);
    bench.apply(29);
    expect(bench.told(1)).toEqual([undefined]);
    bench.apply(30);
    expect(bench.told(1)).toEqual(["linearizable 50"]);
  });

  test("are not held up by requests for revisions that come after them", () => {
    const bench = new Bench();
    bench.submitAtFloor(1, 1);
    bench.submitAtFloor(2, 5);
    bench.reads.allocationsResolved(1);
    bench.endTurn();
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2)).toEqual(["linearizable 50", undefined]);
  });

  test("under the lease need no round once what they must show is applied", () => {
    const bench = new Bench();
    bench.core.leaseHolds = true;
    bench.submitAtFloor(1, 1, { level: "lease" });
    bench.reads.allocationsResolved(1);
    bench.endTurn();
    bench.core.lastIndex = 30;
    bench.submitAtFloor(2, 1, { level: "lease" });
    bench.reads.allocationsResolved(1);
    bench.endTurn();
    expect(bench.told(1, 2)).toEqual(["lease 50", undefined]);
    bench.reads.confirmed(1, 0);
    bench.apply(30);
    expect(bench.told(2)).toEqual(["linearizable 50"]);
  });

  test("expire where the revisions never come", () => {
    const bench = new Bench();
    bench.submitAtFloor(1, 1);
    bench.nowMs += 1;
    bench.submitAtFloor(2, 1);
    bench.reads.expire(bench.nowMs + ROUND_TIMEOUT_MS);
    expect(bench.told(1, 2)).toEqual([UNAVAILABLE, undefined]);
    bench.reads.allocationsResolved(1);
    bench.endTurn();
    bench.reads.confirmed(1, 0);
    expect(bench.told(2)).toEqual(["linearizable 50"]);
  });

  test("are served by a follower whose closed revision has reached them", () => {
    const bench = new Bench();
    bench.core.role = "follower";
    bench.state.closedRevision = 49;
    bench.submitAtFloor(1, 0, { level: "follower" });
    bench.state.closedRevision = 50;
    bench.submitAtFloor(2, 0, { level: "follower" });
    bench.submitAtFloor(3, 0);
    bench.endTurn();
    bench.reads.confirmed(1, 0);
    expect(bench.told(1, 2, 3)).toEqual([NOT_LEADER, "follower 50", NOT_LEADER]);
  });
});
