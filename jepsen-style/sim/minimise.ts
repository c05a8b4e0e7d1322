/**
 * Makes a failing run smaller: takes faults out of its list as long as it still fails (delta
 * debugging: halves first, then ever smaller parts). The list drives the run, not the generator, so
 * what is left means what it meant before.
 */
import type { Fault } from "./faults.js";
import type { Settings } from "./settings.js";
import { simulate } from "./simulate.js";

/** The faults that are left; undefined where the run does not fail. */
export async function minimise(
  settings: Settings,
  faults: readonly Fault[],
  say: (line: string) => void,
): Promise<readonly Fault[] | undefined> {
  const failureOf = async (some: readonly Fault[]): Promise<string | undefined> =>
    (await simulate(settings, some)).failure;
  const failure = await failureOf(faults);
  if (failure === undefined) {
    say(`seed ${settings.seed} does not fail`);
    return undefined;
  }
  say(`seed ${settings.seed}, ${faults.length} faults: ${failure}`);
  let kept = faults;
  let parts = 2;
  while (kept.length > 0 && parts <= 2 * kept.length) {
    const size = Math.ceil(kept.length / parts);
    const smaller = await firstThatFails(kept, size, failureOf);
    if (smaller === undefined) {
      if (size === 1) break;
      parts *= 2;
      continue;
    }
    kept = smaller;
    parts = Math.max(2, parts - 1);
    say(`  still fails with ${kept.length}`);
  }
  return kept;
}

/** The list without one of its parts of `size`, the first that still fails. */
async function firstThatFails(
  faults: readonly Fault[],
  size: number,
  failureOf: (some: readonly Fault[]) => Promise<string | undefined>,
): Promise<readonly Fault[] | undefined> {
  for (let at = 0; at < faults.length; at += size) {
    const rest = [...faults.slice(0, at), ...faults.slice(at + size)];
    if ((await failureOf(rest)) !== undefined) return rest;
  }
  return undefined;
}
