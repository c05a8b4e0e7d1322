/** The commands that show a run once more, on the product that it ran on. */
import { MUTANT_VARIABLE } from "./mutant.js";

/** `only`: the numbers of the faults that are left, as the option takes them; undefined for all. */
export function seeAgain(seed: number, only?: string): string {
  return command(seed, only, "--trace");
}

export function makeSmaller(seed: number, only?: string): string {
  return command(seed, only, "--minimise");
}

function command(seed: number, only: string | undefined, how: string): string {
  const mutant = process.env[MUTANT_VARIABLE];
  return [
    `npm run -s sim -- --seed ${seed}`,
    ...(only === undefined ? [] : [`--only ${only}`]),
    how,
    ...(mutant === undefined ? [] : [`--mutant ${mutant}`]),
  ].join(" ");
}
