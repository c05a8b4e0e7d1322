/**
 * The write path against a core and a state machine that do as they are told: what every write is
 * answered when proposals are refused, terms end, snapshots are installed and files are damaged.
 */
import { describe, expect, test } from "vitest";
import { notApplied } from "../../src/protocol/errors.js";
import type { KvError } from "../../src/protocol/errors.js";
import { PutView } from "../../src/protocol/put-codec.js";
import type { PendingWrite } from "../../src/shard/requests.js";
import type { Responder } from "../../src/shard/responder.js";
import { WritePath } from "../../src/shard/write-path.js";
import type { RevisionSource, WriteHost } from "../../src/shard/write-path.js";
import { ANY_TRANSACTION, FakeAsker, FakeMachine, FakeRaft, notLeading } from "./fake-replica.js";

const FATE_WAIT_MS = 1500;
const WRITES_IN_FLIGHT_MAX = 20_000;
const UNKNOWN = "unknown unavailable";
const OVERWRITTEN = "notApplied unavailable";
const NOT_LEADER = "notApplied notLeader";

type Allocated = (base: number | KvError) => void;

/** A sequencer whose answers come when the test gives them. */
class FakeRevisions implements RevisionSource {
  readonly counts: number[] = [];
  readonly #waiting: Allocated[] = [];

  allocate(request: { readonly count: number }, done: Allocated): void {
    this.counts.push(request.count);
    this.#waiting.push(done);
  }

  answer(base: number | KvError): void {
    this.#waiting.shift()!(base);
  }
}

/** The write path of shard 1 and all around it. */
class Bench implements WriteHost {
  readonly core: FakeRaft = new FakeRaft();
  readonly state: FakeMachine = new FakeMachine();
  readonly asker: FakeAsker = new FakeAsker();
  readonly shardId = 1;
  readonly keyspaceId = 1;
  readonly revisions: RevisionSource | undefined;
  readonly writes: WritePath;
  /** Answers without effects that wait for their round, by request. */
  confirming: number[] = [];
  damages = 0;
  mergesAreBehind = false;

  constructor(revisions?: RevisionSource) {
    this.revisions = revisions;
    this.writes = new WritePath(this);
  }

  readonly raft = this.core.core;
  readonly machine = this.state.machine;
  readonly clockMs = (): number => 0;
  readonly epoch = (): { configuration: number; range: number } => ({ configuration: 1, range: 1 });
  readonly notLeading = notLeading;
  readonly wake = (): void => undefined;
  readonly isBehind = (): boolean => this.mergesAreBehind;

  confirm(_responder: Responder, requestId: number): void {
    this.confirming.push(requestId);
  }

  answersMark(): number {
    return this.confirming.length;
  }

  failAnswersFrom(mark: number, error: KvError): void {
    for (const id of this.confirming.splice(mark)) this.asker.failed(id, error);
  }

  damaged(): void {
    this.damages++;
  }

  acknowledge(write: PendingWrite): void {
    this.asker.answered(write.requestId, `ok ${write.revision}`);
  }

  put(...requestIds: readonly number[]): void {
    for (const id of requestIds) this.writes.submitPut(this.asker, id, new PutView());
  }

  transaction(requestId: number): void {
    this.writes.submitTransaction(this.asker, requestId, ANY_TRANSACTION);
  }

  /** Puts that are in the log when this returns; the first at index `at`. */
  proposeAt(at: number, ...requestIds: readonly number[]): void {
    this.core.lastIndex = at - 1;
    this.put(...requestIds);
    this.writes.flush();
  }

  loseLeadership(): void {
    this.core.role = "follower";
    this.writes.leadershipEnded(1);
  }

  leadAgain(term: number): void {
    this.core.role = "leader";
    this.core.term = term;
  }

  told(...requestIds: readonly number[]): (string | undefined)[] {
    return requestIds.map((id) => this.asker.of(id));
  }
}

describe("a proposed write", () => {
  test("is acknowledged when its own entry is applied, and not before", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1, 2, 3);
    bench.writes.applied(9, 1);
    expect(bench.told(1, 2, 3)).toEqual([undefined, undefined, undefined]);
    bench.writes.applied(11, 1);
    expect(bench.told(1, 2, 3)).toEqual(["ok 2", "ok 3", undefined]);
    bench.writes.applied(12, 1);
    expect(bench.told(3)).toEqual(["ok 4"]);
    expect(bench.writes.inFlightCount).toBe(0);
  });

  test("is not applied where another entry took its place", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1);
    bench.loseLeadership();
    bench.writes.applied(10, 2);
    expect(bench.told(1)).toEqual([OVERWRITTEN]);
  });

  test("of a later term is acknowledged although writes of an older one are pending", () => {
    const bench = new Bench();
    bench.proposeAt(200, 1);
    bench.loseLeadership();
    bench.leadAgain(3);
    bench.proposeAt(102, 2);
    bench.writes.applied(102, 3);
    expect(bench.told(1, 2)).toEqual([OVERWRITTEN, "ok 2"]);
  });

  test("that a snapshot may contain has an unknown fate", () => {
    const bench = new Bench();
    bench.proposeAt(100, 1);
    bench.proposeAt(5000, 2, 3);
    bench.loseLeadership();
    bench.writes.installed(5000);
    expect(bench.told(1, 2, 3)).toEqual([UNKNOWN, UNKNOWN, undefined]);
    bench.writes.applied(5001, 2);
    expect(bench.told(3)).toEqual([OVERWRITTEN]);
  });

  test("has an unknown fate where nothing is heard of it after the leader was lost", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1);
    bench.loseLeadership();
    bench.writes.expire(FATE_WAIT_MS);
    expect(bench.told(1)).toEqual([undefined]);
    bench.writes.expire(FATE_WAIT_MS + 1);
    expect(bench.told(1)).toEqual([UNKNOWN]);
  });

  test("waits on where its own term is led still", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1);
    bench.loseLeadership();
    bench.leadAgain(3);
    bench.proposeAt(20, 2);
    bench.writes.expire(FATE_WAIT_MS + 1);
    expect(bench.told(1, 2)).toEqual([UNKNOWN, undefined]);
    bench.writes.applied(20, 3);
    expect(bench.told(2)).toEqual(["ok 2"]);
  });

  test("has an unknown fate where the replica closes", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1);
    bench.put(2);
    bench.writes.abandon();
    expect(bench.told(1, 2)).toEqual([UNKNOWN, NOT_LEADER]);
  });
});

describe("a write that is not proposed yet", () => {
  test("is not applied when leadership ends", () => {
    const bench = new Bench();
    bench.put(1);
    bench.loseLeadership();
    bench.writes.flush();
    expect(bench.told(1)).toEqual([NOT_LEADER]);
    expect(bench.core.proposed).toEqual([]);
    expect(bench.state.drops).toBe(1);
  });

  test("is refused by who does not lead, or leads and has applied nothing yet", () => {
    const bench = new Bench();
    bench.core.noopApplied = false;
    bench.put(1);
    bench.core.role = "follower";
    bench.transaction(2);
    bench.writes.submitCompact(bench.asker, 3, 1);
    expect(bench.told(1, 2, 3)).toEqual([NOT_LEADER, NOT_LEADER, NOT_LEADER]);
    expect(bench.state.evaluated).toEqual([]);
  });

  test("is refused while too many are in flight", () => {
    const bench = new Bench();
    for (let id = 0; id < WRITES_IN_FLIGHT_MAX; id++) bench.put(id);
    bench.put(WRITES_IN_FLIGHT_MAX);
    expect(bench.told(0, WRITES_IN_FLIGHT_MAX)).toEqual([undefined, "notApplied overloaded"]);
    bench.writes.flush();
    bench.writes.applied(1, 1);
    bench.put(WRITES_IN_FLIGHT_MAX + 1);
    expect(bench.told(WRITES_IN_FLIGHT_MAX + 1)).toEqual([undefined]);
  });

  test("is refused while merges are behind, and no longer; a compaction never is", () => {
    const bench = new Bench();
    bench.mergesAreBehind = true;
    bench.put(1);
    bench.transaction(2);
    bench.writes.submitCompact(bench.asker, 3, 1);
    expect(bench.told(1, 2, 3)).toEqual([
      "notApplied overloaded",
      "notApplied overloaded",
      undefined,
    ]);
    bench.mergesAreBehind = false;
    bench.put(4);
    expect(bench.told(4)).toEqual([undefined]);
  });

  test("takes no place in the batch where it is refused itself", () => {
    const bench = new Bench();
    bench.state.next = "refused";
    bench.put(1);
    bench.proposeAt(10, 2);
    bench.writes.applied(10, 1);
    expect(bench.told(1, 2)).toEqual(["notApplied keyEmpty", "ok 2"]);
    expect(bench.core.proposed).toEqual([1]);
  });
});

describe("a refused proposal", () => {
  // A write must not build on one that never happened.
  test("takes back its own evaluations and no others", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1, 2);
    bench.core.refusal = "uncommittedLimit";
    bench.proposeAt(12, 3, 4);
    expect(bench.told(1, 2)).toEqual([undefined, undefined]);
    expect(bench.told(3, 4)).toEqual(["notApplied overloaded", "notApplied overloaded"]);
    expect(bench.state.evaluated).toEqual([2, 3]);
    bench.core.refusal = undefined;
    bench.proposeAt(12, 5);
    bench.writes.applied(12, 1);
    expect(bench.told(1, 2, 5)).toEqual(["ok 2", "ok 3", "ok 4"]);
  });

  // An answer must not show a write which is then lost.
  test("refuses the answers that saw what it held, not those from before", () => {
    const bench = new Bench();
    bench.state.next = "noEffects";
    bench.transaction(1);
    bench.put(2);
    bench.state.next = "noEffects";
    bench.transaction(3);
    bench.core.refusal = "transferring";
    bench.writes.flush();
    expect(bench.confirming).toEqual([1]);
    expect(bench.told(1, 2, 3)).toEqual([undefined, OVERWRITTEN, OVERWRITTEN]);
  });

  test("of a batch whose term is over says who leads", () => {
    const bench = new Bench();
    bench.put(1);
    bench.core.role = "follower";
    bench.writes.flush();
    expect(bench.told(1)).toEqual([NOT_LEADER]);
    expect(bench.state.evaluated).toEqual([]);
  });
});

describe("writes that failed are counted", () => {
  test("where they were taken and not carried out, however that became known", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1, 2, 3);
    bench.writes.applied(10, 1);
    expect(bench.writes.failedCount).toBe(0);
    bench.put(4);
    bench.core.refusal = "uncommittedLimit";
    bench.writes.flush();
    expect(bench.writes.failedCount).toBe(1);
    bench.put(5);
    bench.loseLeadership();
    expect(bench.writes.failedCount).toBe(2);
    bench.writes.installed(11);
    bench.writes.applied(12, 2);
    expect(bench.told(2, 3)).toEqual([UNKNOWN, OVERWRITTEN]);
    expect(bench.writes.failedCount).toBe(4);
  });

  test("and not where they were refused when they came, or by what they ask for", () => {
    const bench = new Bench();
    bench.state.next = "refused";
    bench.put(1);
    bench.state.next = "noEffects";
    bench.transaction(2);
    bench.mergesAreBehind = true;
    bench.put(3);
    bench.loseLeadership();
    bench.put(4);
    expect(bench.told(1, 3, 4)).toEqual([
      "notApplied keyEmpty",
      "notApplied overloaded",
      NOT_LEADER,
    ]);
    expect(bench.writes.failedCount).toBe(0);
  });

  test("also while they wait for revisions", () => {
    const revisions = new FakeRevisions();
    const bench = new Bench(revisions);
    bench.put(1, 2);
    bench.writes.flush();
    revisions.answer(notApplied("unavailable", "no sequencer"));
    expect(bench.writes.failedCount).toBe(2);
  });
});

describe("an evaluation that meets a damaged file", () => {
  test("refuses its batch and every write after it", () => {
    const bench = new Bench();
    bench.put(1);
    bench.state.next = "damaged";
    bench.transaction(2);
    bench.put(3);
    bench.writes.flush();
    expect(bench.told(1, 2, 3)).toEqual([OVERWRITTEN, OVERWRITTEN, OVERWRITTEN]);
    expect(bench.damages).toBe(1);
    expect(bench.core.proposed).toEqual([]);
  });

  test("lets what is in the log already find its end", () => {
    const bench = new Bench();
    bench.proposeAt(10, 1);
    bench.state.next = "damaged";
    bench.put(2);
    bench.writes.applied(10, 1);
    expect(bench.told(1)).toEqual(["ok 2"]);
  });

  test("is told from a mistake of the program", () => {
    const bench = new Bench();
    Object.assign(bench.state, {
      evaluatePut: () => {
        throw new RangeError("a mistake");
      },
    });
    expect(() => bench.put(1)).toThrow("a mistake");
    expect(bench.damages).toBe(0);
  });
});

describe("with revisions of a sequencer", () => {
  function sequenced(): { bench: Bench; revisions: FakeRevisions } {
    const revisions = new FakeRevisions();
    return { bench: new Bench(revisions), revisions };
  }

  test("one request is under way at a time, for as many as wait", () => {
    const { bench, revisions } = sequenced();
    bench.put(1, 2);
    bench.writes.flush();
    bench.put(3, 4, 5);
    bench.writes.flush();
    expect(revisions.counts).toEqual([2]);
    revisions.answer(10);
    bench.writes.flush();
    expect(revisions.counts).toEqual([2, 3]);
    revisions.answer(20);
    bench.writes.flush();
    bench.writes.applied(5, 1);
    expect(bench.told(1, 2, 3, 4, 5)).toEqual(["ok 10", "ok 11", "ok 20", "ok 21", "ok 22"]);
  });

  test("a write that takes no revision leaves it to the next", () => {
    const { bench, revisions } = sequenced();
    bench.transaction(1);
    bench.put(2);
    bench.writes.flush();
    bench.state.next = "noEffects";
    revisions.answer(10);
    bench.writes.flush();
    bench.writes.applied(1, 1);
    expect(bench.confirming).toEqual([1]);
    expect(bench.told(2)).toEqual(["ok 10"]);
  });

  test("a request counts as resolved when its writes are evaluated, or failed", () => {
    const { bench, revisions } = sequenced();
    const counts = (): number[] => [
      bench.writes.allocationsBegun,
      bench.writes.allocationsResolved,
    ];
    bench.put(1);
    expect(counts()).toEqual([0, 0]);
    bench.writes.flush();
    expect(counts()).toEqual([1, 0]);
    revisions.answer(notApplied("unavailable", "no sequencer"));
    expect(counts()).toEqual([1, 1]);
    expect(bench.told(1)).toEqual(["notApplied unavailable"]);
  });

  test("revisions that come after the term ended are used by nobody", () => {
    const { bench, revisions } = sequenced();
    bench.put(1);
    bench.writes.flush();
    bench.loseLeadership();
    expect(bench.told(1)).toEqual([NOT_LEADER]);
    bench.leadAgain(3);
    bench.put(2);
    revisions.answer(10);
    bench.writes.flush();
    expect(bench.told(2)).toEqual([NOT_LEADER]);
    expect(bench.core.proposed).toEqual([]);
  });

  test("a close goes through the log without any write", () => {
    const { bench, revisions } = sequenced();
    bench.writes.wantClose();
    bench.writes.flush();
    expect(revisions.counts).toEqual([0]);
    revisions.answer(40);
    bench.writes.flush();
    expect(bench.core.proposed).toEqual([1]);
    bench.state.closedRevision = 40;
    bench.writes.wantClose();
    bench.writes.flush();
    revisions.answer(40);
    bench.writes.flush();
    expect(bench.core.proposed).toEqual([1]);
  });

  test("a keyspace that counts for itself has nothing to close", () => {
    const bench = new Bench();
    bench.writes.wantClose();
    bench.writes.flush();
    expect(bench.core.proposed).toEqual([]);
  });

  test("nothing is proposed behind an evaluation that met a damaged file", () => {
    const { bench, revisions } = sequenced();
    bench.put(1);
    bench.transaction(2);
    bench.put(3);
    bench.writes.wantClose();
    bench.writes.flush();
    const { evaluatePut } = bench.state;
    Object.assign(bench.state, {
      evaluatePut: (...args: Parameters<typeof evaluatePut>) => {
        const evaluation = evaluatePut(...args);
        if (bench.state.evaluated.length === 1) bench.state.next = "damaged";
        return evaluation;
      },
    });
    revisions.answer(10);
    bench.writes.flush();
    expect(bench.core.proposed).toEqual([]);
    expect(bench.told(1, 2, 3)).toEqual([OVERWRITTEN, OVERWRITTEN, OVERWRITTEN]);
  });
});
