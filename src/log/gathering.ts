/**
 * The changes that wait for the next write, in order, with the callbacks that wait for them. Items
 * are encoded at once; the bytes of runs are not copied here but into the batch that is written.
 * A batch takes as many items as fit, so one gathering may become several batches.
 */
import { assert } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import type { EntryRun } from "../base/entry-run.js";
import { ITEM_SIZE_BYTES, batchLength } from "./batch-format.js";
import type { Item } from "./batch-format.js";

/** A backlog that never empties still lets go of what was taken from its front. */
const FORGET_AFTER_ITEMS = 4096;

export class Gathering {
  readonly #items: ByteWriter = new ByteWriter(4096);
  /** One per item: the run of an append, undefined for the others. */
  readonly #runs: (EntryRun | undefined)[] = [];
  /** Callbacks, and beside each how many items must be durable first. */
  readonly #dones: (() => void)[] = [];
  readonly #doneAfter: number[] = [];
  #takenItems = 0;
  #takenDones = 0;
  #payloadLength = 0;

  get itemCount(): number {
    return this.#runs.length - this.#takenItems;
  }

  /** Bytes of runs that wait. */
  get payloadLength(): number {
    return this.#payloadLength;
  }

  /** Whether somebody waits for the next write. */
  get wanted(): boolean {
    return this.#takenDones < this.#dones.length;
  }

  get empty(): boolean {
    return this.itemCount === 0 && !this.wanted;
  }

  add(item: Item, run: EntryRun | undefined): void {
    const at = this.#items.reserve(ITEM_SIZE_BYTES);
    item.write(this.#items.bytes, at);
    this.#runs.push(run);
    if (run !== undefined) this.#payloadLength += run.bytes.length;
  }

  whenDurable(done: () => void): void {
    this.#dones.push(done);
    this.#doneAfter.push(this.#runs.length);
  }

  /**
   * How many of the waiting items fit into a batch of `room` bytes beside `extraItems` others;
   * after the first one, only as many as keep it within `aimBytes`.
   */
  countThatFits(extraItems: number, room: number, aimBytes: number): number {
    let payload = 0;
    let count = 0;
    for (let i = this.#takenItems; i < this.#runs.length; i++) {
      payload += this.#runs[i]?.bytes.length ?? 0;
      const length = batchLength(extraItems + count + 1, payload);
      if (length > room || (count > 0 && length > aimBytes)) break;
      count++;
    }
    return count;
  }

  /** Reads the `position`-th waiting item. */
  peek(position: number, item: Item): void {
    assert(position < this.itemCount, "no such item waits");
    item.read(this.#items.bytes, (this.#takenItems + position) * ITEM_SIZE_BYTES);
  }

  /** The run of the `position`-th waiting item. */
  runAt(position: number): EntryRun | undefined {
    return this.#runs[this.#takenItems + position];
  }

  /** Takes `count` items away; their callbacks, and those of items before, go to `dones`. */
  take(count: number, dones: (() => void)[]): void {
    for (let i = 0; i < count; i++) {
      const at = this.#takenItems + i;
      this.#payloadLength -= this.#runs[at]?.bytes.length ?? 0;
      this.#runs[at] = undefined;
    }
    this.#takenItems += count;
    while (this.wanted && this.#doneAfter[this.#takenDones]! <= this.#takenItems) {
      dones.push(this.#dones[this.#takenDones]!);
      this.#takenDones++;
    }
    if (this.empty) this.#reset();
    else if (this.#takenItems > FORGET_AFTER_ITEMS) this.#forgetTaken();
  }

  #forgetTaken(): void {
    const at = this.#takenItems * ITEM_SIZE_BYTES;
    this.#items.bytes.copyWithin(0, at, this.#items.length);
    this.#items.length -= at;
    this.#runs.splice(0, this.#takenItems);
    this.#dones.splice(0, this.#takenDones);
    this.#doneAfter.splice(0, this.#takenDones);
    for (let i = 0; i < this.#doneAfter.length; i++) this.#doneAfter[i]! -= this.#takenItems;
    this.#takenItems = 0;
    this.#takenDones = 0;
  }

  #reset(): void {
    this.#items.reset();
    this.#runs.length = 0;
    this.#dones.length = 0;
    this.#doneAfter.length = 0;
    this.#takenItems = 0;
    this.#takenDones = 0;
    this.#payloadLength = 0;
  }
}
