/** Snapshots: what is written is read, the pages fit together, and whatever does not is refused. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { compareBytes, concatBytes, equalBytes, utf8 } from "../../src/base/bytes.js";
import { DecodeError } from "../../src/base/coding.js";
import {
  BUCKET_FLAG,
  PAGE_BYTES,
  PAGE_KINDS,
  bucketValue,
  emptyFreeList,
  inlineBucket,
  leafPage,
  metaPage,
} from "../../src/gateway/snapshot/bolt-format.js";
import type { LeafEntry } from "../../src/gateway/snapshot/bolt-format.js";
import { writeKeyValueFields } from "../../src/gateway/kv-responses.js";
import { leaseKey, leaseValue, revisionKey } from "../../src/gateway/snapshot/etcd-layout.js";
import { LeafPlan } from "../../src/gateway/snapshot/leaf-plan.js";
import { RevisionRuns } from "../../src/gateway/snapshot/revision-runs.js";
import { leaseTtls } from "../../src/gateway/snapshot/snapshot-leases.js";
import { SnapshotPlan } from "../../src/gateway/snapshot/snapshot-plan.js";
import { SnapshotReader } from "../../src/gateway/snapshot/snapshot-reader.js";
import type { SnapshotSource } from "../../src/gateway/snapshot/survey.js";
import { WireWriter } from "../../src/gateway/wire.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import { readSnapshot } from "../support/snapshots.js";

const REVISION = 2 ** 40;

function rowOf(key: string, modRevision: number, valueBytes = 10): KeyValue {
  const value = new Uint8Array(valueBytes).fill(modRevision);
  return { key: utf8(key), value, createRevision: 2, modRevision, version: 3, lease: 0n };
}

function valueOf(kv: KeyValue): Uint8Array {
  const out = new WireWriter(64);
  writeKeyValueFields(out, kv);
  return out.copy();
}

interface Made extends SnapshotSource {
  passes: number;
}

function sourceOf(kvs: readonly KeyValue[], more: Partial<SnapshotSource> = {}): Made {
  const source: Made = {
    passes: 0,
    revision: REVISION,
    rows: async function* () {
      source.passes++;
      yield* kvs;
    },
    leases: undefined,
    pause: () => Promise.resolve(),
    ...more,
  };
  return source;
}

async function written(source: SnapshotSource, pieceBytes = 32 * 1024): Promise<Uint8Array> {
  const plan = await SnapshotPlan.make(source);
  const pieces: Uint8Array[] = [];
  for await (const piece of plan.pieces(pieceBytes)) pieces.push(piece);
  for (const piece of pieces.slice(0, -2)) expect(piece).toHaveLength(pieceBytes);
  const bytes = concatBytes(...pieces);
  expect(bytes).toHaveLength(plan.fileBytes + 32);
  return bytes;
}

function byRevision(kvs: readonly KeyValue[]): KeyValue[] {
  return kvs.toSorted((a, b) => a.modRevision - b.modRevision || compareBytes(a.key, b.key));
}

/** Which page of the file is reached by how many ways; a file has each of them once. */
function reached(file: Uint8Array): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const ways = Array<number>(file.length / PAGE_BYTES).fill(0);
  const visit = (id: number): void => {
    const at = id * PAGE_BYTES;
    if (Number(view.getBigUint64(at, true)) !== id) throw new Error(`page ${id} is another one`);
    for (let i = 0; i <= view.getUint32(at + 12, true); i++) ways[id + i]!++;
    const kind = view.getUint16(at + 8, true);
    const count = view.getUint16(at + 10, true);
    for (let i = 0, element = at + 16; i < count; i++, element += 16) {
      if (kind === PAGE_KINDS.branch) visit(Number(view.getBigUint64(element + 8, true)));
      else if (view.getUint32(element, true) === BUCKET_FLAG) {
        const value =
          element + view.getUint32(element + 4, true) + view.getUint32(element + 8, true);
        const root = Number(view.getBigUint64(value, true));
        if (root !== 0) visit(root);
      }
    }
  };
  for (const id of [0, 1, 2, 3]) visit(id);
  return ways;
}

const keyValues = fc
  .uniqueArray(
    fc.record({
      key: fc.uint8Array({ minLength: 1, maxLength: 50 }),
      value: fc.uint8Array({ maxLength: 1500 }),
      createRevision: fc.nat(),
      // Few, so that some are in one transaction.
      modRevision: fc.integer({ min: 2, max: 40 }),
      version: fc.nat(),
      lease: fc.bigInt({ min: 0n, max: 3n }),
    }),
    { maxLength: 40, selector: ({ key }) => key.join(" ") },
  )
  .map((kvs) => kvs.sort((a, b) => compareBytes(a.key, b.key)));

property.prop([keyValues, fc.integer({ min: 300, max: 20_000 }), fc.boolean()], { numRuns: 50 })(
  "what is written is read, and each page is reached by one way",
  async (kvs, pieceBytes, isHeld) => {
    const leases = {
      ids: () => Promise.resolve([2n, 9n]),
      ttlOf: (id: bigint) => Promise.resolve(Number(id) * 10),
    };
    const heldBytesMax = isHeld ? undefined : 8192;
    const bytes = await written(sourceOf(kvs, { leases, heldBytesMax }), pieceBytes);
    const file = bytes.subarray(0, -32);
    expect(new Set(reached(file))).toEqual(new Set([1]));
    const { reader, kvs: found } = await readSnapshot(bytes);
    expect(found).toEqual(byRevision(kvs));
    const ids = new Set([2n, 9n, ...kvs.map(({ lease }) => lease)].filter((id) => id !== 0n));
    const ttls = [...ids].map((id) => [id, Number(id) * 10] as const);
    expect(new Map(reader.leases)).toEqual(new Map(ttls));
    expect(reader.revision).toBe(REVISION);
  },
);

describe("what is much", () => {
  test("is read once for each part that may be held, and what is little only once", async () => {
    const kvs = Array.from({ length: 1000 }, (_, i) =>
      rowOf(`k${String(i).padStart(4, "0")}`, 2 + ((i * 37) % 1000), 700),
    );
    const little = sourceOf(kvs);
    const bytes = await written(little);
    expect(little.passes).toBe(1);
    const much = sourceOf(kvs, { heldBytesMax: 256 * 1024 });
    expect(equalBytes(await written(much), bytes)).toBe(true);
    expect(much.passes).toBe(1 + 4);
  });

  test("has branches over branches", async () => {
    const kvs = Array.from({ length: 16_000 }, (_, i) => rowOf(`${1e6 + i}`, 2 + i, 2100));
    const bytes = await written(sourceOf(kvs));
    expect(new Set(reached(bytes.subarray(0, -32)))).toEqual(new Set([1]));
    const { kvs: found } = await readSnapshot(bytes);
    expect(found).toHaveLength(kvs.length);
    expect(found.at(-1)).toEqual(kvs.at(-1));
  }, 30_000);

  test("comes in the order of revisions, from any number of runs", () => {
    const runs = new RevisionRuns();
    const count = 3 * 16_384 + 5;
    for (let i = 0; i < count; i++) runs.add((i * 7919) % count, i);
    const sizes: number[] = [];
    for (let i = 0; runs.next(); i++) {
      expect(runs.revision).toBe(i);
      sizes.push(runs.sizeBytes);
    }
    expect(new Set(sizes).size).toBe(count);
  });

  test("that changes between two readings is not written", async () => {
    const kvs = [rowOf("a", 2, 3000), rowOf("b", 3, 3000)];
    const source = sourceOf(kvs, { heldBytesMax: 1 });
    const plan = await SnapshotPlan.make(source);
    kvs[1] = rowOf("b", 3, 9000);
    const draw = async (): Promise<void> => {
      for await (const _ of plan.pieces(PAGE_BYTES));
    };
    await expect(draw()).rejects.toThrow(/the same each time/);
  });
});

test("the key-values of one transaction lie in one leaf", () => {
  const plan = new LeafPlan();
  for (const [revision, bytes] of [
    [2, 1000],
    [3, 1000],
    [3, 3100],
    [4, 100],
    [5, 9000],
    [6, 10],
  ] as const) {
    plan.add(revision, bytes);
  }
  plan.finish();
  expect(plan.firstRevisions).toEqual([2, 3, 4, 5, 6]);
  expect(plan.pageCounts).toEqual([1, 2, 1, 3, 1]);
  expect(plan.rowCounts).toEqual([1, 2, 1, 1, 1]);
  expect([2, 3, 4, 5, 6].map((revision) => plan.leafOf(revision))).toEqual([0, 1, 2, 3, 4]);
});

test("a lease without keys that has ended is none, one with keys is told as ended", async () => {
  const source = {
    ids: () => Promise.resolve([5n, 6n]),
    ttlOf: (id: bigint) => Promise.resolve(id === 5n ? 60 : 0),
  };
  expect(await leaseTtls(new Set([7n]), source)).toEqual([
    [5n, 60],
    [7n, 0],
  ]);
});

describe("a file of etcd", () => {
  /** As etcd leaves it: with history, with holes, pages anywhere, an older meta. */
  function fileOf(entries: readonly LeafEntry[]): Uint8Array {
    const meta = { freeListPageId: 2, pageCount: 6 };
    const bucket = (name: string, value: Uint8Array): LeafEntry => {
      return { key: utf8(name), value, isBucket: true };
    };
    const lease = { key: leaseKey(7n), value: leaseValue(7n, 90) };
    const root = [bucket("key", bucketValue(5)), bucket("lease", inlineBucket([lease]))];
    return concatBytes(
      metaPage(0, { ...meta, rootPageId: 3, transaction: 12 }),
      metaPage(1, { ...meta, rootPageId: 4, transaction: 11 }),
      emptyFreeList(2),
      leafPage(3, root),
      leafPage(4, []),
      leafPage(5, entries),
    );
  }

  const put = (revision: number, kv: KeyValue): LeafEntry => {
    return { key: revisionKey(revision, 0), value: valueOf(kv) };
  };
  const tombstone = (revision: number, key: string): LeafEntry => ({
    key: concatBytes(revisionKey(revision, 0), utf8("t")),
    value: valueOf({ ...rowOf(key, 0, 0), createRevision: 0, version: 0 }),
  });
  const [a2, b3, a4, b6] = [rowOf("a", 2), rowOf("b", 3), rowOf("a", 4), rowOf("b", 6)];
  const entries = [
    put(2, a2),
    put(3, b3),
    put(4, a4),
    tombstone(5, "b"),
    put(6, b6),
    tombstone(7, "a"),
    put(8, rowOf("c", 8)),
    tombstone(9, "c"),
  ];
  const open = (bytes: Uint8Array): Promise<SnapshotReader> =>
    SnapshotReader.open((at, length) => Promise.resolve(bytes.subarray(at, at + length)));

  test("means the newest of each key that is not deleted", async () => {
    const reader = await open(fileOf(entries));
    const kvs: KeyValue[] = [];
    for await (const kv of reader.rows()) kvs.push(kv);
    expect(kvs).toEqual([b6]);
    expect([reader.keys, reader.revision]).toEqual([1, 9]);
    expect(reader.leases).toEqual(new Map([[7n, 90]]));
  });

  test("whose newer meta is damaged is what the older one says", async () => {
    const bytes = fileOf(entries);
    bytes[40]! ^= 1;
    expect(await open(bytes)).toMatchObject({ keys: 0, revision: 1 });
    bytes[PAGE_BYTES + 40]! ^= 1;
    await expect(open(bytes)).rejects.toThrow(DecodeError);
  });

  property.prop([fc.nat(), fc.integer({ min: 1, max: 255 })])(
    "with any byte changed is read, or refused as no such file",
    async (place, change) => {
      const bytes = fileOf(entries);
      bytes[place % bytes.length]! ^= change;
      const outcome = await open(bytes).catch((error: unknown) => error);
      expect(outcome instanceof SnapshotReader || outcome instanceof DecodeError).toBe(true);
    },
  );

  test("that is cut short anywhere is refused", async () => {
    const bytes = fileOf(entries);
    for (let length = 0; length < 5 * PAGE_BYTES + 1; length += 97) {
      await expect(open(bytes.subarray(0, length))).rejects.toThrow(DecodeError);
    }
  });
});
