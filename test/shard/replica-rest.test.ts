/** Replicas that rest, and are not ticked meanwhile. */
import { expect, test } from "vitest";
import { FakeAsker, readOf } from "./fake-replica.js";
import { HostBench, SHARD } from "./host-bench.js";

const OPTIONS = { scrubBytesPerSecond: 0, quiesceAfterMs: 500 };

async function resting(): Promise<HostBench> {
  const bench = await HostBench.start(3, OPTIONS);
  await rest(bench);
  return bench;
}

async function rest(bench: HostBench): Promise<void> {
  await bench.until(() => [1, 2, 3].every((id) => bench.node(id).replica.raft.quiesced));
}

test("a follower's first read after a long rest is answered, whenever it comes", async () => {
  const bench = await resting();
  const { replica } = bench.node(2);
  const asker = new FakeAsker();
  for (let i = 0; i < 30; i++) {
    bench.pass(20_000 + i);
    replica.reads.submit(readOf(asker, i, { level: "follower" }));
    await bench.until(() => asker.of(i) !== undefined);
    expect(asker.of(i)).toBe("ok");
    await rest(bench);
  }
});

test("a replica with work that waits for its turn does not rest", async () => {
  const bench = await resting();
  const { replica } = bench.node(1);
  bench.pass(1000);
  expect(replica.timed).toBe(false);
  replica.reads.submit(readOf(new FakeAsker(), 1, { level: "linearizable" }));
  // A tick may come before that turn.
  expect(replica.raft.quiesced).toBe(true);
  expect(replica.rests(replica.clockMs())).toBe(false);
  expect(replica.timed).toBe(true);
});

test("a replica that was removed is never ticked again", async () => {
  const bench = await resting();
  const { host, replica } = bench.node(2);
  host.remove(SHARD);
  // As the answer to something that was under way.
  replica.wake();
  bench.pass(20_000);
  expect(replica.raft.role).toBe("follower");
  expect(replica.raft.hasReady()).toBe(false);
});
