/**
 * The first reading of what a snapshot is made of: which revisions there are and how large they
 * are, which leases, and all of it where it is little.
 */
import { EMPTY_BYTES } from "../../base/bytes.js";
import type { KeyValue } from "../../protocol/key-value.js";
import { writeKeyValueFields } from "../kv-responses.js";
import { WireWriter } from "../wire.js";
import { LeafPlan } from "./leaf-plan.js";
import { RevisionRuns } from "./revision-runs.js";
import type { LeaseSource } from "./snapshot-leases.js";

/** So many key-values are put in their places, or pages written, before others have a turn. */
export const PLACED_AT_ONCE = 4096;
export const WRITTEN_AT_ONCE = 256;
export const HELD_BYTES_MAX: number = 128 * 1024 * 1024;

export interface SnapshotSource {
  /** The rows are what there was then. */
  readonly revision: number;
  /** All key-values in the order of keys, the same each time. */
  rows(): AsyncIterable<KeyValue>;
  /** undefined where nobody can be asked. */
  readonly leases: LeaseSource | undefined;
  /** Lets others have a turn. */
  pause(): Promise<void>;
  /** Default: HELD_BYTES_MAX. */
  readonly heldBytesMax?: number | undefined;
}

/** Of a key-value, as it will lie in a leaf. */
export interface Row {
  readonly revision: number;
  readonly bytes: Uint8Array;
}

export interface SourceFacts {
  readonly keys: number;
  readonly leaves: LeafPlan;
  readonly leaseIds: ReadonlySet<bigint>;
  /** All rows, where they are few. */
  readonly held: readonly Row[] | undefined;
}

export async function survey(source: SnapshotSource): Promise<SourceFacts> {
  const heldBytesMax = source.heldBytesMax ?? HELD_BYTES_MAX;
  const runs = new RevisionRuns();
  const leaseIds = new Set<bigint>();
  let held: Row[] | undefined = [];
  let bytes = 0;
  let keys = 0;
  const out = new WireWriter(ROW_BYTES);
  const keeper = new RowKeeper();
  for await (const kv of source.rows()) {
    const sizeBytes = writeKeyValue(kv, out);
    runs.add(kv.modRevision, sizeBytes);
    if (kv.lease !== 0n) leaseIds.add(kv.lease);
    keys++;
    bytes += sizeBytes + ROW_BYTES;
    if (bytes > heldBytesMax) held = undefined;
    held?.push(keeper.keep(kv.modRevision, out));
  }
  const leaves = new LeafPlan();
  for (let count = 1; runs.next(); count++) {
    leaves.add(runs.revision, runs.sizeBytes);
    if (count % PLACED_AT_ONCE === 0) await source.pause();
  }
  leaves.finish();
  return { keys, leaves, leaseIds, held };
}

/** What a row takes of memory beside its bytes. */
export const ROW_BYTES = 200;
const SLAB_BYTES: number = 1024 * 1024;

/** Holds rows, many in one piece of memory: a piece for each would be much to keep track of. */
export class RowKeeper {
  readonly #out = new WireWriter(ROW_BYTES);
  #slab: Uint8Array = EMPTY_BYTES;
  #used = 0;

  rowOf(kv: KeyValue): Row {
    writeKeyValue(kv, this.#out);
    return this.keep(kv.modRevision, this.#out);
  }

  keep(revision: number, out: WireWriter): Row {
    const { length } = out;
    if (this.#slab.length - this.#used < length) {
      this.#slab = new Uint8Array(Math.max(SLAB_BYTES, length));
      this.#used = 0;
    }
    const bytes = this.#slab.subarray(this.#used, this.#used + length);
    bytes.set(out.view());
    this.#used += length;
    return { revision, bytes };
  }
}

/** Into a writer that is used again and again; gives the size. */
function writeKeyValue(kv: KeyValue, out: WireWriter): number {
  out.reset();
  writeKeyValueFields(out, kv);
  return out.length;
}
