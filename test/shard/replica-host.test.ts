/** Replicas whose data are damaged: who is refilled, when, and who is not damaged after all. */
import { expect, test, vi } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { CorruptionError } from "../../src/log/corruption-error.js";
import type { PutOperation } from "../../src/protocol/operations.js";
import { FakeAsker } from "./fake-replica.js";
import { HostBench, SHARD } from "./host-bench.js";
import type { BenchNode } from "./host-bench.js";

const PUT: PutOperation = {
  kind: "put",
  key: utf8("key"),
  value: utf8("value"),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
};
const DAMAGE = new CorruptionError("a table", 0, "a bad checksum");

/** Puts a key; its table is durable when this resolves. */
async function fill(bench: HostBench, node: BenchNode): Promise<void> {
  const asker = new FakeAsker();
  node.replica.writes.submitTransaction(asker, 1, { compares: [], success: [PUT], failure: [] });
  await bench.until(() => asker.of(1) === "ok");
  await flush(bench, node);
}

async function flush(bench: HostBench, { replica, store }: BenchNode): Promise<void> {
  void store.flushNow(replica.tree, replica.flushedState());
  await bench.until(() => replica.tree.flushed.index === replica.raft.appliedIndex);
}

test("a replica that nobody can refill is damaged as long as its files cannot be read", async () => {
  const bench = await HostBench.start(1, { scrubBytesPerSecond: 1024 ** 3 });
  const node = bench.node(1);
  await fill(bench, node);
  node.disk.inject({ code: "io", operation: "read", pathPart: "/tables/", times: Infinity });
  await bench.until(() => node.host.damagedShards.has(SHARD));
  expect(node.host.damagedShards.get(SHARD)).toMatch(/tables.*cannot be read/);
  expect(node.replica.leads).toBe(true);
  const met = node.news.length;
  // The next rounds find it as it was.
  await bench.until(() => node.news.length > met + 2);
  expect([...node.host.damagedShards.keys()]).toEqual([SHARD]);
  node.disk.clearFaults();
  await bench.until(() => node.host.damagedShards.size === 0);
  expect(node.news.at(-1)).toBe("refilled");
});

test("a damaged leader that has no successor at that moment is refilled later", async () => {
  const bench = await HostBench.start(2, { scrubBytesPerSecond: 0 });
  const [first, second] = [bench.node(1), bench.node(2)];
  await fill(bench, first);
  // Its connection broke: until it answers again it is not known how far the other one is.
  first.host.nodeLost(2);
  bench.meetDamage(1, DAMAGE);
  expect([...first.host.damagedShards.keys()]).toEqual([SHARD]);
  expect(first.replica.leads).toBe(true);
  await bench.until(() => second.replica.leads);
  await bench.until(() => first.host.damagedShards.size === 0);
  expect(first.news).toEqual(["damaged", "damaged", "refilled"]);
  expect(first.replica.raft.isRefilling).toBe(false);
});

test("replicas that wait to be refilled go on once their files can be read again", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 1024 ** 3 });
  const first = bench.node(1);
  const others = [bench.node(2), bench.node(3)];
  await fill(bench, first);
  for (const node of others) {
    await bench.until(() => node.replica.raft.appliedIndex === first.replica.raft.appliedIndex);
    await flush(bench, node);
  }
  // Nobody is left who could refill them.
  bench.stop(1);
  for (const { disk } of others) {
    disk.inject({ code: "io", operation: "read", pathPart: "/tables/", times: Infinity });
  }
  await bench.until(() => others.every(({ replica }) => replica.raft.isRefilling));
  for (const { disk } of others) disk.clearFaults();
  await bench.until(() => others.every(({ host }) => host.damagedShards.size === 0));
  for (const { news } of others) expect(news).toEqual(["damaged", "refilled"]);
  await bench.until(() => others.some(({ replica }) => replica.leads));
  await fill(
    bench,
    others.find(({ replica }) => replica.leads)!,
  );
});

test("a leader that is to vote no more passes by who is being refilled", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0 });
  const [first, second, third] = [bench.node(1), bench.node(2), bench.node(3)];
  await fill(bench, first);
  const whole = first.replica.raft.appliedIndex;
  await bench.until(() =>
    [second, third].every(({ replica }) => replica.raft.appliedIndex === whole),
  );
  // It has the whole log, and no snapshot gets through to it.
  vi.spyOn(second.host.snapshots, "begin").mockReturnValue({ refused: "not now" });
  bench.meetDamage(2, DAMAGE);
  for (const { replica } of [first, second, third]) {
    const { descriptor } = replica;
    const target = descriptor.replicas.filter(({ nodeId }) => nodeId !== 1);
    replica.descriptor = { ...descriptor, target };
  }
  await bench.until(() => third.replica.leads);
  expect(second.replica.raft.isRefilling).toBe(true);
});

test("a replica counts the leaders that it learns of", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0 });
  const [first, second, third] = [bench.node(1), bench.node(2), bench.node(3)];
  const counts = (): readonly number[] =>
    [first, second, third].map(({ replica }) => replica.leaderChanges);
  await bench.until(() => third.replica.leaderNodeId === 1 && second.replica.leaderNodeId === 1);
  expect(counts()).toEqual([1, 1, 1]);
  first.replica.raft.transferLeader(second.replica.replicaId, first.replica.clockMs());
  first.replica.wake();
  await bench.until(() => second.replica.leads && third.replica.leaderNodeId === 2);
  await bench.until(() => first.replica.leaderNodeId === 2);
  expect(counts()).toEqual([2, 2, 2]);
  // To know of none is no other one.
  for (const nodeId of [1, 2]) bench.stop(nodeId);
  await bench.until(() => third.replica.leaderNodeId === 0);
  expect(counts()[2]).toBe(2);
});
