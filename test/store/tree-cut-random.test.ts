/**
 * Trees that are written, flushed, split, cut, given tables from elsewhere, merged and opened
 * again, in an order from a seed and with other settings each time, beside a model of what they
 * hold.
 */
import { describe, expect, test } from "vitest";
import { compareBytes, utf8 } from "../../src/base/bytes.js";
import type { KeyRange } from "../../src/base/key-range.js";
import { intersectRanges, rangeContains } from "../../src/base/key-range.js";
import { Prng } from "../../src/base/prng.js";
import type { FlushedState } from "../../src/lsm/entry.js";
import { FAMILY } from "../../src/lsm/families.js";
import type { Tree } from "../../src/lsm/tree.js";
import { must } from "../../src/base/assert.js";
import { checkStore } from "../../src/store/store-check.js";
import type { StoreOptions } from "../../src/store/store-options.js";
import type { Store } from "../../src/store/store.js";
import { TableStage } from "../../src/store/table-stage.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import type { Item } from "../lsm/tree-model.js";
import { TreeModel, compareItems, stateAt } from "../lsm/tree-model.js";
import { seededRandom } from "../support/test-env.js";
import { differenceFrom } from "./cut-bench.js";
import { ALL, DIRECTORY, openStore } from "./store-bench.js";

const KEYS = 90;
const STEPS = 160;

interface Shard {
  readonly range: KeyRange;
  items: readonly Item[];
}

class Owner {
  readonly #disk: MemoryDisk = new MemoryDisk();
  readonly #prng: Prng;
  readonly #shards: Map<number, Shard> = new Map();
  #store: Store | undefined;
  /** Of entries, and of states: every step has its own. */
  #version = 0;
  #horizon = 0;
  #nextShardId = 2;
  #stagedCount = 0;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  async run(): Promise<string | undefined> {
    await this.#open();
    this.store.createTree(1, ALL, stateAt(0));
    this.#shards.set(1, { range: ALL, items: [] });
    for (let step = 0; step < STEPS; step++) {
      await this.#step();
      const problem = this.#difference();
      if (problem !== undefined) return `after step ${step}: ${problem}`;
    }
    await this.#reopen();
    const problem = this.#difference();
    await this.store.close();
    const findings = checkStore(this.#disk, DIRECTORY).findings.filter(({ isDamage }) => isDamage);
    return problem ?? findings[0]?.what;
  }

  get store(): Store {
    return must(this.#store, "store");
  }

  async #step(): Promise<void> {
    const kind = this.#below(20);
    if (kind < 10) this.#write();
    else if (kind < 13) await this.store.flushNow(this.#anyTree(), this.#state());
    else if (kind < 15) await this.#split();
    else if (kind < 16) await this.#excise();
    else if (kind < 18) await this.#ingest();
    else if (kind < 19) await this.#settle();
    else await this.#reopen();
  }

  #write(): void {
    for (let count = this.#below(20); count >= 0; count--) {
      const key = this.#key();
      const found = [...this.#shards].find(([, { range }]) => rangeContains(range, key));
      if (found === undefined) continue;
      const [shardId, shard] = found;
      const item = this.#item(key, ++this.#version);
      shard.items = [...shard.items, item];
      const { version, tombstone, value } = item;
      const tree = must(this.store.tree(shardId));
      tree.insert(FAMILY.data, key, 0, key.length, version, tombstone, value, 0, value.length);
    }
  }

  async #split(): Promise<void> {
    const [shardId, shard] = this.#anyShard();
    const keys = [this.#key(), this.#key()].filter((key) => rangeContains(shard.range, key));
    const { start, end } = shard.range;
    const starts = [
      start,
      ...keys.filter((key) => compareBytes(key, start) > 0).sort(compareBytes),
    ];
    const distinct = starts.filter((key, at) => at === 0 || compareBytes(key, starts[at - 1]!) > 0);
    const before = this.#state();
    const after = this.#state();
    const isKept = this.#below(3) > 0;
    const parts = distinct.map((from, at) => ({
      shardId: isKept && at === 0 ? shardId : this.#nextShardId++,
      range: { start: from, end: distinct[at + 1] ?? end },
      flushed: after,
    }));
    await this.store.splitTree({ shardId, before, parts });
    this.#shards.delete(shardId);
    for (const part of parts) {
      const items = shard.items.filter(({ key }) => rangeContains(part.range, key));
      this.#shards.set(part.shardId, { range: part.range, items });
    }
  }

  async #excise(): Promise<void> {
    const [shardId, shard] = this.#anyShard();
    const [a, b] = [this.#key(), this.#key()].sort(compareBytes) as [Uint8Array, Uint8Array];
    const range = { start: a, end: this.#below(4) === 0 ? undefined : b };
    const before = this.#state();
    await this.store.exciseRange({ shardId, before, range, after: this.#state() });
    shard.items = shard.items.filter(({ key }) => !rangeContains(range, key));
    if (this.#shards.size > 4 && this.#below(2) === 0) {
      this.store.dropTree(shardId);
      this.#shards.delete(shardId);
    }
  }

  /** Of a version that is new, or of one that has been there for some time. */
  async #ingest(): Promise<void> {
    const [shardId, shard] = this.#anyShard();
    const range = intersectRanges(shard.range, { start: this.#key(), end: undefined });
    const keys = Array.from({ length: KEYS }, (_, n) => keyOf(n))
      .filter((key) => range !== undefined && rangeContains(range, key))
      .slice(0, 1 + this.#below(12));
    if (keys.length === 0) return;
    const before = this.#state();
    const age = this.#below(2) * this.#below(40);
    const version = Math.max(1, ++this.#version - age);
    const items = keys.map((key) => this.#item(key, version));
    this.#disk.makeDirectory("/stage");
    const path = `/stage/${this.#stagedCount++}`;
    const staged = new TableStage({ disk: this.#disk, random: seededRandom(version) }, path);
    for (const { key, tombstone, value } of items) {
      staged.add(key, version, tombstone ? undefined : value);
    }
    staged.finish();
    const after = this.#state();
    const outcome = await this.store.ingestTables({ shardId, before, paths: [path], after });
    if (outcome.kind === "ingested") shard.items = [...shard.items, ...items];
  }

  async #settle(): Promise<void> {
    this.#horizon = Math.max(this.#horizon, this.#version - this.#below(60));
    for (const tree of this.store.trees()) await this.store.flushNow(tree, this.#state());
    const checkpoint = await this.store.checkpointTree(this.#anyTree().shardId);
    await this.store.idle();
    checkpoint.release();
  }

  async #reopen(): Promise<void> {
    for (const tree of this.store.trees()) await this.store.flushNow(tree, this.#state());
    await this.store.close();
    await this.#open();
  }

  async #open(): Promise<void> {
    const { store } = await openStore(this.#disk, this.#options());
    this.#store = store;
  }

  #options(): StoreOptions {
    const style = (["auto", "tiered", "leveled"] as const)[this.#below(3)]!;
    return {
      blockSizeBytes: 64 << this.#below(6),
      blockCacheBytes: this.#below(2) * 32 * 1024,
      compaction: {
        enabled: this.#below(4) > 0,
        style,
        fanIn: 2 + this.#below(3),
        levelBaseBytes: 1024,
        leveledFromBytes: 4096,
        tableBytesMax: 512 << this.#below(3),
        jobsMax: 1 + this.#below(2),
      },
    };
  }

  #state(): FlushedState {
    return stateAt(++this.#version, { compactedRevision: this.#horizon });
  }

  #anyShard(): [number, Shard] {
    const all = [...this.#shards];
    return all[this.#below(all.length)]!;
  }

  #anyTree(): Tree {
    return must(this.store.tree(this.#anyShard()[0]));
  }

  #below(count: number): number {
    return this.#prng.between(0, count - 1);
  }

  #key(): Uint8Array {
    return keyOf(this.#below(KEYS));
  }

  #item(key: Uint8Array, version: number): Item {
    const tombstone = this.#below(5) === 0;
    const length = this.#below(6) === 0 ? 1200 : 10 + this.#below(60);
    return { key, version, tombstone, value: new Uint8Array(tombstone ? 0 : length).fill(version) };
  }

  #difference(): string | undefined {
    const [shardId, { items }] = this.#anyShard();
    const model = new TreeModel();
    model.families.set(FAMILY.data, items.toSorted(compareItems));
    const keys = Array.from({ length: KEYS }, (_, n) => keyOf(n));
    return differenceFrom(must(this.store.tree(shardId)), model, this.#version, keys);
  }
}

function keyOf(n: number): Uint8Array {
  return utf8(`key${String(n).padStart(2, "0")}`);
}

describe("trees that are cut and joined by tables from elsewhere", () => {
  test.each([1, 2, 3, 4, 5, 6])("hold what they should, seed %s", async (seed) => {
    expect(await new Owner(seed).run()).toBeUndefined();
  });
});
