/** A tree against the model, through any mix of inserts, freezes, flushes and compactions. */
import { describe, expect } from "vitest";
import { fc, test } from "@fast-check/vitest";
import { compareBytes, utf8 } from "../../src/base/bytes.js";
import { SlabPool } from "../../src/lsm/arena.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { compactTables, flushMemtable } from "../../src/lsm/compaction.js";
import { isBottom } from "../../src/lsm/compaction-picker.js";
import type { Cursor, CursorMode } from "../../src/lsm/entry.js";
import type { FamilyId } from "../../src/lsm/families.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Slice } from "../../src/lsm/slice.js";
import type { WrittenTable } from "../../src/lsm/sstable-writer.js";
import { TableSet } from "../../src/lsm/table-set.js";
import { Tree } from "../../src/lsm/tree.js";
import { sliceOf } from "../../src/lsm/version.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { Item } from "./tree-model.js";
import { TreeModel, collect, itemOf, stateAt } from "./tree-model.js";

const DIRECTORY = "/tables";
const ALL = { start: new Uint8Array(0), end: undefined };

/** A tree without a store: flush and compaction run inside the call. */
class Bench {
  readonly disk: MemoryDisk = new MemoryDisk();
  readonly tables: TableSet;
  readonly tree: Tree;
  index = 0;
  #nextFileNumber = 1;

  constructor() {
    this.disk.makeDirectory(DIRECTORY);
    this.tables = new TableSet(this.disk, DIRECTORY, new BlockCache(8 * 1024), (path) =>
      this.disk.remove(path),
    );
    const pool = new SlabPool();
    const parts = { range: ALL, flushed: stateAt(0), slices: [], tables: this.tables, pool };
    this.tree = new Tree(1, parts);
  }

  insert(family: FamilyId, item: Item): void {
    const { key, version, tombstone, value } = item;
    this.tree.insert(family, key, 0, key.length, version, tombstone, value, 0, value.length);
    this.index++;
  }

  freeze(compactedRevision = 0): void {
    this.tree.freeze(stateAt(this.index, { compactedRevision }));
  }

  flush(): void {
    const memtable = this.tree.frozen[0];
    if (memtable === undefined) return;
    if (memtable.entryCount === 0) {
      this.tree.installFlush([]);
      return;
    }
    const horizon = memtable.state!.compactedRevision;
    const table = flushMemtable(this.disk, this.#target(), memtable.image(), horizon);
    if (table !== undefined) this.tables.add(table.file);
    this.tree.installFlush(slicesOf(table, 0));
  }

  /** Merges `count` neighbouring runs from the `start`-th newest on. */
  compact(family: FamilyId, start: number, count: number): void {
    const all = this.tree.version.runs[family]!.map((run) => run.slice);
    const inputs = all.slice(start, start + count);
    if (inputs.length === 0) return;
    const [table] = compactTables(this.disk, [this.#target()], {
      family,
      inputs: inputs.map((slice) => ({
        file: this.tables.file(slice.fileNumber),
        clip: undefined,
      })),
      horizon: this.tree.flushed.compactedRevision,
      isBottom: isBottom(inputs, all),
      tableBytesMax: Infinity,
    });
    if (table !== undefined) this.tables.add(table.file);
    this.tree.installCompaction(inputs, slicesOf(table, 1));
  }

  scan(family: FamilyId, maxVersion: number, mode: CursorMode): Item[] {
    const cursor = this.tree.cursor(family, ALL, maxVersion, mode);
    const items = collect(cursor);
    cursor.close();
    return items;
  }

  get files(): readonly string[] {
    return this.disk.list(DIRECTORY);
  }

  #target(): { directory: string; fileNumber: number; salt: number } {
    return { directory: DIRECTORY, fileNumber: this.#nextFileNumber++, salt: 77 };
  }
}

function slicesOf(table: WrittenTable | undefined, level: number): Slice[] {
  if (table === undefined) return [];
  return table.sections.map((section) => sliceOf(table.file.fileNumber, section, level));
}

type Step =
  | { readonly kind: "put"; readonly key: number; readonly size: number; readonly family: FamilyId }
  | { readonly kind: "delete"; readonly key: number; readonly family: FamilyId }
  | { readonly kind: "freeze" | "flush" | "openCursor" }
  | {
      readonly kind: "compact";
      readonly start: number;
      readonly count: number;
      readonly family: FamilyId;
    };

const familyArbitrary = fc.constantFrom<FamilyId>(FAMILY.data, FAMILY.session);
const keyArbitrary = fc.nat(12);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("put" as const),
      key: keyArbitrary,
      size: fc.constantFrom(0, 5, 300),
      family: familyArbitrary,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("delete" as const),
      key: keyArbitrary,
      family: familyArbitrary,
    }),
  },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "freeze" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "flush" }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "openCursor" }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("compact" as const),
      start: fc.nat(2),
      count: fc.integer({ min: 2, max: 4 }),
      family: familyArbitrary,
    }),
  },
);

function keyOf(n: number): Uint8Array {
  return utf8(n % 3 === 0 ? `k${n}` : `key/${"x".repeat(n % 5)}${n}`);
}

function itemFor(step: Step & { readonly key: number }, version: number): Item {
  const size = step.kind === "put" ? step.size : 0;
  const value = new Uint8Array(size).fill(version);
  return { key: keyOf(step.key), version, tombstone: step.kind === "delete", value };
}

/** What a reader at a revision sees: the newest put of each key, if no tombstone hides it. */
function visible(items: readonly Item[]): Item[] {
  return items.filter((item) => !item.tombstone);
}

interface HeldCursor {
  readonly cursor: Cursor;
  readonly expected: readonly Item[];
}

/** A cursor that has begun: what is written afterwards must not move it from its place. */
function halfReadBackwards(bench: Bench, model: TreeModel, version: number): HeldCursor {
  const cursor = bench.tree.backwardCursor(FAMILY.data, ALL, version);
  const expected = model.scan(FAMILY.data, ALL, version, "newest").toReversed();
  for (const item of expected.splice(0, Math.ceil(expected.length / 2))) {
    expect(cursor.next()).toBe(true);
    expect(itemOf(cursor.entry)).toEqual(item);
  }
  return { cursor, expected };
}

/** Applies the steps to a tree and the model; every entry has a version of its own. */
function run(bench: Bench, model: TreeModel, steps: readonly Step[], held: HeldCursor[]): number {
  let version = 0;
  for (const step of steps) {
    switch (step.kind) {
      case "put":
      case "delete": {
        const item = itemFor(step, ++version);
        bench.insert(step.family, item);
        model.add(step.family, item);
        break;
      }
      case "freeze":
        bench.freeze();
        break;
      case "flush":
        bench.flush();
        break;
      case "openCursor":
        held.push({
          cursor: bench.tree.cursor(FAMILY.data, ALL, version, "all"),
          expected: [...model.scan(FAMILY.data, ALL, version, "all")],
        });
        held.push(halfReadBackwards(bench, model, version));
        break;
      case "compact":
        bench.compact(step.family, step.start, step.count);
        break;
    }
  }
  return version;
}

describe("tree", () => {
  test.prop([fc.array(stepArbitrary, { maxLength: 120 })])("answers like the model", (steps) => {
    const bench = new Bench();
    const model = new TreeModel();
    const held: HeldCursor[] = [];
    const last = run(bench, model, steps, held);
    for (const maxVersion of [last, Math.floor(last / 2), Infinity]) {
      for (const mode of ["newest", "all"] as const) {
        // With a horizon of 0 compaction drops no version of the data.
        const expected = model.scan(FAMILY.data, ALL, maxVersion, mode);
        expect(bench.scan(FAMILY.data, maxVersion, mode)).toEqual(expected);
      }
      const newest = model.scan(FAMILY.data, ALL, maxVersion, "newest");
      const backward = bench.tree.backwardCursor(FAMILY.data, ALL, maxVersion);
      expect(collect(backward)).toEqual(newest.toReversed());
      backward.close();
      for (let n = 0; n <= 12; n++) {
        const key = keyOf(n);
        const view = bench.tree.get(FAMILY.data, key, 0, key.length, maxVersion);
        const found = view === undefined ? undefined : itemOf(view);
        expect(found).toEqual(model.get(FAMILY.data, key, maxVersion));
      }
    }
    const sessions = visible(bench.scan(FAMILY.session, Infinity, "newest"));
    expect(sessions).toEqual(visible(model.scan(FAMILY.session, ALL, Infinity, "newest")));
    for (const { cursor, expected } of held) {
      expect(collect(cursor)).toEqual(expected);
      cursor.close();
    }
    const referred = new Set(bench.tree.version.slices.map((slice) => slice.fileNumber));
    expect(bench.files).toHaveLength(referred.size);
  });

  test.prop([fc.array(stepArbitrary, { maxLength: 120 }), fc.nat(60)])(
    "compaction changes nothing that is seen at or above the horizon",
    (steps, horizon) => {
      const bench = new Bench();
      const model = new TreeModel();
      const last = run(bench, model, steps, []);
      bench.freeze(horizon);
      while (bench.tree.frozen.length > 0) bench.flush();
      for (let i = bench.tree.version.runs[FAMILY.data]!.length; i > 0; i--) {
        bench.compact(FAMILY.data, i % 2, 3);
      }
      for (let revision = horizon; revision <= last; revision++) {
        const seen = visible(bench.scan(FAMILY.data, revision, "newest"));
        expect(seen).toEqual(visible(model.scan(FAMILY.data, ALL, revision, "newest")));
      }
      const kept = bench.scan(FAMILY.data, Infinity, "all");
      const newer = model
        .scan(FAMILY.data, ALL, Infinity, "all")
        .filter((i) => i.version >= horizon);
      expect(kept.filter((item) => item.version >= horizon)).toEqual(newer);
    },
  );

  test.prop([
    fc.array(stepArbitrary, { maxLength: 80 }),
    keyArbitrary,
    fc.option(keyArbitrary, { nil: undefined }),
    keyArbitrary,
  ])("a cursor keeps to its range and seeks in it", (steps, start, end, target) => {
    const bench = new Bench();
    const model = new TreeModel();
    run(bench, model, steps, []);
    const range = { start: keyOf(start), end: end === undefined ? undefined : keyOf(end) };
    const cursor = bench.tree.cursor(FAMILY.data, range, Infinity, "newest");
    const expected = model.scan(FAMILY.data, range, Infinity, "newest");
    expect(collect(cursor)).toEqual(expected);
    cursor.seek(keyOf(target));
    const after = { start: keyOf(target), end: undefined };
    const rest = new TreeModel();
    for (const item of expected) rest.add(FAMILY.data, item);
    expect(collect(cursor)).toEqual(rest.scan(FAMILY.data, after, Infinity, "newest"));
    cursor.close();
  });

  test.prop([
    fc.array(stepArbitrary, { maxLength: 80 }),
    keyArbitrary,
    fc.option(keyArbitrary, { nil: undefined }),
    keyArbitrary,
  ])("a backward cursor keeps to its range and seeks in it", (steps, start, end, target) => {
    const bench = new Bench();
    const model = new TreeModel();
    run(bench, model, steps, []);
    const range = { start: keyOf(start), end: end === undefined ? undefined : keyOf(end) };
    const cursor = bench.tree.backwardCursor(FAMILY.data, range, Infinity);
    const expected = model.scan(FAMILY.data, range, Infinity, "newest").toReversed();
    expect(collect(cursor)).toEqual(expected);
    cursor.seek(keyOf(target));
    const wanted = expected.filter((item) => compareBytes(item.key, keyOf(target)) <= 0);
    expect(collect(cursor)).toEqual(wanted);
    cursor.close();
  });

  test("a closed cursor refuses to go on", () => {
    const { tree } = new Bench();
    const closed = [
      tree.cursor(FAMILY.data, ALL, Infinity, "newest"),
      tree.backwardCursor(FAMILY.data, ALL, Infinity),
    ];
    for (const cursor of closed) {
      expect(cursor.next()).toBe(false);
      cursor.close();
      expect(() => cursor.next()).toThrow("the cursor is closed");
      expect(() => cursor.seek(keyOf(1))).toThrow("the cursor is closed");
      cursor.close();
    }
  });

  test("passes over a long chain of versions", () => {
    const bench = new Bench();
    const value = new Uint8Array(3);
    for (let version = 1; version <= 5000; version++) {
      bench.insert(FAMILY.data, { key: utf8("hot"), version, tombstone: false, value });
      if (version % 1500 === 0) bench.freeze();
      if (version % 3000 === 0) bench.flush();
    }
    bench.insert(FAMILY.data, { key: utf8("last"), version: 9000, tombstone: false, value });
    const at = (maxVersion: number): number[] =>
      bench.scan(FAMILY.data, maxVersion, "newest").map((item) => item.version);
    expect(at(Infinity)).toEqual([5000, 9000]);
    expect(at(20)).toEqual([20]);
    expect(at(2000)).toEqual([2000]);
  });

  test("a pinned file outlives its compaction and goes with its last reader", () => {
    const bench = new Bench();
    const item = (version: number): Item => ({
      key: utf8(`key${version}`),
      version,
      tombstone: false,
      value: new Uint8Array(0),
    });
    for (let version = 1; version <= 4; version++) {
      bench.insert(FAMILY.data, item(version));
      bench.freeze();
      bench.flush();
    }
    const cursor = bench.tree.cursor(FAMILY.data, ALL, Infinity, "newest");
    bench.compact(FAMILY.data, 0, 4);
    expect(bench.files).toHaveLength(5);
    expect(collect(cursor)).toHaveLength(4);
    cursor.close();
    expect(bench.files).toHaveLength(1);
  });

  test("keeps versions up to 2^53 - 1 and keys of 64 KiB", () => {
    const bench = new Bench();
    const key = new Uint8Array(64 * 1024 + 6).fill(9);
    const value = new Uint8Array(1024 * 1024).fill(3);
    const version = Number.MAX_SAFE_INTEGER;
    bench.insert(FAMILY.data, { key, version, tombstone: false, value });
    bench.freeze();
    bench.flush();
    const view = bench.tree.get(FAMILY.data, key, 0, key.length, Infinity);
    expect(view?.version).toBe(version);
    expect(view?.valueLength).toBe(value.length);
    expect(view?.valueBytes[view.valueOffset + 1000]).toBe(3);
  });
});
