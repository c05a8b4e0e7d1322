/** How much of what is stored counts as garbage, by what the manifest says of it. */
import { expect, test } from "vitest";
import { FAMILY } from "../../src/lsm/families.js";
import type { FamilyId } from "../../src/lsm/families.js";
import { garbageBytes } from "../../src/lsm/garbage.js";
import type { Slice } from "../../src/lsm/slice.js";

/** Of 1000 bytes: 100 entries of 25 keys, 10 of them tombstones, of the revisions 101 to 200. */
function sliceOf(family: FamilyId): Slice {
  const range = { start: Uint8Array.of(0), end: undefined };
  const counts = { entryCount: 100, keyCount: 25, tombstoneCount: 10, sizeBytes: 1000 };
  const versions = { minVersion: 101, maxVersion: 200 };
  return { fileNumber: 1, family, level: 0, range, filterRange: range, ...versions, ...counts };
}

test.each([
  [0, 0, 0],
  [100, 0, 0],
  [150, 375, 490],
  [200, 750, 990],
  [900, 750, 1000],
])("with nothing kept below revision %i", (horizon, ofData, ofIndex) => {
  expect(garbageBytes([sliceOf(FAMILY.data)], horizon)).toBe(ofData);
  expect(garbageBytes([sliceOf(FAMILY.revisionIndex)], horizon)).toBe(ofIndex);
  // Only the newest of a key is ever asked for, whatever was compacted.
  expect(garbageBytes([sliceOf(FAMILY.lease), sliceOf(FAMILY.meta)], horizon)).toBe(1500);
});
