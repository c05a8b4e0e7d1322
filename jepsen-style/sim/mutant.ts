/**
 * A mutant: one historic bug as a change of our own code. The product has no switches for it; the
 * compiled file is changed while it is loaded (mutant-loader.ts), so that a process which was
 * started for a mutant runs the product with that bug and is otherwise as always.
 *
 * `find` is a piece of code that is the same in TypeScript and in JavaScript but for its white
 * space, which does not count. It occurs exactly once in its file; where it does not, the mutant
 * has rotted, and that is an error.
 */
export interface Mutant {
  readonly name: string;
  /** What went wrong, in which kind of system. */
  readonly bug: string;
  /** Below src, without its ending. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Tells a process which mutant it runs. */
export const MUTANT_VARIABLE = "FLOTILLA_SIM_MUTANT";

/** How often what it looks for occurs in a file. */
export function occurrencesOf(mutant: Mutant, text: string): number {
  return [...text.matchAll(patternOf(mutant))].length;
}

/** The file with the bug. */
export function mutated(mutant: Mutant, text: string): string {
  const count = occurrencesOf(mutant, text);
  if (count !== 1) {
    throw new Error(`mutant ${mutant.name}: what it changes occurs ${count} times, not once`);
  }
  return text.replace(patternOf(mutant), () => mutant.replace);
}

/** White space and the comma behind a last element are the formatter's business. */
function patternOf({ find }: Mutant): RegExp {
  const pieces = find.trim().split(/\s+/);
  const escaped = pieces.map((piece) => piece.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&"));
  return new RegExp(escaped.join("\\s+"), "g");
}
