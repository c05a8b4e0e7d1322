/** What the inspect commands share: their flags, where they look, how they print. */
import type { Options } from "yargs";
import type { Disk } from "../env/disk.js";
import type { Finding } from "../log/finding.js";
import type { Arguments } from "./arguments.js";
import { switchOf } from "./arguments.js";
import { EXIT } from "./exit-codes.js";
import { findingLines } from "./findings.js";
import { storeDirectoryOf } from "./store-directory.js";
import type { Terminal } from "./terminal.js";

export const INSPECT_FLAGS: Readonly<Record<string, Options>> = {
  json: { type: "boolean", describe: "print one JSON value" },
};

export interface Inspection {
  /** What `--json` prints. */
  readonly value: unknown;
  readonly text: string;
  readonly findings: readonly Finding[];
}

/** Prints it; the exit code says whether there is damage. */
export function printSurvey(terminal: Terminal, argv: Arguments, inspection: Inspection): number {
  const { value, text, findings } = inspection;
  if (switchOf(argv, "json")) terminal.out.write(`${JSON.stringify(value)}\n`);
  else terminal.out.write(text + findings.flatMap(findingLines).join(""));
  return findings.some(({ isDamage }) => isDamage) ? EXIT.failed : EXIT.ok;
}

/** The directory of that name, given itself, or the store or node around it. */
export function placeOf(disk: Disk, given: string, name: "log" | "tables"): string {
  if (given.replace(/\/+$/, "").endsWith(name) && disk.exists(given)) return given;
  return `${storeDirectoryOf(disk, given).store}/${name}`;
}
