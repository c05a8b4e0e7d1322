/**
 * Writes one log entry of effects into the proposals of a turn and each effect into the overlay,
 * so that the two never differ. An evaluation that is refused halfway takes both back as a whole.
 */
import { assert } from "../base/assert.js";
import { ByteWriter, writeU32 } from "../base/coding.js";
import type { KeyValueView } from "../protocol/key-value-codec.js";
import { EFFECT_FLAGS, EFFECT_TYPES, beginEntry, finishEntry } from "./effects-format.js";
import type { PayloadHeader } from "./effects-format.js";
import type { Overlay } from "./overlay.js";
import { writeStored } from "./stored-value.js";

const NO_WRITER = new ByteWriter(0);

export class EffectsWriter {
  readonly #overlay: Overlay;
  #out: ByteWriter = NO_WRITER;
  #start = 0;
  #mark = 0;
  #revision = 0;
  #count = 0;

  constructor(overlay: Overlay) {
    this.#overlay = overlay;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of the entry so far. */
  get sizeBytes(): number {
    return this.#out.length - this.#start;
  }

  /** Starts an entry whose effects all have `revision`. */
  begin(out: ByteWriter, revision: number): void {
    this.#out = out;
    this.#start = beginEntry(out);
    this.#mark = this.#overlay.mark();
    this.#revision = revision;
    this.#count = 0;
  }

  /** Adds a version of `row.key` (a stored key); `previous` is what it replaces, if live. */
  put(row: KeyValueView, previous: KeyValueView | undefined): void {
    this.#effect(row, EFFECT_TYPES.put, previous);
  }

  tombstone(row: KeyValueView, previous: KeyValueView): void {
    this.#effect(row, EFFECT_TYPES.tombstone, previous);
  }

  finish(header: PayloadHeader): void {
    header.effectCount = this.#count;
    finishEntry(this.#out, this.#start, header);
    this.#out = NO_WRITER;
  }

  /** Takes back the entry and its effects. */
  abandon(): void {
    this.#out.length = this.#start;
    this.#overlay.rollback(this.#mark);
    this.#out = NO_WRITER;
  }

  #effect(row: KeyValueView, type: number, previous: KeyValueView | undefined): void {
    const out = this.#out;
    assert(out !== NO_WRITER, "an effect outside an entry");
    const leased = previous !== undefined && (previous.leaseLow | previous.leaseHigh) !== 0;
    const flags = previous === undefined ? 0 : EFFECT_FLAGS.wasLive;
    const at = out.reserve(leased ? 18 : 10);
    out.bytes[at] = leased ? flags | EFFECT_FLAGS.previousLease : flags;
    writeU32(out.bytes, at + 1, row.keyLength);
    if (leased) {
      writeU32(out.bytes, at + 9, previous.leaseLow);
      writeU32(out.bytes, at + 13, previous.leaseHigh);
    }
    const keyOffset = out.length;
    out.bytes[keyOffset - 1] = type;
    out.slice(row.keyBytes, row.keyOffset, row.keyLength);
    const tombstone = type === EFFECT_TYPES.tombstone;
    const storedLength = tombstone ? 0 : writeStored(out, row);
    writeU32(out.bytes, at + 5, storedLength);
    this.#count++;
    this.#overlay.add(out.bytes, keyOffset, row.keyLength, storedLength, tombstone, this.#revision);
  }
}
