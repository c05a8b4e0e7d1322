/** All mutants, floor by floor. */
import type { Mutant } from "./mutant.js";
import { ELECTION_MUTANTS } from "./mutants-elections.js";
import { READ_MUTANTS } from "./mutants-reads.js";
import { REPLICATION_MUTANTS } from "./mutants-replication.js";
import { SHARD_MUTANTS } from "./mutants-shard.js";
import { STORAGE_MUTANTS } from "./mutants-storage.js";

/** Wrong as well, but not found reliably: runs bring them about too rarely. */
const RARE: ReadonlySet<string> = new Set([
  "vote-not-saved",
  "step-down-forgets-vote",
  "pre-vote-clears-vote",
  "last-term-ignored",
  "stale-votes-counted",
  "old-term-committed-by-count",
  "previous-term-unchecked",
  "snapshot-keeps-other-log",
  "no-check-quorum",
]);

export const ALL_MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
  ...STORAGE_MUTANTS,
  ...SHARD_MUTANTS,
];

/** Those that a campaign has to find. */
export const MUTANTS: readonly Mutant[] = ALL_MUTANTS.filter(({ name }) => !RARE.has(name));

export function mutantNamed(name: string): Mutant {
  const mutant = ALL_MUTANTS.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}`);
  return mutant;
}
