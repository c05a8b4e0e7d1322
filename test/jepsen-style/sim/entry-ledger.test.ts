/** Entries are applied alike everywhere, and one configuration at a time is under way. */
import { expect, test } from "vitest";
import { utf8 } from "../../../src/base/bytes.js";
import type { EntryRun } from "../../../src/base/entry-run.js";
import { singleRun } from "../../../src/base/entry-run.js";
import type { Replica } from "../../../src/shard/replica.js";
import { EntryLedger } from "../../../jepsen-style/sim/entry-ledger.js";
import type { AppliedEntries } from "../../../jepsen-style/sim/entry-ledger.js";

/** A leader that persists these runs, one a time, and comes to these revisions. */
function stub(runs: EntryRun[], revisions: number[]): Replica {
  const raft = {
    role: "leader",
    commitIndex: 1,
    ready: () => ({ persist: { snapshot: undefined, keepsLog: true, runs: runs.splice(0, 1) } }),
  };
  const machine = {
    revision: 1,
    apply: () => {
      machine.revision = revisions.shift()!;
    },
  };
  return { raft, machine } as unknown as Replica;
}

function applied(replica: Replica, text: string): void {
  replica.machine.apply(3, 1, utf8(text), 0, text.length);
}

test("other bytes at an index, or another state behind it, are told", () => {
  const told: string[] = [];
  const ledger = new EntryLedger((what) => told.push(what));
  const entries: AppliedEntries = new Map();
  const replicas = [stub([], [5]), stub([], [5]), stub([], [5]), stub([], [6])];
  replicas.forEach((replica, i) => ledger.watch(replica, `r${i}`, entries));
  applied(replicas[0]!, "one");
  applied(replicas[1]!, "one");
  expect(told).toEqual([]);
  applied(replicas[2]!, "two");
  expect(told).toEqual(["r2 applied other bytes at 3 than r0"]);
  applied(replicas[3]!, "one");
  expect(told[1]).toMatch(/^r3 has come to revision 6 .* by entry 3, and r0 to revision 5/);
});

test("two configurations that are not committed are told, unless one took the other's place", () => {
  const told: string[] = [];
  const ledger = new EntryLedger((what) => told.push(what));
  const change = (index: number): EntryRun => singleRun("configuration", 1, index, utf8("c"));
  const replica = stub([change(1), change(2), change(2), change(3)], []);
  ledger.watch(replica, "r1", new Map());
  for (let i = 0; i < 3; i++) replica.raft.ready();
  expect(told).toEqual([]);
  replica.raft.ready();
  expect(told).toEqual(["r1 leads with configurations 2 and 3 not yet committed"]);
});
