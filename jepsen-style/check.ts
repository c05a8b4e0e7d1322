/**
 * `check FILE --format FORMAT [--model MODEL]`: judges a recorded history. The verdict stands alone
 * on the last line and in the exit code; why it is bad stands above.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FORMATS, judge, KNOSSOS_MODELS } from "./judge.js";
import type { Judgement } from "./judge.js";
import { FormatError } from "./formats/format-error.js";

export const CHECK_USAGE: string = `check FILE --format FORMAT [--model MODEL]
  FORMAT: ${FORMATS.join(", ")}
  MODEL, of knossos-cas, if it is not to be guessed: ${KNOSSOS_MODELS.join(", ")}
  Last line and exit code: linearizable 0, not linearizable 1, unknown 2; bad input 3; a fault of
  the checker itself 4.`;

const EXIT_CODES = { linearizable: 0, "not linearizable": 1, unknown: 2 } as const;
const BAD_INPUT = 3;
/** No verdict: 1 would be taken for one. */
const OWN_FAULT = 4;

export interface CheckOutput {
  readonly lines: readonly string[];
  readonly errors: readonly string[];
  readonly exitCode: number;
}

export function check(args: readonly string[]): CheckOutput {
  let judgement: Judgement | string;
  try {
    judgement = judgeFile(args);
  } catch (error) {
    const told = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { lines: [], errors: [`check: ${told}`], exitCode: OWN_FAULT };
  }
  if (typeof judgement === "string") {
    return { lines: [], errors: [`check: ${judgement}`], exitCode: BAD_INPUT };
  }
  const { verdict, report } = judgement;
  return { lines: [...report, verdict], errors: [], exitCode: EXIT_CODES[verdict] };
}

/** The judgement, or why there cannot be one. */
function judgeFile(args: readonly string[]): Judgement | string {
  const options = { format: { type: "string" }, model: { type: "string" } } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const [file] = positionals;
    if (file === undefined || positionals.length > 1) return `name one file\n${CHECK_USAGE}`;
    const format = FORMATS.find((one) => one === values.format);
    if (format === undefined) return `--format must be one of ${FORMATS.join(", ")}`;
    const model = KNOSSOS_MODELS.find((one) => one === values.model);
    if (values.model !== undefined && (model === undefined || format !== "knossos-cas")) {
      return `--model goes with knossos-cas and must be one of ${KNOSSOS_MODELS.join(", ")}`;
    }
    return judge(readFileSync(file, "utf8"), format, model);
  } catch (error) {
    if (error instanceof FormatError) return error.message;
    if (error instanceof Error && "code" in error) return error.message;
    throw error;
  }
}
