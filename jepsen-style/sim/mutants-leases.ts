/** Bugs of leases. */
import type { Mutant } from "./mutant.js";

export const LEASE_MUTANTS: readonly Mutant[] = [
  {
    name: "renewal-in-memory",
    bug: "etcd: a lease that was renewed runs out early after a change of leader",
    file: "mvcc/evaluator",
    find: `return this.#leaseChanged(LEASE_CHANGES.renewed, id, lease.ttlSeconds, context, out);`,
    replace: `this.leases.table.renewed(id, context.clockMs + lease.ttlSeconds * 1000);
      return this.#answer("noEffects", this.#secondsResponse(lease.ttlSeconds), undefined);`,
  },
  {
    name: "leases-by-own-clock",
    bug: "etcd: a new leader counts the time of leases by a clock of its own",
    file: "shard/write-path",
    find: `this.#clockOffsetMs = this.#host.machine.logicalClock - nowMs;`,
    replace: `this.#clockOffsetMs = 0;`,
  },
  {
    name: "leases-not-read",
    bug: "etcd: leases are forgotten by a restart, their keys stay for ever",
    file: "mvcc/lease-table",
    find: `this.#readLeases(tree); this.#readKeys(tree);`,
    replace: ``,
  },
  {
    name: "expired-lease-kept",
    bug: "etcd: an end that a lost leader proposed is never tried again",
    file: "shard/lease-keeper",
    find: `if (id !== undefined) this.#host.machine.leasesInUse?.putBack(id);`,
    replace: ``,
  },
];
