/**
 * A snapshot as etcd makes it: its file of one revision, and the SHA-256 of that behind it. The
 * file has the keys of that revision and counts as compacted there, so that it needs no history;
 * whoever restores it goes on with the next revision.
 *
 *   pages 0, 1   meta
 *   page 2       the free list, empty
 *   page 3       the buckets, those that are small lie in it
 *   then         the bucket of keys, by revision; the bucket of leases
 *
 * The first page says where the last one lies, and keys come in another order than they are
 * written in. So they are read twice: once for revisions and sizes, which give the place of
 * everything, and then for what is written, a stretch of revisions at a time, which is as large as
 * may be held in memory. What is small enough is held, and read once.
 */
import { assert } from "../../base/assert.js";
import { utf8 } from "../../base/bytes.js";
import { ByteWriter } from "../../base/coding.js";
import { Sha256 } from "../../base/sha256.js";
import {
  PAGE_BYTES,
  bucketValue,
  emptyFreeList,
  inlineBucket,
  leafPage,
  metaPage,
} from "./bolt-format.js";
import type { LeafEntry } from "./bolt-format.js";
import { BucketLayout } from "./bucket-layout.js";
import {
  BUCKETS,
  KEY_BUCKET,
  LEASE_BUCKET,
  META_BUCKET,
  META_KEYS,
  leaseKey,
  leaseValue,
  revisionKey,
  u64,
} from "./etcd-layout.js";
import { LEASES_PER_LEAF, leaseTtls } from "./snapshot-leases.js";
import { Stretch } from "./stretch.js";
import {
  HELD_BYTES_MAX,
  PLACED_AT_ONCE,
  ROW_BYTES,
  RowKeeper,
  WRITTEN_AT_ONCE,
  survey,
} from "./survey.js";
import type { Row, SnapshotSource, SourceFacts } from "./survey.js";

const FREE_LIST_ID = 2;
const ROOT_ID = 3;
const FIRST_ID = 4;
/** Of the log of who restores it; any number does that is not 0. */
const APPLIED_INDEX = 1n;
export class SnapshotPlan {
  readonly keys: number;
  /** Of all that `pieces` gives, but for the SHA-256 at its end. */
  readonly fileBytes: number;
  readonly #source: SnapshotSource;
  readonly #facts: SourceFacts;
  readonly #keyLayout: BucketLayout | undefined;
  readonly #leaseLayout: BucketLayout | undefined;
  readonly #leases: readonly LeafEntry[];
  readonly #pageCount: number;

  /** Reads everything once. */
  static async make(source: SnapshotSource): Promise<SnapshotPlan> {
    const facts = await survey(source);
    const ttls = source.leases === undefined ? [] : await leaseTtls(facts.leaseIds, source.leases);
    const leases = ttls.map(([id, ttl]) => ({ key: leaseKey(id), value: leaseValue(id, ttl) }));
    return new SnapshotPlan(source, facts, leases);
  }

  private constructor(source: SnapshotSource, facts: SourceFacts, leases: readonly LeafEntry[]) {
    this.#source = source;
    this.#facts = facts;
    this.#leases = leases;
    this.keys = facts.keys;
    const { leaves } = facts;
    let end = FIRST_ID;
    if (leaves.leafCount > 0) {
      const keyOf = (leaf: number): Uint8Array => revisionKey(leaves.firstRevisions[leaf]!, 0);
      this.#keyLayout = new BucketLayout(end, leaves.pageCounts, keyOf);
      end = this.#keyLayout.endId;
    }
    if (leases.length > 0) {
      const counts = Array<number>(Math.ceil(leases.length / LEASES_PER_LEAF)).fill(1);
      const keyOf = (leaf: number): Uint8Array => leases[leaf * LEASES_PER_LEAF]!.key;
      this.#leaseLayout = new BucketLayout(end, counts, keyOf);
      end = this.#leaseLayout.endId;
    }
    this.#pageCount = end;
    this.fileBytes = end * PAGE_BYTES;
  }

  /** The file in pieces of one size, but for its last one, and its SHA-256. */
  async *pieces(sizeBytes: number): AsyncGenerator<Uint8Array, void> {
    const hash = new Sha256();
    let waiting = new ByteWriter(sizeBytes + PAGE_BYTES);
    for await (const page of this.#pages()) {
      waiting.raw(page);
      if (waiting.length < sizeBytes) continue;
      const bytes = waiting.view();
      waiting = new ByteWriter(sizeBytes + PAGE_BYTES);
      let at = 0;
      for (; bytes.length - at >= sizeBytes; at += sizeBytes) {
        const piece = bytes.subarray(at, at + sizeBytes);
        hash.update(piece);
        yield piece;
      }
      waiting.raw(bytes.subarray(at));
    }
    if (waiting.length > 0) {
      hash.update(waiting.view());
      yield waiting.view();
    }
    yield hash.digest();
  }

  async *#pages(): AsyncGenerator<Uint8Array, void> {
    const meta = { rootPageId: ROOT_ID, freeListPageId: FREE_LIST_ID, pageCount: this.#pageCount };
    yield metaPage(0, { ...meta, transaction: 0 });
    yield metaPage(1, { ...meta, transaction: 1 });
    yield emptyFreeList(FREE_LIST_ID);
    yield leafPage(ROOT_ID, this.#buckets());
    yield* this.#keyPages();
    yield* this.#leasePages();
  }

  #buckets(): readonly LeafEntry[] {
    return BUCKETS.map((name) => ({ key: utf8(name), value: this.#bucket(name), isBucket: true }));
  }

  #bucket(name: string): Uint8Array {
    if (name === META_BUCKET) return inlineBucket(metaEntries(this.#source.revision));
    let layout: BucketLayout | undefined;
    if (name === KEY_BUCKET) layout = this.#keyLayout;
    if (name === LEASE_BUCKET) layout = this.#leaseLayout;
    return layout === undefined ? inlineBucket([]) : bucketValue(layout.rootId);
  }

  async *#keyPages(): AsyncGenerator<Uint8Array, void> {
    const { held, leaves } = this.#facts;
    if (this.#keyLayout === undefined) return;
    let from = 0;
    while (from < leaves.leafCount) {
      const end = held === undefined ? this.#stretchFrom(from) : leaves.leafCount;
      const stretch = new Stretch(leaves, from, end);
      if (held === undefined) await this.#read(stretch);
      else await this.#place(held, stretch);
      yield* this.#leavesOf(stretch, from);
      from = end;
    }
    yield* this.#keyLayout.branches();
  }

  /** As many leaves as may be held. */
  #stretchFrom(from: number): number {
    const { leafCount, pageCounts, rowCounts } = this.#facts.leaves;
    let left = this.#source.heldBytesMax ?? HELD_BYTES_MAX;
    let end = from;
    while (end < leafCount && (left > 0 || end === from)) {
      left -= pageCounts[end]! * PAGE_BYTES + rowCounts[end]! * ROW_BYTES;
      end++;
    }
    return end;
  }

  async #read(stretch: Stretch): Promise<void> {
    const keeper = new RowKeeper();
    for await (const kv of this.#source.rows()) {
      if (stretch.has(kv.modRevision)) stretch.place(keeper.rowOf(kv));
    }
  }

  async #place(held: readonly Row[], stretch: Stretch): Promise<void> {
    for (const [i, row] of held.entries()) {
      stretch.place(row);
      if (i % PLACED_AT_ONCE === 0) await this.#source.pause();
    }
  }

  async *#leavesOf(stretch: Stretch, from: number): AsyncGenerator<Uint8Array, void> {
    const layout = this.#keyLayout!;
    for (const [i, rows] of stretch.leaves.entries()) {
      const page = leafPage(layout.leafId(from + i), entriesOf(rows));
      const pages = this.#facts.leaves.pageCounts[from + i]!;
      assert(page.length === pages * PAGE_BYTES, "rows are the same each time they are read");
      yield page;
      if (i % WRITTEN_AT_ONCE === 0) await this.#source.pause();
    }
  }

  *#leasePages(): Generator<Uint8Array, void> {
    const layout = this.#leaseLayout;
    if (layout === undefined) return;
    for (let leaf = 0; leaf * LEASES_PER_LEAF < this.#leases.length; leaf++) {
      const from = leaf * LEASES_PER_LEAF;
      yield leafPage(layout.leafId(leaf), this.#leases.slice(from, from + LEASES_PER_LEAF));
    }
    yield* layout.branches();
  }
}

/** In the order of revisions; those of one transaction are told apart by their places in it. */
function entriesOf(rows: readonly Row[]): readonly LeafEntry[] {
  let last = 0;
  let place = 0;
  return rows
    .toSorted((a, b) => a.revision - b.revision)
    .map(({ revision, bytes }) => {
      place = revision === last ? place + 1 : 0;
      last = revision;
      return { key: revisionKey(revision, place), value: bytes };
    });
}

function metaEntries(revision: number): readonly LeafEntry[] {
  const compacted = revisionKey(revision, 0);
  return [
    { key: utf8(META_KEYS.applied), value: u64(APPLIED_INDEX) },
    { key: utf8(META_KEYS.compacted), value: compacted },
    { key: utf8(META_KEYS.compacting), value: compacted },
  ];
}
