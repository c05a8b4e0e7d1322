/** What a reader throws when a file is not what its format says; never a verdict on a history. */
export class FormatError extends Error {
  override readonly name = "FormatError";

  constructor(line: number, what: string) {
    super(`line ${line}: ${what}`);
  }
}
