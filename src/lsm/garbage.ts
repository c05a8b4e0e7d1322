/**
 * How many bytes of slices nobody can ask for any more, by what the manifest says of them; pure. An
 * estimate: versions count as evenly spread over the revisions of a slice, and keys that lie in
 * several slices are not seen, which merges keep few.
 */
import { garbageFraction } from "./compaction-picker.js";
import { gcPolicyOf } from "./families.js";
import type { Slice } from "./slice.js";

export function garbageBytes(slices: readonly Slice[], horizon: number): number {
  let bytes = 0;
  for (const slice of slices) bytes += Math.round(slice.sizeBytes * fractionOf(slice, horizon));
  return bytes;
}

function fractionOf(slice: Slice, horizon: number): number {
  switch (gcPolicyOf(slice.family)) {
    case "dropBelow":
      return fractionBelow(slice, horizon);
    case "mvcc":
      return fractionBelow(slice, horizon + 1) * garbageFraction(slice, true);
    case "newestOnly":
      return garbageFraction(slice, true);
  }
}

/** Of the revisions that a slice has, how many are below one. */
function fractionBelow({ minVersion, maxVersion }: Slice, revision: number): number {
  const below = (revision - minVersion) / (maxVersion - minVersion + 1);
  return Math.min(Math.max(below, 0), 1);
}
