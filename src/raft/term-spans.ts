/**
 * The terms of entries that lie behind each other, without the entries: one span for each term, so
 * that a log of any length takes a few numbers.
 */
export class TermSpans {
  /** The last index of each span, ascending; the first begins wherever its owner says. */
  readonly #lastIndexes: number[] = [];
  readonly #terms: number[] = [];

  /** 0 where there is nothing. */
  get lastIndex(): number {
    return this.#lastIndexes.at(-1) ?? 0;
  }

  /** Adds the entries behind the last one, up to `lastIndex`. */
  add(lastIndex: number, term: number): void {
    const at = this.#terms.length - 1;
    if (at >= 0 && this.#terms[at] === term) {
      this.#lastIndexes[at] = lastIndex;
      return;
    }
    this.#lastIndexes.push(lastIndex);
    this.#terms.push(term);
  }

  /** The term of an entry at or below the last. */
  termAt(index: number): number {
    return this.#terms[this.#lastIndexes.findIndex((last) => index <= last)]!;
  }

  /** The highest index at or below `index` whose term is at most `term`; 0 where there is none. */
  highestWithin(index: number, term: number): number {
    const at = this.#terms.findLastIndex((own) => own <= term);
    return at < 0 ? 0 : Math.min(index, this.#lastIndexes[at]!);
  }

  /** Drops the entries up to `index`. */
  dropTo(index: number): void {
    const kept = this.#lastIndexes.findIndex((last) => last > index);
    const count = kept < 0 ? this.#terms.length : kept;
    this.#lastIndexes.splice(0, count);
    this.#terms.splice(0, count);
  }

  clear(): void {
    this.dropTo(this.lastIndex);
  }
}
