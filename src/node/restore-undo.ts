/**
 * Takes back what a backup of a shard has behind the revision at which its keyspace was backed up:
 * each key that was written since becomes what it was then, by ordinary effects at new revisions,
 * so that leases and their keys go along. Where a key's lease has ended since, the key has, too.
 *
 * Everybody who does it to the same tables comes to the same effects.
 */
import { assert } from "../base/assert.js";
import { hex } from "../base/bytes.js";
import { ByteWriter } from "../base/coding.js";
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import { FAMILY } from "../lsm/families.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Tree } from "../lsm/tree.js";
import { MvccMachine } from "../mvcc/mvcc-machine.js";
import { REVISION_KEY_BYTES, writeRevisionKey } from "../mvcc/revision-index.js";
import { readRow } from "../mvcc/stored-value.js";
import { KeyValueView, leaseId } from "../protocol/key-value-codec.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { putOf } from "../protocol/operations.js";
import type { Operation } from "../protocol/operations.js";
import { keyPrefixLength } from "../route/stored-key.js";
import type { Store } from "../store/store.js";

/** What one transaction holds. */
const KEYS_MAX = 100;
const SIZE_BYTES_MAX = 1024 * 1024;
/** Written out before more of it is in memory. */
const MEMTABLE_BYTES_MAX = 32 * 1024 * 1024;

/** Keys that were written after a revision, each once, in the order of their first writes. */
function changedAfter(tree: Tree, revision: number): Uint8Array[] {
  const start = new Uint8Array(REVISION_KEY_BYTES);
  writeRevisionKey(start, revision + 1, 0);
  const range = { start, end: undefined };
  const cursor = tree.cursor(FAMILY.revisionIndex, range, Number.MAX_SAFE_INTEGER, "newest");
  const keys = new Map<string, Uint8Array>();
  while (cursor.next()) {
    const { valueBytes, valueOffset, valueLength } = cursor.entry;
    const key = valueBytes.slice(valueOffset + 1, valueOffset + valueLength);
    keys.set(hex(key), key);
  }
  cursor.close();
  return [...keys.values()];
}

export class Undo {
  readonly #store: Store;
  readonly #tree: Tree;
  readonly #keyspace: KeyspaceDescriptor;
  readonly #machine: MvccMachine;
  readonly #row = new KeyValueView();

  /** Nothing in the tables may be dropped before `run` has come to its end. */
  constructor(store: Store, tree: Tree, keyspace: KeyspaceDescriptor) {
    this.#store = store;
    this.#tree = tree;
    this.#keyspace = keyspace;
    this.#machine = new MvccMachine(tree, {
      keyspaceId: keyspace.keyspaceId,
      keyPrefixLength: keyPrefixLength(keyspace),
      initial: tree.flushed,
    });
  }

  /** The state of the tree once all of it is durable. */
  async run(revision: number): Promise<FlushedState> {
    let operations: Operation[] = [];
    let sizeBytes = 0;
    for (const key of changedAfter(this.#tree, revision)) {
      const operation = this.#operationFor(key, revision);
      operations.push(operation);
      sizeBytes += key.length + (operation.kind === "put" ? operation.value.length : 0);
      if (operations.length < KEYS_MAX && sizeBytes < SIZE_BYTES_MAX) continue;
      this.#apply(operations);
      operations = [];
      sizeBytes = 0;
      if (this.#tree.memtableBytes() > MEMTABLE_BYTES_MAX) await this.#flush();
    }
    this.#apply(operations);
    return this.#state();
  }

  #operationFor(key: Uint8Array, revision: number): Operation {
    const gone: Operation = { kind: "delete", key, rangeEnd: undefined, prevKv: false };
    const then = this.#tree.get(FAMILY.data, key, 0, key.length, revision);
    if (then === undefined || then.tombstone) return gone;
    const row = this.#row;
    readRow(then, keyPrefixLength(this.#keyspace), row);
    const lease = leaseId(row.leaseLow, row.leaseHigh);
    if (lease !== 0n && this.#machine.leases.get(lease) === undefined) return gone;
    const { valueBytes, valueOffset, valueLength } = row;
    return putOf(key, valueBytes.slice(valueOffset, valueOffset + valueLength), { lease });
  }

  #apply(operations: readonly Operation[]): void {
    if (operations.length === 0) return;
    const machine = this.#machine;
    const { term } = this.#tree.flushed;
    const revision = machine.revision + 1;
    const epoch = { configuration: 1, range: 1 };
    const context = { term, epoch, revision, closedRevision: 0, clockMs: 0 };
    const out = new ByteWriter(4096);
    const transaction = { compares: [], success: operations, failure: [] };
    const { outcome } = machine.evaluateTransaction(transaction, context, out);
    // What came and went since then is not there, as it was not then.
    if (outcome === "noEffects") return;
    assert(outcome === "effects", "what was there once can be written again");
    const length = out.length - ENTRY_HEADER_SIZE_BYTES;
    const index = machine.appliedIndex + 1;
    machine.apply(index, term, out.copy(), ENTRY_HEADER_SIZE_BYTES, length);
  }

  async #flush(): Promise<void> {
    await this.#store.flushNow(this.#tree, this.#state());
  }

  #state(): FlushedState {
    const { term, configuration } = this.#tree.flushed;
    return this.#machine.flushedState(this.#machine.appliedIndex, term, configuration);
  }
}
