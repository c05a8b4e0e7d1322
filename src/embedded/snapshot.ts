/** The store as it was at one moment. It keeps what it shows from being merged away: release it. */
import { notApplied } from "../protocol/errors.js";
import type {
  BytesLike,
  KeyAndValue,
  RangeOptions,
  Reader,
  ScanOptions,
  StoreCursor,
} from "./embedded-types.js";
import type { TreeReader } from "./reader.js";

export class Snapshot implements Reader {
  /** How many operations the store had seen. */
  readonly revision: number;
  readonly #reader: TreeReader;
  readonly #onRelease: () => void;
  #isReleased = false;

  constructor(reader: TreeReader, revision: number, onRelease: () => void) {
    this.revision = revision;
    this.#reader = reader;
    this.#onRelease = onRelease;
  }

  get(key: BytesLike): Uint8Array | undefined {
    this.#requireHeld();
    return this.#reader.get(key, this.revision);
  }

  range(options: ScanOptions = {}): IterableIterator<KeyAndValue> {
    this.#requireHeld();
    return this.#reader.range(options, this.revision);
  }

  cursor(options: RangeOptions = {}): StoreCursor {
    this.#requireHeld();
    return this.#reader.cursor(options, this.revision);
  }

  /** Cursors made before stay as they are. A second call does nothing. */
  release(): void {
    this.#isReleased = true;
    this.#onRelease();
  }

  #requireHeld(): void {
    if (this.#isReleased) throw notApplied("closed", "the snapshot is released");
  }
}
