/**
 * The file of bbolt, in which etcd keeps and hands out its data: B+ trees of pages of 4 KiB, called
 * buckets. Little-endian. The format is bbolt's: DO NOT CHANGE.
 *
 *   page     u64 id | u16 kind | u16 count | u32 overflow, how many pages more it has | elements
 *   meta     u32 magic | u32 version, 2 | u32 bytes of a page | u32 0 | u64 root page |
 *            u64 sequence | u64 page of the free list | u64 pages of the file | u64 transaction |
 *            u64 FNV-1a of these. In the pages 0 and 1; the newer one holds
 *   leaf     count times: u32 flags | u32 where the key begins, from here | u32 bytes of the key |
 *            u32 bytes of the value; then the keys, each with its value behind it
 *   branch   count times: u32 where the key begins, from here | u32 bytes of the key |
 *            u64 child page; then the keys, each the first one of its child
 *   bucket   a value in the leaf of the root, with flag 1: u64 root page | u64 sequence; with root
 *            page 0 its one leaf follows as it is
 */
import { fnv1a64 } from "../../base/hash.js";

export const PAGE_BYTES = 4096;
export const PAGE_HEAD_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const PAGE_KINDS = { branch: 1, leaf: 2, meta: 4, freeList: 16 } as const;
export const BUCKET_FLAG = 1;
export const BUCKET_BYTES = 16;
export const META_MAGIC = 0xed0c_daed;
export const META_VERSION = 2;
export const META_BYTES = 64;
export const META_SUM_OFFSET = 56;
/** What a page can count. */
export const COUNT_MAX = 0xffff;

const TWO_32 = 0x1_0000_0000;

export interface LeafEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly isBucket?: boolean | undefined;
}

export interface BranchEntry {
  readonly key: Uint8Array;
  readonly pageId: number;
}

export interface MetaFacts {
  readonly rootPageId: number;
  readonly freeListPageId: number;
  readonly pageCount: number;
  readonly transaction: number;
}

/** Of a leaf or branch, before it is filled up to whole pages. */
export function nodeBytes(count: number, dataBytes: number): number {
  return PAGE_HEAD_BYTES + count * ELEMENT_BYTES + dataBytes;
}

export function pagesFor(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

export function metaPage(pageId: number, facts: MetaFacts): Uint8Array {
  const view = pageOf(PAGE_BYTES, pageId, PAGE_KINDS.meta, 0);
  const at = PAGE_HEAD_BYTES;
  view.setUint32(at, META_MAGIC, true);
  view.setUint32(at + 4, META_VERSION, true);
  view.setUint32(at + 8, PAGE_BYTES, true);
  setU64(view, at + 16, facts.rootPageId);
  setU64(view, at + 32, facts.freeListPageId);
  setU64(view, at + 40, facts.pageCount);
  setU64(view, at + 48, facts.transaction);
  const bytes = bytesOf(view);
  view.setBigUint64(at + META_SUM_OFFSET, fnv1a64(bytes.subarray(at, at + META_SUM_OFFSET)), true);
  return bytes;
}

/** Of a file without holes. */
export function emptyFreeList(pageId: number): Uint8Array {
  return bytesOf(pageOf(PAGE_BYTES, pageId, PAGE_KINDS.freeList, 0));
}

export function leafPage(pageId: number, entries: readonly LeafEntry[]): Uint8Array {
  const bytes = leafBytes(entries);
  const view = pageOf(pagesFor(bytes) * PAGE_BYTES, pageId, PAGE_KINDS.leaf, entries.length);
  return leafInto(view, entries);
}

export function branchPage(pageId: number, children: readonly BranchEntry[]): Uint8Array {
  const dataBytes = children.reduce((bytes, { key }) => bytes + key.length, 0);
  const { length } = children;
  const pages = pagesFor(nodeBytes(length, dataBytes));
  const view = pageOf(pages * PAGE_BYTES, pageId, PAGE_KINDS.branch, length);
  const bytes = bytesOf(view);
  let at = PAGE_HEAD_BYTES;
  let data = nodeBytes(length, 0);
  for (const { key, pageId: child } of children) {
    view.setUint32(at, data - at, true);
    view.setUint32(at + 4, key.length, true);
    setU64(view, at + 8, child);
    bytes.set(key, data);
    data += key.length;
    at += ELEMENT_BYTES;
  }
  return bytes;
}

/** The value of a bucket whose pages lie elsewhere. */
export function bucketValue(rootPageId: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(BUCKET_BYTES));
  setU64(view, 0, rootPageId);
  return bytesOf(view);
}

/** The value of a bucket that is small enough to lie in it. */
export function inlineBucket(entries: readonly LeafEntry[]): Uint8Array {
  const leaf = leafInto(pageOf(leafBytes(entries), 0, PAGE_KINDS.leaf, entries.length), entries);
  const value = new Uint8Array(BUCKET_BYTES + leaf.length);
  value.set(leaf, BUCKET_BYTES);
  return value;
}

function leafBytes(entries: readonly LeafEntry[]): number {
  let dataBytes = 0;
  for (const { key, value } of entries) dataBytes += key.length + value.length;
  return nodeBytes(entries.length, dataBytes);
}

function leafInto(view: DataView, entries: readonly LeafEntry[]): Uint8Array {
  const bytes = bytesOf(view);
  let at = PAGE_HEAD_BYTES;
  let data = nodeBytes(entries.length, 0);
  for (const { key, value, isBucket } of entries) {
    view.setUint32(at, isBucket === true ? BUCKET_FLAG : 0, true);
    view.setUint32(at + 4, data - at, true);
    view.setUint32(at + 8, key.length, true);
    view.setUint32(at + 12, value.length, true);
    bytes.set(key, data);
    bytes.set(value, data + key.length);
    data += key.length + value.length;
    at += ELEMENT_BYTES;
  }
  return bytes;
}

function pageOf(sizeBytes: number, pageId: number, kind: number, count: number): DataView {
  const view = new DataView(new ArrayBuffer(sizeBytes));
  setU64(view, 0, pageId);
  view.setUint16(8, kind, true);
  view.setUint16(10, count, true);
  // Inside a value there are no pages more.
  if (pageId !== 0) view.setUint32(12, pagesFor(sizeBytes) - 1, true);
  return view;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % TWO_32, true);
  view.setUint32(at + 4, Math.floor(value / TWO_32), true);
}
