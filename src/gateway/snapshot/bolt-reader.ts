/**
 * Reads a file of bbolt, page by page as it is asked for; see bolt-format.ts. Whoever wrote it:
 * nothing in it is taken for granted, and what does not fit is a DecodeError.
 */
import { equalBytes } from "../../base/bytes.js";
import { DecodeError } from "../../base/coding.js";
import { fnv1a64 } from "../../base/hash.js";
import {
  BUCKET_BYTES,
  BUCKET_FLAG,
  ELEMENT_BYTES,
  META_BYTES,
  META_MAGIC,
  META_SUM_OFFSET,
  META_VERSION,
  PAGE_HEAD_BYTES,
  PAGE_KINDS,
} from "./bolt-format.js";
import type { LeafEntry } from "./bolt-format.js";

/** Trees are lower; only one with a circle in it is not. */
const DEPTH_MAX = 32;
const PAGE_BYTES_MIN = 512;
const PAGE_BYTES_MAX: number = 64 * 1024;

/** Bytes of the file; fewer where it ends. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

interface Meta {
  readonly pageBytes: number;
  readonly rootPageId: number;
  readonly transaction: number;
}

export class BoltReader {
  readonly #readAt: ReadAt;
  readonly #meta: Meta;

  static async open(readAt: ReadAt): Promise<BoltReader> {
    const first = metaIn(await readAt(0, PAGE_HEAD_BYTES + META_BYTES));
    let second: Meta | undefined;
    for (let bytes = PAGE_BYTES_MIN; bytes <= PAGE_BYTES_MAX; bytes *= 2) {
      const found = metaIn(await readAt(bytes, PAGE_HEAD_BYTES + META_BYTES));
      if (found?.pageBytes === bytes) second = found;
    }
    const metas = [first, second].filter((meta) => meta !== undefined);
    const newest = metas.sort((a, b) => b.transaction - a.transaction)[0];
    if (newest === undefined) throw new DecodeError("this is no file of etcd");
    return new BoltReader(readAt, newest);
  }

  private constructor(readAt: ReadAt, meta: Meta) {
    this.#readAt = readAt;
    this.#meta = meta;
  }

  /** The entries of a bucket, ascending, leaf by leaf; none where there is no such bucket. */
  async *leaves(name: Uint8Array): AsyncGenerator<Iterable<LeafEntry>, void> {
    for await (const leaf of this.#tree(this.#meta.rootPageId, 0)) {
      for (const { key, value, isBucket } of leaf) {
        if (isBucket !== true || !equalBytes(key, name)) continue;
        if (value.length < BUCKET_BYTES) throw new DecodeError("a bucket is cut short");
        const root = u64(viewOf(value), 0);
        if (root === 0) yield leafEntries(value.subarray(BUCKET_BYTES));
        else yield* this.#tree(root, 0);
      }
    }
  }

  async *#tree(pageId: number, depth: number): AsyncGenerator<Iterable<LeafEntry>, void> {
    if (depth > DEPTH_MAX) throw new DecodeError("pages lead round in a circle");
    const page = await this.#page(pageId);
    const kind = viewOf(page).getUint16(8, true);
    if (kind === PAGE_KINDS.leaf) return yield leafEntries(page);
    if (kind !== PAGE_KINDS.branch) throw new DecodeError(`page ${pageId} is of kind ${kind}`);
    for (const child of childrenIn(page)) yield* this.#tree(child, depth + 1);
  }

  async #page(pageId: number): Promise<Uint8Array> {
    const { pageBytes } = this.#meta;
    const first = await this.#read(pageId * pageBytes, pageBytes);
    const view = viewOf(first);
    if (u64(view, 0) !== pageId) throw new DecodeError(`page ${pageId} is another one`);
    const overflow = view.getUint32(12, true);
    return overflow === 0 ? first : this.#read(pageId * pageBytes, (1 + overflow) * pageBytes);
  }

  async #read(offset: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#readAt(offset, length);
    if (bytes.length < length) throw new DecodeError("the file is cut short");
    return bytes;
  }
}

function metaIn(bytes: Uint8Array): Meta | undefined {
  if (bytes.length < PAGE_HEAD_BYTES + META_BYTES) return undefined;
  const meta = bytes.subarray(PAGE_HEAD_BYTES);
  const view = viewOf(meta);
  const isMeta =
    view.getUint32(0, true) === META_MAGIC &&
    view.getUint32(4, true) === META_VERSION &&
    view.getBigUint64(META_SUM_OFFSET, true) === fnv1a64(meta.subarray(0, META_SUM_OFFSET));
  if (!isMeta) return undefined;
  const pageBytes = view.getUint32(8, true);
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX) return undefined;
  return { pageBytes, rootPageId: u64(view, 16), transaction: u64(view, 48) };
}

function* leafEntries(page: Uint8Array): Generator<LeafEntry, void> {
  const view = viewOf(page);
  const count = countOf(page);
  for (
    let at = PAGE_HEAD_BYTES;
    at < PAGE_HEAD_BYTES + count * ELEMENT_BYTES;
    at += ELEMENT_BYTES
  ) {
    const keyAt = at + view.getUint32(at + 4, true);
    const valueAt = keyAt + view.getUint32(at + 8, true);
    const key = part(page, keyAt, valueAt);
    const value = part(page, valueAt, valueAt + view.getUint32(at + 12, true));
    yield { key, value, isBucket: (view.getUint32(at, true) & BUCKET_FLAG) !== 0 };
  }
}

function childrenIn(page: Uint8Array): number[] {
  const view = viewOf(page);
  return Array.from({ length: countOf(page) }, (_, i) =>
    u64(view, PAGE_HEAD_BYTES + i * ELEMENT_BYTES + 8),
  );
}

function countOf(page: Uint8Array): number {
  if (page.length < PAGE_HEAD_BYTES) throw new DecodeError("a page is cut short");
  const count = viewOf(page).getUint16(10, true);
  if (PAGE_HEAD_BYTES + count * ELEMENT_BYTES > page.length) {
    throw new DecodeError("a page has not the elements that it counts");
  }
  return count;
}

function part(page: Uint8Array, from: number, end: number): Uint8Array {
  if (end > page.length) throw new DecodeError("an element reaches beyond its page");
  return page.subarray(from, end);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Page ids and the like; what is larger than any is none. */
function u64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}
