/**
 * What the process says by its exit code, for both tools. Scripts depend on the numbers: they are
 * never renumbered. The README holds the same table, and `--help` prints it.
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  badConnection: 2,
  invalidInput: 3,
  unsupportedFormat: 4,
  interrupted: 5,
  inputOutput: 6,
  outcomeUnknown: 7,
  badArguments: 128,
} as const;

const MEANINGS: Readonly<Record<keyof typeof EXIT, string>> = {
  ok: "done",
  failed: "failed; a single write was not applied",
  badConnection: "no connection to the cluster",
  invalidInput: "the input of txn or watch cannot be read",
  unsupportedFormat: "the command has no such output format",
  interrupted: "interrupted",
  inputOutput: "a file or stream cannot be read or written",
  outcomeUnknown: "outcome unknown: the write may have been applied",
  badArguments: "bad arguments",
};

/** The table as `--help` shows it. */
export function exitCodesText(): string {
  const lines = Object.entries(EXIT).map(
    ([name, code]) => `  ${String(code).padStart(3)}  ${MEANINGS[name as keyof typeof EXIT]}`,
  );
  return ["Exit codes:", ...lines].join("\n");
}
