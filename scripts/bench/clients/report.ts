/** How a client's checks went. */
export interface Report {
  readonly client: string;
  readonly passed: readonly string[];
  /** With what went wrong. */
  readonly failed: readonly string[];
  /** Why a client was left out. */
  readonly missing?: string;
}

/** Of a program that prints a line for each check: its name, and behind a tab what went wrong. */
export function linesReport(client: string, printed: string): Report {
  const lines = printed.split("\n").filter((line) => line !== "");
  const isFailed = (line: string): boolean => line.includes("\t");
  return {
    client,
    passed: lines.filter((line) => !isFailed(line)),
    failed: lines.filter(isFailed),
  };
}
