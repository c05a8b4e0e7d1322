/**
 * What a compaction may drop. It sees the versions of each key from the newest to the oldest,
 * asks nothing but what it was given, and drops only entries of its own inputs.
 *
 * `isBottom` says that no slice outside the inputs can hold an older version of any of their keys:
 * only then may a tombstone go, for otherwise it still hides something.
 */
import type { GcPolicy } from "./families.js";

export class GcFilter {
  readonly #policy: GcPolicy;
  readonly #horizon: number;
  readonly #isBottom: boolean;
  /** Whether a version at or below the horizon was already seen for this key. */
  #isSettled = false;

  constructor(policy: GcPolicy, horizon: number, isBottom: boolean) {
    this.#policy = policy;
    this.#horizon = horizon;
    this.#isBottom = isBottom;
  }

  /** Whether an entry stays. `isNewKey`: it is the newest entry of its key among the inputs. */
  keeps(isNewKey: boolean, version: number, tombstone: boolean): boolean {
    switch (this.#policy) {
      case "mvcc":
        return this.#keepsRevision(isNewKey, version, tombstone);
      case "dropBelow":
        return version >= this.#horizon;
      case "newestOnly":
        return isNewKey && !(tombstone && this.#isBottom);
    }
  }

  #keepsRevision(isNewKey: boolean, version: number, tombstone: boolean): boolean {
    if (isNewKey) this.#isSettled = false;
    if (version > this.#horizon) return true;
    if (this.#isSettled) return false;
    this.#isSettled = true;
    // A tombstone at the horizon is still an event that a watch from there must see.
    return !(tombstone && version < this.#horizon && this.#isBottom);
  }
}
