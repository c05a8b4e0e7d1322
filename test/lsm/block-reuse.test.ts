/**
 * Nobody reads a block after its memory was given to another: cursors of all kinds walk over one
 * tree with gets between them, with a cache of a few frames, and everything that a cursor or a get
 * shows is looked at again when the others have moved on.
 */
import { describe, expect, test } from "vitest";
import { compareBytes, utf8, utf8Text } from "../../src/base/bytes.js";
import { Prng } from "../../src/base/prng.js";
import { SlabPool } from "../../src/lsm/arena.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import type { Cursor, EntryView } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import { LEVEL_BASE } from "../../src/lsm/level.js";
import type { Slice } from "../../src/lsm/slice.js";
import { SstableWriter } from "../../src/lsm/sstable-writer.js";
import { TableSet, tablePath } from "../../src/lsm/table-set.js";
import { Tree } from "../../src/lsm/tree.js";
import { sliceOf } from "../../src/lsm/version.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { Item } from "./tree-model.js";
import { TreeModel, compareItems, itemOf, slotOf, stateAt } from "./tree-model.js";

const DIRECTORY = "/tables";
const ALL = { start: new Uint8Array(0), end: undefined };
const KEYS = 120;
const VERSIONS_PER_RUN = 1000;
const BLOCK_BYTES = 256;

/** Tables in a tree: two levels of two tables, and two tiers that have some entries in common. */
class Scene {
  readonly model: TreeModel = new TreeModel();
  readonly cache: BlockCache;
  readonly tree: Tree;
  readonly versionMax: number = 4 * VERSIONS_PER_RUN;
  readonly #disk: MemoryDisk = new MemoryDisk();
  readonly #tables: TableSet;
  readonly #prng: Prng;
  #fileNumber = 1;

  constructor(cacheBytes: number, seed: number) {
    this.#prng = new Prng(seed);
    this.#disk.makeDirectory(DIRECTORY);
    this.cache = new BlockCache(cacheBytes);
    this.#tables = new TableSet(this.#disk, DIRECTORY, this.cache, () => undefined);
    const slices: Slice[] = [];
    let shared: Item[] = [];
    for (let run = 0; run < 4; run++) {
      const own = this.#itemsOf(run);
      const items = [...own, ...(run === 3 ? shared : [])].toSorted(compareItems);
      for (const item of items) this.model.add(FAMILY.data, item);
      if (run >= 2) {
        slices.push(this.#write(items, run));
      } else {
        const middle = items.findIndex(({ key }) => compareBytes(key, keyOf(KEYS / 2)) >= 0);
        const level = LEVEL_BASE + 7 - run;
        slices.push(this.#write(items.slice(0, middle), level));
        slices.push(this.#write(items.slice(middle), level));
      }
      shared = own.filter((_, at) => at % 3 === 0);
    }
    this.tree = new Tree(1, {
      range: ALL,
      flushed: stateAt(1),
      slices,
      tables: this.#tables,
      pool: new SlabPool(),
    });
  }

  /** Some keys with a few versions, some with so many that a walk leaps over them. */
  #itemsOf(run: number): Item[] {
    const prng = this.#prng;
    const items: Item[] = [];
    for (let n = 0; n < KEYS; n++) {
      if (prng.chance(0.3)) continue;
      const count = prng.chance(0.15) ? prng.between(9, 40) : prng.between(1, 3);
      for (let v = count; v > 0; v--) {
        const version = run * VERSIONS_PER_RUN + n * 8 + v;
        const length = prng.chance(0.1) ? prng.between(1024, 1800) : prng.between(1, 40);
        const value = new Uint8Array(length).fill(prng.u32());
        items.push({ key: keyOf(n), version, tombstone: prng.chance(0.1), value });
      }
    }
    return items;
  }

  #write(items: readonly Item[], level: number): Slice {
    const fileNumber = this.#fileNumber++;
    const handle = this.#disk.open(tablePath(DIRECTORY, fileNumber), { create: true });
    const writer = new SstableWriter(handle, fileNumber, 77, BLOCK_BYTES);
    writer.beginFamily(FAMILY.data);
    for (const item of items) writer.add(slotOf(item));
    writer.endFamily();
    const { file, sections } = writer.finish();
    handle.close();
    this.#tables.add(file);
    return sliceOf(fileNumber, sections[0]!, level);
  }
}

function keyOf(n: number): Uint8Array {
  return utf8(`key${String(n).padStart(4, "0")}`);
}

/** Comparable, and without the bytes of a large value. */
function fingerprint({ key, version, tombstone, value }: Item): string {
  const bytes = [...new Set(value)].join();
  return `${utf8Text(key)} ${version} ${tombstone} ${value.length} of ${bytes}`;
}

function checkShown(entry: EntryView, item: Item): void {
  const shown = itemOf(entry);
  const isSame =
    compareItems(shown, item) === 0 &&
    shown.tombstone === item.tombstone &&
    compareBytes(shown.value, item.value) === 0;
  if (!isSame) throw new Error(`${fingerprint(shown)} instead of ${fingerprint(item)}`);
}

/** A cursor, and what it must show. */
class Walker {
  readonly #cursor: Cursor;
  readonly #expected: readonly Item[];
  readonly #isBackward: boolean;
  #at = -1;
  /** Whether it has moved since it was last positioned: only then does it show anything. */
  #isStanding = false;

  constructor(cursor: Cursor, expected: readonly Item[], isBackward: boolean) {
    this.#cursor = cursor;
    this.#expected = expected;
    this.#isBackward = isBackward;
  }

  seek(key: Uint8Array): void {
    this.#cursor.seek(key);
    this.#isStanding = false;
    const isAtOrAfter = (item: Item): boolean =>
      this.#isBackward ? compareBytes(item.key, key) <= 0 : compareBytes(item.key, key) >= 0;
    const at = this.#expected.findIndex(isAtOrAfter);
    this.#at = (at < 0 ? this.#expected.length : at) - 1;
  }

  next(): void {
    this.#at = Math.min(this.#at + 1, this.#expected.length);
    const isThere = this.#at < this.#expected.length;
    if (this.#cursor.next() !== isThere) throw new Error(`it ${isThere ? "ends" : "goes on"}`);
    this.#isStanding = true;
    this.check();
  }

  walk(steps: number): void {
    for (let left = steps; left > 0; left--) this.next();
  }

  check(): void {
    const item = this.#expected[this.#at];
    if (this.#isStanding && item !== undefined) checkShown(this.#cursor.entry, item);
  }

  close(): void {
    this.#cursor.close();
  }
}

function walkerOf(scene: Scene, prng: Prng): Walker {
  const { tree, model } = scene;
  const maxVersion = prng.chance(0.5) ? Infinity : prng.between(0, scene.versionMax);
  const kind = prng.between(0, 2);
  if (kind === 0) {
    const items = model.scan(FAMILY.data, ALL, maxVersion, "all");
    return new Walker(tree.cursor(FAMILY.data, ALL, maxVersion, "all"), items, false);
  }
  const newest = model.scan(FAMILY.data, ALL, maxVersion, "newest");
  if (kind === 1) {
    return new Walker(tree.cursor(FAMILY.data, ALL, maxVersion, "newest"), newest, false);
  }
  const cursor = tree.backwardCursor(FAMILY.data, ALL, maxVersion);
  return new Walker(cursor, newest.toReversed(), true);
}

/** Does one thing after another with a few cursors and a tree, and looks at all after each. */
class Play {
  readonly #scene: Scene;
  readonly #prng: Prng;
  readonly #walkers: Walker[];
  #got: EntryView | undefined = undefined;
  #expected: Item | undefined = undefined;

  constructor(scene: Scene, seed: number) {
    this.#scene = scene;
    this.#prng = new Prng(seed);
    this.#walkers = Array.from({ length: 5 }, () => walkerOf(scene, this.#prng));
  }

  step(): void {
    const prng = this.#prng;
    const at = prng.between(0, this.#walkers.length - 1);
    const walker = this.#walkers[at]!;
    const action = prng.between(0, 9);
    if (action === 0) this.#replace(at);
    else if (action <= 2) walker.seek(keyOf(prng.between(0, KEYS + 1)));
    else if (action <= 4) this.#get();
    else walker.walk(prng.between(1, 30));
    for (const each of this.#walkers) each.check();
    if (this.#got !== undefined) checkShown(this.#got, this.#expected!);
  }

  close(): void {
    for (const walker of this.#walkers) walker.close();
  }

  #replace(at: number): void {
    this.#walkers[at]!.close();
    this.#walkers[at] = walkerOf(this.#scene, this.#prng);
    // That was a call on the tree.
    this.#got = undefined;
  }

  #get(): void {
    const { tree, model, versionMax } = this.#scene;
    const key = keyOf(this.#prng.between(0, KEYS + 1));
    const maxVersion = this.#prng.chance(0.5) ? Infinity : this.#prng.between(0, versionMax);
    this.#got = tree.get(FAMILY.data, key, 0, key.length, maxVersion);
    this.#expected = model.get(FAMILY.data, key, maxVersion);
    if ((this.#got === undefined) !== (this.#expected === undefined)) {
      throw new Error(`a get of ${utf8Text(key)} is wrong`);
    }
  }
}

describe.each([0, 4 * 1024, 24 * 1024])("with a cache of %i bytes", (cacheBytes) => {
  test("everything that is shown stays until its cursor or tree is called again", () => {
    for (let seed = 1; seed <= 3; seed++) {
      const scene = new Scene(cacheBytes, seed);
      const play = new Play(scene, 100 + seed);
      for (let step = 0; step < 200; step++) play.step();
      play.close();
      expect(scene.cache.bytes).toBeLessThanOrEqual(cacheBytes);
    }
  });

  test("nothing is pinned any more when all are closed and the tree is dropped", () => {
    const scene = new Scene(cacheBytes, 1);
    const prng = new Prng(7);
    const walkers = Array.from({ length: 20 }, () => walkerOf(scene, prng));
    for (const walker of walkers) walker.walk(50);
    const key = keyOf(3);
    scene.tree.get(FAMILY.data, key, 0, key.length, Infinity);
    for (const walker of walkers) walker.close();
    scene.tree.drop();
    expect(scene.cache.blockCount).toBe(0);
    expect(scene.cache.pinnedCount).toBe(0);
  });
});
