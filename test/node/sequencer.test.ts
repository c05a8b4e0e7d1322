/**
 * No later write has a smaller revision than one that was acknowledged before it: sequencers that
 * take turns, over one placement group whose rounds the test confirms.
 */
import { expect, test } from "vitest";
import { Sequencer } from "../../src/node/sequencer.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { AnswerFacts, Responder } from "../../src/shard/responder.js";
import type { Replica } from "../../src/shard/replica.js";
import { testEnv } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

const KEYSPACE = 5;
const FACTS: AnswerFacts = {
  revision: 0,
  shardId: PLACEMENT_SHARD_ID,
  raftTerm: 0,
  level: "linearizable",
  ageMs: 0,
};

/** What all sequencers share. */
class Placement {
  term = 1;
  leader = 1;
  reservedTo = 0;
}

class Bench {
  readonly sequencer: Sequencer;
  readonly #env: TestEnv = testEnv();
  readonly #rounds: { readonly responder: Responder; readonly round: number }[] = [];

  constructor(placement: Placement, nodeId: number) {
    const replica = {
      raft: placement,
      get leads() {
        return placement.leader === nodeId;
      },
      notLeading: () => notApplied("notLeader", "another node leads"),
      confirm: (responder: Responder, round: number) => this.#rounds.push({ responder, round }),
    } as unknown as Replica;
    this.sequencer = new Sequencer(this.#env, {
      placementReplica: () => replica,
      reservedTo: () => placement.reservedTo,
      reserve: (_keyspaceId, upTo) => {
        placement.reservedTo = Math.max(placement.reservedTo, upTo);
        return Promise.resolve();
      },
    });
  }

  /** Asks for revisions; gives the first one, or why there are none. */
  async take(count: number): Promise<number | string> {
    let taken: readonly number[] | KvError | undefined;
    this.sequencer.allocate([{ keyspaceId: KEYSPACE, count }], (bases) => (taken = bases));
    while (taken === undefined) {
      this.begin();
      await this.end("confirmed");
    }
    return taken instanceof KvError ? taken.code : taken[0]!;
  }

  /** Begins a round for what was asked for. */
  begin(): void {
    this.#env.fake.endTurn();
  }

  /** Ends the rounds that are under way. */
  async end(how: "confirmed" | "failed"): Promise<void> {
    for (const { responder, round } of this.#rounds.splice(0)) {
      if (how === "failed") responder.failed(round, notApplied("notLeader", "deposed"));
      else {
        responder.beginAnswer(round, FACTS);
        responder.endAnswer();
      }
    }
    await Promise.resolve();
  }
}

test("revisions rise within a sequencer, and over those that take turns", async () => {
  const placement = new Placement();
  const benches = [1, 2].map((nodeId) => new Bench(placement, nodeId));
  let newest = 0;
  for (let turn = 0; turn < 6; turn++) {
    const at = turn % 2;
    [placement.term, placement.leader] = [turn + 1, at + 1];
    for (const count of [1, 3, 2]) {
      const first = await benches[at]!.take(count);
      expect(first).toBeGreaterThan(newest);
      newest = (first as number) + count - 1;
      expect(placement.reservedTo).toBeGreaterThanOrEqual(newest);
    }
    expect(await benches[at]!.take(0)).toBe(newest);
    expect(await benches[1 - at]!.take(1)).toBe("notLeader");
  }
});

test("one that was deposed while its round was under way hands out nothing", async () => {
  const placement = new Placement();
  const bench = new Bench(placement, 1);
  const before = await bench.take(1);
  const answers: unknown[] = [];
  const ask = (): void =>
    bench.sequencer.allocate([{ keyspaceId: KEYSPACE, count: 1 }], (bases) => answers.push(bases));
  ask();
  bench.begin();
  expect(answers).toEqual([]);
  await bench.end("failed");
  expect(answers).toMatchObject([{ code: "notLeader" }]);
  // The round was confirmed just before another one was elected.
  ask();
  bench.begin();
  placement.leader = 2;
  await bench.end("confirmed");
  expect(answers[1]).toMatchObject({ outcome: "notApplied" });
  [placement.term, placement.leader] = [2, 1];
  expect(await bench.take(1)).toBeGreaterThan(before as number);
});
