/** The commands that show a run once more, on the product that it ran on. */

export interface Replay {
  readonly seed: number;
  /** Numbers of the faults that are left, as the option takes them; undefined for all. */
  readonly only?: string | undefined;
  readonly mutant: string | undefined;
}

export function seeAgain(replay: Replay): string {
  return command(replay, "--trace");
}

export function makeSmaller(replay: Replay): string {
  return command(replay, "--minimise");
}

function command({ seed, only, mutant }: Replay, how: string): string {
  return [
    `npm run -s sim -- --seed ${seed}`,
    ...(only === undefined ? [] : [`--only ${only}`]),
    how,
    ...(mutant === undefined ? [] : [`--mutant ${mutant}`]),
  ].join(" ");
}
