/**
 * What a leader has decided of leases and not yet applied: grants, renewals and ends in the order
 * of evaluation, and of each lease the newest. They leave at the front with their entries, at the
 * back when evaluations are taken back, and all together when leadership ends.
 */
import { assert, must } from "../base/assert.js";

/** Applied changes that are kept in the list before it is made shorter. */
const LIST_MAX = 4096;

export interface LeaseChange {
  readonly id: bigint;
  /** undefined: the lease has ended. */
  readonly live: { readonly ttlSeconds: number; readonly deadlineMs: number } | undefined;
}

interface Held extends LeaseChange {
  /** The change of the same lease before this one. */
  older: Held | undefined;
  /** Whether it was applied: nothing may go back to it. */
  applied: boolean;
}

export class LeaseOverlay {
  #changes: Held[] = [];
  /** Changes before this place in the list were applied. */
  #head = 0;
  /** Of all changes there ever were, how many are no longer in the list. */
  #gone = 0;
  readonly #newest: Map<bigint, Held> = new Map();

  get size(): number {
    return this.#changes.length - this.#head;
  }

  newest(id: bigint): LeaseChange | undefined {
    return this.#newest.get(id);
  }

  add(change: LeaseChange): void {
    const held: Held = { ...change, older: this.#newest.get(change.id), applied: false };
    this.#changes.push(held);
    this.#newest.set(change.id, held);
  }

  /** A place to roll back to. */
  mark(): number {
    return this.#gone + this.#changes.length;
  }

  rollback(mark: number): void {
    while (this.mark() > mark) {
      const { id, older } = must(this.#changes.pop());
      if (older === undefined || older.applied) this.#newest.delete(id);
      else this.#newest.set(id, older);
    }
  }

  /** The oldest change, which is one of the lease `id`, was applied. */
  applied(id: bigint): void {
    const held = must(this.#changes[this.#head], "a change of a lease");
    assert(held.id === id, "a change of a lease was applied that the overlay does not start with");
    held.applied = true;
    held.older = undefined;
    if (this.#newest.get(id) === held) this.#newest.delete(id);
    this.#head++;
    if (this.#head === this.#changes.length || this.#head === LIST_MAX) this.#drop();
  }

  clear(): void {
    this.#head = this.#changes.length;
    this.#drop();
    this.#newest.clear();
  }

  #drop(): void {
    this.#gone += this.#head;
    this.#changes.splice(0, this.#head);
    this.#head = 0;
  }
}
