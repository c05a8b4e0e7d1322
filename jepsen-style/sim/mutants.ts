/** All mutants, floor by floor. */
import { BadArgument } from "../command.js";
import type { Mutant } from "./mutant.js";
import { ELECTION_MUTANTS } from "./mutants-elections.js";
import { LEASE_MUTANTS } from "./mutants-leases.js";
import { READ_MUTANTS } from "./mutants-reads.js";
import { REPLICATION_MUTANTS } from "./mutants-replication.js";
import { SHARD_MUTANTS } from "./mutants-shard.js";
import { STORAGE_MUTANTS } from "./mutants-storage.js";

/** A campaign has to find each. */
export const MUTANTS: readonly Mutant[] = [
  ...ELECTION_MUTANTS,
  ...REPLICATION_MUTANTS,
  ...READ_MUTANTS,
  ...STORAGE_MUTANTS,
  ...SHARD_MUTANTS,
  ...LEASE_MUTANTS,
];

/** Bugs of what clients do with the store: real processes have to show them. */
export const CLIENT_MUTANTS: readonly Mutant[] = [
  {
    name: "lock-without-fencing",
    bug: "etcd, Hazelcast: who lost a lock without knowing writes on, and the store takes it",
    file: "../jepsen-style/workloads/lock",
    find: `const transaction = ifAll([unchanged(this.#lock, token)], [put]);`,
    replace: `const transaction = ifAll([], [put]);`,
  },
  {
    name: "leader-without-fencing",
    bug: "Kubernetes, Hazelcast: who does not lead any more writes on, and the store takes it",
    file: "../jepsen-style/workloads/election",
    find: `const transaction = ifAll([createdAt(leadership)], [put]);`,
    replace: `const transaction = ifAll([], [put]);`,
  },
  {
    name: "line-looked-at-once",
    bug: "ZooKeeper recipes: when the one in front has left the line, one leads without looking",
    file: "client/waiting-line",
    find: `await oneDeleted(client, [before.key, place.key], header.revision, signal);`,
    replace: `await oneDeleted(client, [before.key, place.key], header.revision, signal);
      return header;`,
  },
  {
    name: "transaction-in-two",
    bug: "Many clients: what is too much for one transaction is written by two, seen half done",
    file: "../jepsen-style/workloads/limits",
    find: `const { succeeded, header } = await actor.store.txn(ifAll(compares, puts));`,
    replace: `const half = puts.length / 2;
    await actor.store.txn(ifAll(compares, puts.slice(0, half)));
    const { succeeded, header } = await actor.store.txn(ifAll([], puts.slice(half)));`,
  },
];

export function mutantNamed(name: string): Mutant {
  const mutant = [...MUTANTS, ...CLIENT_MUTANTS].find((each) => each.name === name);
  if (mutant === undefined) throw new BadArgument(`there is no mutant ${name}`);
  return mutant;
}
