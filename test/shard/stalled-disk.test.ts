/** Nodes whose disk finishes no write for a while: who leads meanwhile, and what is whole after. */
import { expect, test } from "vitest";
import { HostBench, put } from "./host-bench.js";

/** The longest election timeout of the bench. */
const STALL_MS = 800;
const TRANSFER_MS = 400;

test("a leader whose disk stalls hands over, and does not lead before a write has finished", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0 });
  const first = bench.node(1);
  const others = [bench.node(2), bench.node(3)];
  bench.stallDisk(1);
  put(first, "during");
  bench.pass(STALL_MS - 20);
  expect([first.host.diskStalls, first.replica.leads]).toEqual([false, true]);
  bench.pass(50);
  expect([first.host.diskStalls, first.replica.leads]).toEqual([true, false]);
  const leader = others.find(({ replica }) => replica.leads)!;
  const after = put(leader, "after");
  await bench.until(() => after() === "ok");

  leader.replica.raft.transferLeader(1, leader.replica.clockMs());
  first.replica.raft.campaign(first.replica.clockMs());
  bench.pass(2 * STALL_MS);
  expect(leader.replica.leads).toBe(true);
  expect(first.replica.raft.appliedIndex).toBeLessThan(leader.replica.raft.appliedIndex);

  bench.endDiskStall(1);
  expect(first.host.diskStalls).toBe(false);
  await bench.until(() => first.replica.raft.appliedIndex === leader.replica.raft.appliedIndex);
  leader.replica.raft.transferLeader(1, leader.replica.clockMs());
  leader.replica.wake();
  await bench.until(() => first.replica.leads);
});

test("a leader that rests leads on while its node's disk stalls, until something is written", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0, quiesceAfterMs: 100 });
  const { host, replica, store } = bench.node(1);
  await bench.until(() => replica.raft.quiesced);
  bench.stallDisk(1);
  // Something else of this node goes to the log.
  host.persisting(replica, true, []);
  store.log.saveHardState(99, 1, { term: 1, vote: 1, commitIndex: 0 });
  host.schedule(replica);
  bench.pass(STALL_MS + 100);
  expect([host.diskStalls, replica.leads]).toEqual([true, true]);
  put(bench.node(1), "during");
  await bench.until(() => !replica.leads);
  await bench.until(() => [2, 3].some((id) => bench.node(id).replica.leads));
  expect([2, 3].map((id) => bench.node(id).replica.leads)).toContain(true);
});

test("where all disks stall nobody gives up a lead: no other could do better", async () => {
  const bench = await HostBench.start(3, { scrubBytesPerSecond: 0 });
  const { replica } = bench.node(1);
  const { term } = replica.raft;
  for (const id of [1, 2, 3]) bench.stallDisk(id);
  const during = put(bench.node(1), "during");
  bench.pass(STALL_MS + TRANSFER_MS + 30);
  expect([replica.raft.role, replica.raft.term]).toEqual(["leader", term]);
  for (const id of [1, 2, 3]) bench.endDiskStall(id);
  await bench.until(() => during() === "ok");
  expect(replica.raft.term).toBe(term);
});

test("a lone voter leads on", async () => {
  const bench = await HostBench.start(1, { scrubBytesPerSecond: 0 });
  bench.stallDisk(1);
  const during = put(bench.node(1), "during");
  bench.pass(3 * STALL_MS);
  expect([bench.node(1).host.diskStalls, bench.node(1).replica.leads]).toEqual([true, true]);
  bench.endDiskStall(1);
  await bench.until(() => during() === "ok");
});
