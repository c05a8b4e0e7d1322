/** What import, verify and export have in common: their flags, bounds, notes and reports. */
import { stat } from "node:fs/promises";
import type { Options } from "yargs";
import { type Arguments, durationOf, textOf } from "./arguments.js";
import type { PoolBounds } from "./bounded-pool.js";
import type { Context } from "./context.js";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import type { LeftOut, LeftOutReason, Walk } from "./files.js";
import type { Progress, Totals } from "./progress.js";
import { counted } from "./quantities.js";
import type { Patience } from "./retrying.js";

const TASKS_MAX = 64;
const BYTES_IN_FLIGHT_MAX: number = 16 * 1024 * 1024;
const RETRY_TIMEOUT_MS = 60_000;
const REMARKS_MAX = 20;

export const TRANSFER_FLAGS: Readonly<Record<string, Options>> = {
  "retry-timeout": {
    type: "string",
    describe: "how long to go on trying with one file",
    defaultDescription: "60s",
  },
};

export function patienceOf(context: Context, argv: Arguments): Patience {
  const timeoutMs = durationOf(argv, "retry-timeout") ?? RETRY_TIMEOUT_MS;
  return { timeoutMs, signal: context.signal };
}

export function boundsOf({ signal }: Context): PoolBounds {
  return { tasksMax: TASKS_MAX, bytesMax: BYTES_IN_FLIGHT_MAX, signal };
}

/** The directory that a flag names, which must be there. */
export async function directoryOf(argv: Arguments, flag: string): Promise<string> {
  const directory = textOf(argv, flag);
  if (directory === undefined || directory === "") throw badArguments(`--${flag} DIR is missing`);
  const found = await stat(directory).catch(() => undefined);
  if (found?.isDirectory() === true) return directory;
  throw new CliError(EXIT.inputOutput, `${directory} is no directory that can be read`);
}

export function totalsOf({ files }: Walk): Totals {
  return { files: files.length, bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}

/** Remarks on single files: the first ones in full, then only their number. */
export class Remarks {
  readonly #progress: Progress;
  #count = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  add(text: string): void {
    if (++this.#count <= REMARKS_MAX) this.#progress.remark(text);
  }

  addLeftOut(leftOut: readonly LeftOut[]): void {
    for (const { key, reason } of leftOut) this.add(`skipped ${key}: ${explained(reason)}`);
  }

  end(): void {
    const more = this.#count - REMARKS_MAX;
    if (more > 0) this.#progress.remark(`… and ${counted(more, "more remark")}`);
  }
}

function explained(reason: LeftOutReason): string {
  return reason === "too large" ? "larger than 1 MiB, the limit of a value" : reason;
}

/** How many were left out for each reason, as words: "skipped 3 (2 too large, 1 symbolic link)". */
export function leftOutText(leftOut: readonly LeftOut[]): string {
  if (leftOut.length === 0) return "skipped 0";
  const reasons = new Map<LeftOutReason, number>();
  for (const { reason } of leftOut) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`);
  return `skipped ${leftOut.length} (${parts.join(", ")})`;
}

/** Whether something that a user would miss was left out; links and devices are not. */
export function lacksFiles(leftOut: readonly LeftOut[]): boolean {
  return leftOut.some(({ reason }) => reason === "too large" || reason === "unusable name");
}
