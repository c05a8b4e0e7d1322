/**
 * Stored bytes that are proven wrong: a checksum that does not match where a torn write is
 * excluded, or a file that belongs elsewhere. It is never repaired by dropping the bytes.
 */
export class CorruptionError extends Error {
  override readonly name = "CorruptionError";
  readonly path: string;
  readonly offset: number;
  /** What is wrong there. */
  readonly detail: string;

  constructor(path: string, offset: number, detail: string) {
    super(`${path} at ${offset}: ${detail}`);
    this.path = path;
    this.offset = offset;
    this.detail = detail;
  }
}
