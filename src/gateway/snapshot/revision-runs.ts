/**
 * Key-values in the order of their revisions, by numbers alone: they come in the order of keys and
 * are sorted in runs, which are merged as they are drawn, so that nothing takes long at a time. A
 * key-value takes twelve bytes of memory here.
 */
const RUN_LENGTH = 16_384;

interface Run {
  readonly revisions: Float64Array;
  readonly sizes: Uint32Array;
  readonly length: number;
  at: number;
}

export class RevisionRuns {
  readonly #heap: Run[] = [];
  #revisions: Float64Array = new Float64Array(RUN_LENGTH);
  #sizes: Uint32Array = new Uint32Array(RUN_LENGTH);
  #length = 0;
  #isSealed = false;
  /** Of the one drawn last. */
  revision = 0;
  sizeBytes = 0;

  add(revision: number, sizeBytes: number): void {
    if (this.#length === RUN_LENGTH) this.#seal();
    this.#revisions[this.#length] = revision;
    this.#sizes[this.#length] = sizeBytes;
    this.#length++;
  }

  /** Draws the next one; false at the end. Nothing is added any more. */
  next(): boolean {
    if (!this.#isSealed) this.#begin();
    const run = this.#heap[0];
    if (run === undefined) return false;
    this.revision = run.revisions[run.at]!;
    this.sizeBytes = run.sizes[run.at]!;
    run.at++;
    if (run.at === run.length) {
      const last = this.#heap.pop()!;
      if (this.#heap.length === 0) return true;
      this.#heap[0] = last;
    }
    this.#sink(0);
    return true;
  }

  #begin(): void {
    this.#isSealed = true;
    if (this.#length > 0) this.#seal();
    for (let at = (this.#heap.length >>> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** Sorts what has gathered, as a run of its own. */
  #seal(): void {
    const length = this.#length;
    const revisions = this.#revisions;
    const order = new Uint32Array(length).map((_, i) => i);
    order.sort((a, b) => revisions[a]! - revisions[b]!);
    this.#heap.push({
      revisions: Float64Array.from(order, (i) => revisions[i]!),
      sizes: Uint32Array.from(order, (i) => this.#sizes[i]!),
      length,
      at: 0,
    });
    this.#length = 0;
  }

  /** The run whose next revision is the least is on top. */
  #sink(from: number): void {
    const heap = this.#heap;
    const run = heap[from]!;
    const revision = run.revisions[run.at]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && nextOf(heap[child + 1]!) < nextOf(heap[child]!)) child++;
      if (nextOf(heap[child]!) >= revision) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = run;
  }
}

function nextOf(run: Run): number {
  return run.revisions[run.at]!;
}
