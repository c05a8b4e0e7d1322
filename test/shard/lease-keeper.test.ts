/** Which leases the keeper has ended, when, and what it does when that is refused. */
import { describe, expect, test } from "vitest";
import { notApplied } from "../../src/protocol/errors.js";
import { LeaseTable } from "../../src/mvcc/lease-table.js";
import { LeaseKeeper } from "../../src/shard/lease-keeper.js";
import type { LeaseHost } from "../../src/shard/lease-keeper.js";
import type { LeaseWrite } from "../../src/shard/requests.js";
import type { Responder } from "../../src/shard/responder.js";
import { TestTree } from "../mvcc/test-tree.js";

const SECOND = 1000;

/** A replica with leases, whose clock is the time of its ticks. */
class Bench implements LeaseHost {
  readonly revisions = undefined;
  leads = true;
  nowMs = 0;
  refuses = false;
  stamps = 0;
  readonly table: LeaseTable = new LeaseTable(new TestTree().tree);
  readonly ended: bigint[] = [];
  readonly #asked: { readonly by: Responder; readonly at: number; readonly id: bigint }[] = [];
  readonly machine: LeaseHost["machine"] = {
    leases: this.table,
    leasesInUse: this.table,
    logicalClock: 0,
  };
  readonly writes: LeaseHost["writes"] = {
    logicalClock: () => this.nowMs,
    stampClock: () => this.stamps++,
    submitLease: (by, at, request) => this.#submit(by, at, request),
  };
  readonly keeper: LeaseKeeper = new LeaseKeeper(this);

  /** Ticks of 100 ms up to a time. */
  run(untilMs: number): void {
    for (; this.nowMs <= untilMs; this.nowMs += 100) this.keeper.tick(this.nowMs);
  }

  answerAll(isDone: boolean): void {
    for (const { by, at, id } of this.#asked.splice(0)) {
      if (isDone) {
        this.table.ended(id);
        by.beginAnswer(at, {
          revision: 1,
          shardId: 1,
          raftTerm: 1,
          level: "linearizable",
          ageMs: 0,
        });
        by.endAnswer();
      } else {
        by.failed(at, notApplied("unavailable", "no"));
      }
    }
  }

  readonly #submit = (by: Responder, at: number, request: LeaseWrite): void => {
    if (this.refuses) return by.failed(at, notApplied("notLeader", "not now"));
    this.ended.push(request.id);
    this.#asked.push({ by, at, id: request.id });
  };
}

describe("the keeper of leases", () => {
  test("has each ended once when it is over, and those that were renewed later", () => {
    const bench = new Bench();
    bench.table.granted(1n, 5, 5 * SECOND);
    bench.table.granted(2n, 3, 3 * SECOND);
    bench.run(2900);
    bench.table.renewed(2n, 7 * SECOND);
    bench.run(4900);
    expect(bench.ended).toEqual([]);
    bench.run(6900);
    expect(bench.ended).toEqual([1n]);
    bench.run(9000);
    expect(bench.ended).toEqual([1n, 2n]);
    expect(bench.keeper.inUse).toBe(true);
    bench.answerAll(true);
    bench.run(9500);
    expect(bench.keeper.inUse).toBe(false);
  });

  test("asks again for one whose end was refused, at once or later", () => {
    const bench = new Bench();
    bench.table.granted(1n, 2, 2 * SECOND);
    bench.run(3000);
    bench.answerAll(false);
    bench.run(3100);
    expect(bench.ended).toEqual([1n, 1n]);
    bench.answerAll(false);
    bench.refuses = true;
    bench.run(3500);
    bench.refuses = false;
    bench.run(3600);
    expect(bench.ended).toEqual([1n, 1n, 1n]);
  });

  test("ends nothing on a replica that does not lead, nor just after one stood still", () => {
    const bench = new Bench();
    bench.table.granted(1n, 2, 2 * SECOND);
    bench.leads = false;
    bench.run(5000);
    expect(bench.ended).toEqual([]);
    bench.leads = true;
    bench.nowMs = 20_000;
    bench.run(20_900);
    expect(bench.ended).toEqual([]);
    bench.run(21_000);
    expect(bench.ended).toEqual([1n]);
  });

  test("has the clock written while there are leases, and only then", () => {
    const bench = new Bench();
    bench.run(20_000);
    expect(bench.stamps).toBe(0);
    bench.table.granted(1n, 3600, 3600 * SECOND);
    bench.run(30_100);
    expect(bench.stamps).toBe(3);
  });

  test("finds the one that is over behind many that were ended before their time", () => {
    const bench = new Bench();
    for (let id = 1n; id <= 20_000n; id++) {
      bench.table.granted(id, 9000, 9000 * SECOND);
      bench.table.ended(id);
      if (id % 100n === 0n) bench.run(bench.nowMs);
    }
    bench.table.granted(1n, 2, bench.nowMs);
    bench.run(bench.nowMs + SECOND);
    expect(bench.ended).toEqual([1n]);
  });
});
