/** All mutants, floor by floor. */
import type { Mutant } from "./mutant.js";
import { ELECTION_MUTANTS } from "./mutants-elections.js";
import { READ_MUTANTS } from "./mutants-reads.js";
import { REPLICATION_MUTANTS } from "./mutants-replication.js";
import { SHARD_MUTANTS } from "./mutants-shard.js";
import { STORAGE_MUTANTS } from "./mutants-storage.js";

/** Wrong as well, but not found reliably: runs bring them about too rarely. */
const RARE: ReadonlySet<string> = new Set([
  "flush-names-commit",
  "read-round-reused",
  "follower-read-unconfirmed",
  "lease-kept-across-transfer",
  "promise-forgotten",
  "floor-read-skips-writes",
  "sequencer-unconfirmed",
  "snapshot-skips-watchers",
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
