/**
 * Decides what a put or delete of one key comes to, given what the key was before: the new version
 * with its create revision and count, or a refusal; and hands it to the effects.
 */
import { ENTRY_SIZE_BYTES_MAX } from "../base/limits.js";
import type { EntryView } from "../lsm/entry.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { KeyValueView } from "../protocol/key-value-codec.js";
import { PUT_FLAGS } from "../protocol/put-codec.js";
import type { EffectsWriter } from "./effects-writer.js";
import type { Leases } from "./leases.js";
import type { StateView } from "./state-view.js";
import { clearValue, readRow } from "./stored-value.js";

export class RowWriter {
  /** Filled by the caller of `put`: the stored key, the value and the lease. */
  readonly row: KeyValueView = new KeyValueView();
  /** What the last put replaced, with its user key, if `hadPrevious`; until the next read. */
  readonly previous: KeyValueView = new KeyValueView();
  hadPrevious = false;
  /** The revision of everything that is written now. */
  revision = 0;
  readonly #state: StateView;
  readonly #effects: EffectsWriter;
  readonly #leases: Leases;
  readonly #prefixLength: number;

  constructor(state: StateView, effects: EffectsWriter, leases: Leases, prefixLength: number) {
    this.#state = state;
    this.#effects = effects;
    this.#leases = leases;
    this.#prefixLength = prefixLength;
  }

  /** Puts `row`; `flags` are the ignore flags of PUT_FLAGS. */
  put(flags: number): KvError | undefined {
    const { row, previous } = this;
    const entry = this.#state.find(row.keyBytes, row.keyOffset, row.keyLength, this.#state.newest);
    this.hadPrevious = entry !== undefined;
    if (entry !== undefined) readRow(entry, this.#prefixLength, previous);
    const refusal = this.#refusal(flags);
    if (refusal !== undefined) return refusal;
    if ((flags & PUT_FLAGS.ignoreValue) !== 0) {
      row.valueBytes = previous.valueBytes;
      row.valueOffset = previous.valueOffset;
      row.valueLength = previous.valueLength;
    }
    if ((flags & PUT_FLAGS.ignoreLease) !== 0) {
      row.leaseLow = previous.leaseLow;
      row.leaseHigh = previous.leaseHigh;
    }
    row.modRevision = this.revision;
    row.createRevision = this.hadPrevious ? previous.createRevision : this.revision;
    row.version = this.hadPrevious ? previous.version + 1 : 1;
    this.#effects.put(row, this.hadPrevious ? previous : undefined);
    return this.#entryTooLarge();
  }

  /** Deletes the key of a live entry, of which `previous` is the row. */
  delete(entry: EntryView, previous: KeyValueView): KvError | undefined {
    const row = this.row;
    row.keyBytes = entry.bytes;
    row.keyOffset = entry.keyOffset;
    row.keyLength = entry.keyLength;
    row.modRevision = this.revision;
    clearValue(row);
    this.#effects.tombstone(row, previous);
    return this.#entryTooLarge();
  }

  /** Deletes a key that may have this lease, if it has it. */
  deleteLeased(key: Uint8Array, low: number, high: number): KvError | undefined {
    const entry = this.#state.find(key, 0, key.length, this.#state.newest);
    if (entry === undefined) return undefined;
    readRow(entry, this.#prefixLength, this.previous);
    const { leaseLow, leaseHigh } = this.previous;
    if (leaseLow !== low || leaseHigh !== high) return undefined;
    return this.delete(entry, this.previous);
  }

  #refusal(flags: number): KvError | undefined {
    const row = this.row;
    const hasLease = row.leaseLow !== 0 || row.leaseHigh !== 0;
    if (flags === 0 && !hasLease) return undefined;
    if ((flags & PUT_FLAGS.ignoreValue) !== 0 && row.valueLength > 0) {
      return notApplied("invalidArgument", "a value is given and asked to be ignored");
    }
    if ((flags & PUT_FLAGS.ignoreLease) !== 0 && hasLease) {
      return notApplied("invalidArgument", "a lease is given and asked to be ignored");
    }
    const ignores = (flags & (PUT_FLAGS.ignoreValue | PUT_FLAGS.ignoreLease)) !== 0;
    if (ignores && !this.hadPrevious) {
      return notApplied("keyNotFound", "the key whose value or lease is to be kept is missing");
    }
    if (!hasLease) return undefined;
    const { hadPrevious, previous } = this;
    const isHeld = previous.leaseLow === row.leaseLow && previous.leaseHigh === row.leaseHigh;
    // A lease that has a key is there, and has it already.
    if (hadPrevious && isHeld) return undefined;
    return this.#leases.attachRefusal(row, this.revision);
  }

  #entryTooLarge(): KvError | undefined {
    if (this.#effects.sizeBytes <= ENTRY_SIZE_BYTES_MAX) return undefined;
    const bound = ENTRY_SIZE_BYTES_MAX;
    const message = `the effects of the transaction exceed ${bound} bytes; ask for less at once`;
    return notApplied("limitExceeded", message, { bound });
  }
}
