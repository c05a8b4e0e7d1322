/**
 * The families of keys in a tree. Each has its own slices and its own rule of what compaction may
 * drop; all of them flush together. The ids are part of the format: DO NOT CHANGE.
 *
 * mvcc        keep every version above the horizon, and of those at or below it the newest, unless
 *             that is a tombstone older than the horizon
 * dropBelow   drop whatever has a version below the horizon
 * newestOnly  keep the newest version of a key; its tombstone goes at the bottom
 *
 * The horizon is the durable compacted revision of the tree (FlushedState), never a younger one.
 */
export const FAMILY = {
  data: 0,
  revisionIndex: 1,
  lease: 2,
  leaseKey: 3,
  session: 4,
  staged: 5,
  expiry: 6,
  auth: 7,
  meta: 8,
} as const;

export type FamilyName = keyof typeof FAMILY;
export type FamilyId = (typeof FAMILY)[FamilyName];

export type GcPolicy = "mvcc" | "dropBelow" | "newestOnly";

export const FAMILY_COUNT = 9;

const POLICIES: readonly GcPolicy[] = [
  "mvcc",
  "dropBelow",
  "newestOnly",
  "newestOnly",
  "newestOnly",
  "newestOnly",
  "newestOnly",
  "newestOnly",
  "newestOnly",
];

export function gcPolicyOf(family: FamilyId): GcPolicy {
  return POLICIES[family]!;
}

/**
 * Whether the keys of a family are those whose ranges make up shards, so that a cut through a tree
 * goes through it; of the others each part has all.
 */
export function isCutByRange(family: FamilyId): boolean {
  return family === FAMILY.data;
}

/** A family for people. */
export function familyName(family: FamilyId): string {
  return Object.entries(FAMILY).find(([, id]) => id === family)?.[0] ?? String(family);
}

/** Whether a number from disk is the id of a family. */
export function isFamilyId(id: number): id is FamilyId {
  return Number.isInteger(id) && id >= 0 && id < FAMILY_COUNT;
}
