/** One list of operations, many configurations, one answer: the short version of the campaign. */
import { expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { configurationOf } from "../../../jepsen-style/storage/configurations.js";
import { metamorphic } from "../../../jepsen-style/storage/metamorphic.js";
import type { Operation } from "../../../jepsen-style/storage/operations.js";
import { Run } from "../../../jepsen-style/storage/run.js";
import { MemoryDisk } from "../../../jepsen-style/sim/memory-disk.js";

test("fifty configurations give the answers of the model", async () => {
  expect(await metamorphic(1, 40, 50)).toEqual([]);
}, 60_000);

const key = fc.constantFrom("a", "a/b", "a/c", "b", "k");
const back = fc.nat(20);
const change: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant("change" as const),
  shardId: fc.constant(1),
  change: fc.oneof(
    fc.record({ kind: fc.constant("put" as const), key, size: fc.constantFrom(0, 9, 1024, 4000) }),
    fc.record({ kind: fc.constant("delete" as const), key }),
    fc.record({ kind: fc.constant("forget" as const), keep: fc.nat(8) }),
  ),
});
const ask: fc.Arbitrary<Operation> = fc.record({
  kind: fc.constant("ask" as const),
  shardId: fc.constant(1),
  question: fc.oneof(
    fc.record({ kind: fc.constant("get" as const), key, back }),
    fc.record({
      kind: fc.constant("scan" as const),
      from: key,
      to: key,
      back,
      mode: fc.constantFrom("newest" as const, "all" as const),
    }),
  ),
});

test.prop([fc.array(fc.oneof(change, ask), { maxLength: 40 }), fc.nat(30), fc.nat(1000)], {
  numRuns: 40,
})("any operations under any configuration answer as the model does", async (steps, n, seed) => {
  const disk = new MemoryDisk({ completion: "manual" });
  const operations: Operation[] = [{ kind: "create", shardId: 1 }, ...steps];
  const run = new Run(disk, { operations, configuration: configurationOf(1, n), seed });
  expect(await run.all()).toBe(true);
});
