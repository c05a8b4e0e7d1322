/** A machine that slept: its monotonic clock stood still while others elected somebody. */
import { expect, test } from "vitest";
import { ByteWriter } from "../../src/base/coding.js";
import type { KvError } from "../../src/protocol/errors.js";
import type { ReadLevel } from "../../src/protocol/key-value.js";
import type { AnswerFacts, Responder } from "../../src/shard/responder.js";
import { FakeAsker, readOf } from "./fake-replica.js";
import { HostBench } from "./host-bench.js";

const OPTIONS = { scrubBytesPerSecond: 0, leaseMs: 150 };

/** Remembers the level at which each request was answered. */
class LevelAsker implements Responder {
  readonly #answers = new FakeAsker();

  beginAnswer(requestId: number, facts: AnswerFacts): ByteWriter {
    this.#answers.answered(requestId, facts.level);
    return new ByteWriter(64);
  }

  endAnswer(): void {
    // Nobody reads what is in it.
  }

  failed(requestId: number, error: KvError): void {
    this.#answers.failed(requestId, error);
  }

  of(requestId: number): string | undefined {
    return this.#answers.of(requestId);
  }
}

/** Three nodes of which the first leads and has a lease; `read` asks it. */
async function leased(): Promise<{
  readonly bench: HostBench;
  readonly read: (level: ReadLevel) => () => string | undefined;
}> {
  const bench = await HostBench.start(3, OPTIONS);
  const { raft, clockMs, reads } = bench.node(1).replica;
  const asker = new LevelAsker();
  let requestId = 0;
  const read = (level: ReadLevel): (() => string | undefined) => {
    const id = ++requestId;
    reads.submit(readOf(asker, id, { level }));
    return () => asker.of(id);
  };
  read("lease");
  await bench.until(() => raft.hasLease(clockMs()));
  return { bench, read };
}

test("a lease serves reads in the turn in which they come", async () => {
  const { bench, read } = await leased();
  const answer = read("lease");
  bench.pass(0);
  expect(answer()).toBe("lease");
});

test("a leader that overslept its lease serves nothing from memory", async () => {
  const { bench, read } = await leased();
  const { time, replica } = bench.node(1);
  time.sleep();
  await bench.until(() => [2, 3].some((id) => bench.node(id).replica.leads));
  time.wake();
  // By all that its clock and the voters have told it.
  expect(replica.raft.hasLease(replica.clockMs())).toBe(true);
  const answer = read("lease");
  bench.pass(0);
  expect(answer()).not.toBe("lease");
  await bench.until(() => answer() !== undefined);
  expect(answer()).toBe("notApplied notLeader");
});

test("a leader whose sleep nobody used leads on, and has its lease after one round", async () => {
  const { bench, read } = await leased();
  const { time, replica } = bench.node(1);
  time.sleep();
  bench.pass(100);
  time.wake();
  const answer = read("lease");
  await bench.until(() => answer() !== undefined);
  expect(answer()).toBe("linearizable");
  await bench.until(() => replica.raft.hasLease(replica.clockMs()));
  const next = read("lease");
  bench.pass(0);
  expect(next()).toBe("lease");
});

test("a sleep is noticed by ticks too", async () => {
  const { bench } = await leased();
  const { time, replica, host } = bench.node(1);
  time.sleep();
  bench.pass(100);
  time.wake();
  expect(host.sleepWatch.mayHaveSlept).toBe(true);
  for (const id of [2, 3]) bench.node(id).time.sleep();
  expect(replica.raft.hasLease(replica.clockMs())).toBe(true);
  bench.pass(15);
  expect(host.sleepWatch.mayHaveSlept).toBe(false);
  expect(replica.raft.hasLease(replica.clockMs())).toBe(false);
});
