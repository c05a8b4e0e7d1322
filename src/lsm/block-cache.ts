/**
 * Bounds the memory of blocks read from sstables. A reader holds each of its blocks in a list by
 * ordinal, so that a hit is one array access; this cache only decides which block leaves its list,
 * by the CLOCK rule: a block that was used since the hand last passed stays for another round.
 * A block enters as not used, so that one long scan does not drive out what is used again.
 */

export interface CachedBlock {
  readonly bytes: Uint8Array;
  referenced: boolean;
}

interface Held {
  readonly list: (CachedBlock | undefined)[];
  readonly ordinal: number;
  readonly block: CachedBlock;
}

export class BlockCache {
  readonly #bytesMax: number;
  readonly #ring: Held[] = [];
  #hand = 0;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get blockCount(): number {
    return this.#ring.length;
  }

  /** Puts a block into its reader's list and lets go of others until the bound holds again. */
  add(list: (CachedBlock | undefined)[], ordinal: number, block: CachedBlock): void {
    list[ordinal] = block;
    this.#bytes += block.bytes.length;
    this.#ring.push({ list, ordinal, block });
    while (this.#bytes > this.#bytesMax && this.#ring.length > 1) this.#releaseOne();
  }

  /** Lets go of all blocks of a list, because its file is closed. */
  forget(list: (CachedBlock | undefined)[]): void {
    for (let i = this.#ring.length - 1; i >= 0; i--) {
      if (this.#ring[i]!.list === list) this.#remove(i);
    }
    if (this.#hand >= this.#ring.length) this.#hand = 0;
  }

  #releaseOne(): void {
    const ring = this.#ring;
    for (;;) {
      if (this.#hand >= ring.length) this.#hand = 0;
      const { block } = ring[this.#hand]!;
      // The newest block is what the caller is about to use.
      if (!block.referenced && this.#hand !== ring.length - 1) break;
      block.referenced = false;
      this.#hand++;
    }
    this.#remove(this.#hand);
    // The newest block is in its place now: it stays for a round, as any other.
    this.#hand++;
  }

  #remove(at: number): void {
    const held = this.#ring[at]!;
    const last = this.#ring.pop()!;
    if (last !== held) this.#ring[at] = last;
    this.#bytes -= held.block.bytes.length;
    held.list[held.ordinal] = undefined;
  }
}
