/**
 * Decides which packs to write anew, all of them into one; pure. A pack is worth it when most of it
 * is of no use any more, and small packs are when there are many: so the space that is lost in
 * packs, and their number, have a bound.
 */
import type { CatalogPack } from "./catalog.js";

/** Of a pack, how much is to be of use. */
const LIVE_FRACTION_MIN = 0.5;
const SMALL_SIZE_BYTES = 256 * 1024;
/** Small packs that may lie about. */
const SMALL_COUNT_MAX = 32;
/** What is written at once. */
const PICKED_SIZE_BYTES_MAX = 16 * 1024 * 1024;
const PICKED_TABLES_MAX = 1024;

/** Their numbers; `excluded` are left as they are. */
export function pickPacks(
  packs: Iterable<CatalogPack>,
  excluded: ReadonlySet<number>,
): readonly number[] {
  const candidates = [...packs].filter(({ packNumber }) => !excluded.has(packNumber));
  const sparse = candidates.filter((pack) => pack.liveBytes < pack.sizeBytes * LIVE_FRACTION_MIN);
  if (sparse.length > 0) return withinBounds(sparse);
  const small = candidates.filter(({ sizeBytes }) => sizeBytes < SMALL_SIZE_BYTES);
  return small.length > SMALL_COUNT_MAX ? withinBounds(small) : [];
}

function withinBounds(packs: readonly CatalogPack[]): readonly number[] {
  const picked: number[] = [];
  let sizeBytes = 0;
  let tables = 0;
  for (const pack of packs) {
    if (sizeBytes >= PICKED_SIZE_BYTES_MAX || tables >= PICKED_TABLES_MAX) break;
    sizeBytes += pack.liveBytes;
    tables += pack.tables.size;
    picked.push(pack.packNumber);
  }
  return picked;
}
