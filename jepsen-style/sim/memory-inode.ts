/**
 * One file of the in-memory disk: what programs read (live) and what a power cut leaves (durable),
 * side by side. It knows which 4 KiB pages differ; it never decides by itself what survives, that
 * is drawn from the generator handed to `survivor`.
 */
import type { Prng } from "../../src/base/prng.js";

export const PAGE_SIZE_BYTES = 4096;
export const SECTOR_SIZE_BYTES = 512;

/**
 * What a crash does to what was not synced: "mixed" keeps, drops or tears each page and directory
 * entry on its own, "loseAll" and "keepAll" are the two extremes.
 */
export type CrashStyle = "mixed" | "loseAll" | "keepAll";

export class MemoryInode {
  #live: Uint8Array = new Uint8Array(0);
  #liveSize = 0;
  #durable: Uint8Array = new Uint8Array(0);
  #durableSize = 0;
  readonly #dirtyPages = new Set<number>();
  /** Sectors that cannot be read. */
  readonly #badSectors = new Set<number>();

  get sizeBytes(): number {
    return this.#liveSize;
  }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#liveSize - position));
    target.set(this.#live.subarray(position, position + count), offset);
    return count;
  }

  /** From now on this sector cannot be read, until something else is written there. */
  spoil(sector: number): void {
    this.#badSectors.add(sector);
  }

  /** Whether all of this can be read. */
  isReadable(position: number, length: number): boolean {
    for (const sector of this.#badSectors) {
      const at = sector * SECTOR_SIZE_BYTES;
      if (at < position + length && at + SECTOR_SIZE_BYTES > position) return false;
    }
    return true;
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return;
    const end = position + source.length;
    for (const sector of this.#badSectors) {
      const at = sector * SECTOR_SIZE_BYTES;
      if (at >= position && at + SECTOR_SIZE_BYTES <= end) this.#badSectors.delete(sector);
    }
    this.#live = withCapacity(this.#live, end);
    this.#live.set(source, position);
    this.#markDirty(Math.min(position, this.#liveSize), end);
    this.#liveSize = Math.max(this.#liveSize, end);
  }

  /** Makes live bytes durable: those of one O_DSYNC write, and the size they need. */
  syncRange(position: number, end: number): void {
    this.#durable = withCapacity(this.#durable, end);
    this.#durable.set(this.#live.subarray(position, end), position);
    this.#durableSize = Math.max(this.#durableSize, end);
  }

  sync(): void {
    this.#durable = this.#live.slice();
    this.#durableSize = this.#liveSize;
    this.#dirtyPages.clear();
  }

  /** A failed sync: the system forgets which pages were dirty; a later sync passes over them. */
  forgetDirty(): void {
    this.#dirtyPages.clear();
  }

  /** A failed write with O_DSYNC: the same for its pages. */
  forgetDirtyRange(position: number, end: number): void {
    const last = Math.ceil(end / PAGE_SIZE_BYTES);
    for (let page = Math.floor(position / PAGE_SIZE_BYTES); page < last; page++) {
      this.#dirtyPages.delete(page);
    }
  }

  /** A failed sync on other systems: what is read is what is durable again. */
  revertDirty(): void {
    this.#live = this.#durable.slice();
    this.#liveSize = this.#durableSize;
    this.#dirtyPages.clear();
  }

  truncate(sizeBytes: number): void {
    this.#live = withCapacity(this.#live, sizeBytes);
    this.#live.fill(0, Math.min(sizeBytes, this.#liveSize));
    this.#markDirty(Math.min(sizeBytes, this.#liveSize), Math.max(sizeBytes, this.#liveSize));
    this.#liveSize = sizeBytes;
  }

  /** Flips one bit in what is read and in what is durable. */
  flipBit(bit: number): void {
    const at = bit >> 3;
    const mask = 1 << (bit & 7);
    if (at < this.#liveSize) this.#live[at] = this.#live[at]! ^ mask;
    if (at < this.#durableSize) this.#durable[at] = this.#durable[at]! ^ mask;
  }

  content(): Uint8Array {
    return this.#live.slice(0, this.#liveSize);
  }

  /** What a power cut is promised to leave. */
  durableContent(): Uint8Array {
    return this.#durable.slice(0, this.#durableSize);
  }

  clone(): MemoryInode {
    const copy = new MemoryInode();
    copy.#live = this.#live.slice();
    copy.#liveSize = this.#liveSize;
    copy.#durable = this.#durable.slice();
    copy.#durableSize = this.#durableSize;
    for (const page of this.#dirtyPages) copy.#dirtyPages.add(page);
    for (const sector of this.#badSectors) copy.#badSectors.add(sector);
    return copy;
  }

  /** The file as a crash leaves it: all of it durable. */
  survivor(prng: Prng, style: CrashStyle): MemoryInode {
    const size = keeps(prng, style) ? this.#liveSize : this.#durableSize;
    const bytes = new Uint8Array(size);
    bytes.set(this.#durable.subarray(0, Math.min(size, this.#durableSize)));
    for (const page of [...this.#dirtyPages].sort((a, b) => a - b)) {
      this.#survivePage(bytes, page * PAGE_SIZE_BYTES, prng, style);
    }
    const survivor = new MemoryInode();
    survivor.write(bytes, 0);
    survivor.sync();
    for (const sector of this.#badSectors) survivor.#badSectors.add(sector);
    return survivor;
  }

  #survivePage(bytes: Uint8Array, start: number, prng: Prng, style: CrashStyle): void {
    const fate = style === "mixed" ? prng.between(0, 2) : style === "keepAll" ? 0 : 1;
    if (fate === 1) return;
    for (let at = start; at < start + PAGE_SIZE_BYTES; at += SECTOR_SIZE_BYTES) {
      if (fate === 2 && prng.chance(0.5)) continue;
      const end = Math.min(at + SECTOR_SIZE_BYTES, this.#liveSize, bytes.length);
      if (end > at) bytes.set(this.#live.subarray(at, end), at);
    }
  }

  #markDirty(from: number, end: number): void {
    const last = Math.ceil(end / PAGE_SIZE_BYTES);
    for (let page = Math.floor(from / PAGE_SIZE_BYTES); page < last; page++) {
      this.#dirtyPages.add(page);
    }
  }
}

/** Whether one thing that was not synced survives. */
export function keeps(prng: Prng, style: CrashStyle): boolean {
  return style === "mixed" ? prng.chance(0.5) : style === "keepAll";
}

function withCapacity(bytes: Uint8Array, needed: number): Uint8Array {
  if (needed <= bytes.length) return bytes;
  const grown = new Uint8Array(Math.max(needed, bytes.length * 2));
  grown.set(bytes);
  return grown;
}
