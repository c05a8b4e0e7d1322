/** Taking back what came after a revision: random writes, with leases, beside what was there. */
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { ByteWriter } from "../../src/base/coding.js";
import { Prng } from "../../src/base/prng.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import { MvccMachine } from "../../src/mvcc/mvcc-machine.js";
import type { Evaluation, EvaluationContext } from "../../src/mvcc/evaluation.js";
import { readRow } from "../../src/mvcc/stored-value.js";
import { Undo } from "../../src/node/restore-undo.js";
import { KeyValueView, leaseId } from "../../src/protocol/key-value-codec.js";
import { putOf } from "../../src/protocol/operations.js";
import { keyspaceRange, storedKey } from "../../src/route/stored-key.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { openStore } from "../store/store-bench.js";

const SHARD = 2;
const TERM = 3;
const KEYSPACE = {
  keyspaceId: 5,
  name: "files",
  kind: "hash" as const,
  dense: false,
  replicationFactor: 3,
};
const PREFIX = 6;
const LEASES = [7n, 8n, 9n];

class Writer {
  readonly machine: MvccMachine;
  readonly #prng: Prng;
  #index = 0;

  constructor(tree: Tree, seed: number) {
    const initial = tree.flushed;
    const keyspaceId = KEYSPACE.keyspaceId;
    this.machine = new MvccMachine(tree, { keyspaceId, keyPrefixLength: PREFIX, initial });
    this.#prng = new Prng(seed);
  }

  get state(): FlushedState {
    return this.machine.flushedState(this.#index, TERM, new Uint8Array(0));
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) this.#one();
  }

  #one(): void {
    const prng = this.#prng;
    const id = must(LEASES[prng.between(0, LEASES.length - 1)]);
    const isLive = this.machine.leases.get(id) !== undefined;
    if (!isLive) {
      return this.#run((context, out) => this.machine.evaluateGrant(id, 60, context, out));
    }
    if (prng.between(1, 20) === 1) {
      return this.#run((context, out) => this.machine.evaluateLeaseEnd(id, false, context, out));
    }
    const key = storedKey(KEYSPACE, utf8(`key${prng.between(1, 30)}`));
    const lease = prng.between(1, 3) === 1 ? id : 0n;
    const operation =
      prng.between(1, 4) === 1
        ? { kind: "delete" as const, key, rangeEnd: undefined, prevKv: false }
        : putOf(key, utf8(`value ${prng.u32()}`), { lease });
    const transaction = { compares: [], success: [operation], failure: [] };
    this.#run((context, out) => this.machine.evaluateTransaction(transaction, context, out));
  }

  #run(evaluate: (context: EvaluationContext, out: ByteWriter) => Evaluation): void {
    const out = new ByteWriter(1024);
    const epoch = { configuration: 1, range: 1 };
    const revision = this.machine.revision + 1 + this.#prng.between(1, 3);
    const { outcome } = evaluate(
      { term: TERM, epoch, revision, closedRevision: 0, clockMs: 0 },
      out,
    );
    if (outcome === "refused" || out.length === 0) return;
    this.machine.apply(++this.#index, TERM, out.copy(), 4, out.length - 4);
  }
}

/** Live keys with value and lease; `gone`: leases whose keys count as deleted. */
function contentOf(tree: Tree, isGone: (lease: bigint) => boolean): Map<string, string> {
  const content = new Map<string, string>();
  const cursor = tree.cursor(FAMILY.data, tree.range, Number.MAX_SAFE_INTEGER, "newest");
  const row = new KeyValueView();
  while (cursor.next()) {
    if (cursor.entry.tombstone) continue;
    readRow(cursor.entry, PREFIX, row);
    const { keyBytes, keyOffset, keyLength, valueBytes, valueOffset, valueLength } = row;
    const lease = leaseId(row.leaseLow, row.leaseHigh);
    if (lease !== 0n && isGone(lease)) continue;
    const key = utf8Text(keyBytes.subarray(keyOffset, keyOffset + keyLength));
    const value = utf8Text(valueBytes.subarray(valueOffset, valueOffset + valueLength));
    content.set(key, `${value} by ${lease}`);
  }
  cursor.close();
  return content;
}

/** The keys of each lease, as the content says it. */
function attachedIn(content: ReadonlyMap<string, string>): string[][] {
  return LEASES.map((id) =>
    [...content]
      .filter(([, value]) => value.endsWith(` by ${id}`))
      .map(([key]) => key)
      .sort(),
  );
}

async function undone(seed: number): Promise<number> {
  const { store } = await openStore(new MemoryDisk(), { compaction: { enabled: false } });
  const range = keyspaceRange(KEYSPACE.keyspaceId);
  const tree = store.createTree(SHARD, range, { ...stateAt(0), revision: 1 });
  const writer = new Writer(tree, seed);
  writer.write(150);
  const floor = writer.machine.revision;
  // Not all of it is in one table.
  await store.flushNow(tree, writer.state);
  const before = [...contentOf(tree, () => false)];
  writer.write(100);
  const changed = writer.machine.revision;
  await store.flushNow(tree, writer.state);
  // A lease that has ended since has taken its keys along, also where it was granted again.
  const isGone = (lease: bigint): boolean => writer.machine.leases.get(lease) === undefined;
  const expected = new Map(
    before.filter(([, value]) => !LEASES.some((id) => value.endsWith(` by ${id}`) && isGone(id))),
  );
  const state = await new Undo(store, tree, KEYSPACE).run(floor);
  await store.flushNow(tree, state);
  expect(state.revision).toBeGreaterThan(changed);
  expect(contentOf(tree, () => false)).toEqual(expected);
  const { keyspaceId } = KEYSPACE;
  const again = new MvccMachine(tree, { keyspaceId, keyPrefixLength: PREFIX, initial: state });
  const attached = LEASES.map((id) => again.leaseKeys(id).map(utf8Text).sort());
  expect(attached).toEqual(attachedIn(expected));
  await store.close();
  return expected.size;
}

test("each key is what it was, with its lease, where that is still there", async () => {
  let keys = 0;
  for (let seed = 1; seed <= 25; seed++) keys += await undone(seed);
  expect(keys).toBeGreaterThan(100);
});
