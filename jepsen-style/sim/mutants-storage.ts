/** Bugs of the log, the store and the passage from one to the other. */
import type { Mutant } from "./mutant.js";

export const STORAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "commit-called-early",
    bug: "Log (NATS): whoever waits for a sync is told at once, as if an interval would do",
    file: "log/shared-log",
    find: `this.#gathering.whenDurable(done);`,
    replace: `this.#env.timers.endOfTurn(done);`,
  },
  {
    name: "last-batch-dropped",
    bug: "Log: the last batch is taken for torn at a restart although it is whole",
    file: "log/recovery",
    find: `if (isLast) this.#handOut(bytes);`,
    replace: `if (isLast) this.#held = undefined;`,
  },
  {
    name: "flip-taken-for-torn",
    bug: "Log: a flipped bit in the last batch is taken for a write that was cut short",
    file: "log/segment-reader",
    find: `if (batch !== undefined && isWhole(batch))`,
    replace: `if (batch !== undefined && batch.payloadIntact)`,
  },
  {
    name: "trim-beyond-flushed",
    bug: "Log: entries are dropped once they are applied, before the state machine has saved them",
    file: "shard/replica",
    find: `const flushedIndex = this.tree.flushed.index;`,
    replace: `const flushedIndex = this.raft.appliedIndex;`,
  },
  {
    name: "flush-names-commit",
    bug: "State machine (etcd): what is saved names an index that is not applied in it yet",
    file: "shard/replica",
    find: `const index = this.raft.appliedIndex;`,
    replace: `const index = this.raft.commitIndex;`,
  },
  {
    name: "snapshot-leaves-log",
    bug: "Raft: a snapshot is installed and the log behind it is not started anew",
    file: "shard/replica",
    find: `this.#host.store.log.reset(this.shardId, this.replicaId, index, staged.state.term);`,
    replace: ``,
  },
  {
    name: "table-not-synced",
    bug: "LSM: a table is installed before its bytes are on the disk",
    file: "lsm/sstable-writer",
    find: `this.#writeOutput(); this.#file.syncSync();`,
    replace: `this.#writeOutput();`,
  },
  {
    name: "directory-not-synced",
    bug: "LSM: a new table's name is not synced, so that power failure takes the whole file",
    file: "lsm/compaction",
    find: `disk.syncDirectory(target.directory);`,
    replace: ``,
  },
  {
    name: "tombstone-dropped-early",
    bug: "LSM: a compaction drops a tombstone that still hides something below",
    file: "lsm/gc-filter",
    find: `return !(tombstone && version < this.#horizon && this.#isBottom);`,
    replace: `return !(tombstone && version < this.#horizon);`,
  },
  {
    name: "newest-below-horizon-dropped",
    bug: "MVCC: a compaction drops the version that reads at the horizon still need",
    file: "lsm/gc-filter",
    find: `if (version > this.#horizon) return true;`,
    replace: `if (version !== this.#horizon) return version > this.#horizon;`,
  },
];
