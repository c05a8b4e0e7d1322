/** Which blocks the cache lets go of. */
import { expect, test } from "vitest";
import { BlockCache } from "../../src/lsm/block-cache.js";
import type { CachedBlock } from "../../src/lsm/block-cache.js";

const BLOCK_BYTES = 100;

function block(): CachedBlock {
  return { bytes: new Uint8Array(BLOCK_BYTES), referenced: false };
}

/** The ordinals that are in memory after blocks 0 to `count` - 1 were added one after another. */
function heldAfter(cache: BlockCache, list: (CachedBlock | undefined)[], count: number): number[] {
  for (let ordinal = 0; ordinal < count; ordinal++) {
    if (list[ordinal] === undefined) cache.add(list, ordinal, block());
  }
  return list.flatMap((held, ordinal) => (held === undefined ? [] : [ordinal]));
}

test("keeps to its bound and lets the oldest go, not the one that came last", () => {
  const cache = new BlockCache(4 * BLOCK_BYTES);
  expect(heldAfter(cache, [], 4)).toEqual([0, 1, 2, 3]);
  const later: (CachedBlock | undefined)[] = [];
  expect(heldAfter(cache, later, 4)).toEqual([0, 1, 2, 3]);
  expect(cache.bytes).toBe(4 * BLOCK_BYTES);
  expect(heldAfter(cache, later, 7)).toEqual([3, 4, 5, 6]);
});

test("what was used since the last round stays for another", () => {
  const cache = new BlockCache(4 * BLOCK_BYTES);
  const list: (CachedBlock | undefined)[] = [];
  heldAfter(cache, list, 4);
  list[1]!.referenced = true;
  expect(heldAfter(cache, list, 6)).toEqual([1, 3, 4, 5]);
});

test("forgets the blocks of a closed file", () => {
  const cache = new BlockCache(8 * BLOCK_BYTES);
  const closed: (CachedBlock | undefined)[] = [];
  const open: (CachedBlock | undefined)[] = [];
  heldAfter(cache, closed, 3);
  heldAfter(cache, open, 3);
  cache.forget(closed);
  expect(cache.blockCount).toBe(3);
  expect(heldAfter(cache, open, 8)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});
