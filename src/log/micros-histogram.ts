/** Counts durations by powers of two: bucket i holds those of [2^i, 2^(i+1)) microseconds. */
const BUCKETS = 26;

export class MicrosHistogram {
  readonly #counts: number[] = Array.from({ length: BUCKETS }, () => 0);
  #totalMs = 0;

  addMs(durationMs: number): void {
    const micros = Math.max(1, Math.min(durationMs * 1000, 2 ** (BUCKETS - 1)));
    const bucket = 31 - Math.clz32(micros);
    this.#counts[bucket]!++;
    this.#totalMs += durationMs;
  }

  get totalMs(): number {
    return this.#totalMs;
  }

  counts(): readonly number[] {
    return [...this.#counts];
  }
}
