/**
 * From the text of a recorded history in one of the known formats to its verdict, in words. It does
 * no input or output itself.
 */
import { keyValueModel } from "./checkers/key-value.js";
import { checkLinearizable } from "./checkers/linearizability.js";
import type { Verdict } from "./checkers/linearizability.js";
import type { Model } from "./checkers/model.js";
import { mutexModel } from "./checkers/mutex.js";
import { registerModel } from "./checkers/register.js";
import { registersModel } from "./checkers/registers.js";
import { textStoreModel } from "./checkers/text-store.js";
import { readFlotilla } from "./formats/flotilla.js";
import { FormatError } from "./formats/format-error.js";
import { readJepsenEtcd } from "./formats/jepsen-etcd.js";
import { KNOSSOS_INITIAL, readKnossos } from "./formats/knossos.js";
import { readPorcupineKv } from "./formats/porcupine-kv.js";
import type { Operation } from "./history.js";

export const FORMATS = ["jepsen-etcd", "porcupine-kv", "knossos-cas", "flotilla"] as const;
export type Format = (typeof FORMATS)[number];

/** Models of the formats that record more than one system. */
export const KNOSSOS_MODELS = ["register", "registers", "mutex"] as const;

export interface Judgement {
  readonly verdict: Verdict["verdict"];
  /** What to say of it, if anything. */
  readonly report: readonly string[];
}

export function judge(
  text: string,
  format: Format,
  model?: (typeof KNOSSOS_MODELS)[number],
): Judgement {
  switch (format) {
    case "jepsen-etcd":
      return judgeBy(registerModel(), readJepsenEtcd(text));
    case "porcupine-kv":
      return judgeBy(textStoreModel, readPorcupineKv(text));
    case "knossos-cas":
      return judgeKnossos(text, model);
    case "flotilla":
      return judgeBy(keyValueModel, readFlotilla(text));
  }
}

function judgeKnossos(text: string, wanted?: (typeof KNOSSOS_MODELS)[number]): Judgement {
  const { model, operations } = readKnossos(text, wanted);
  switch (model) {
    case "register":
      return judgeBy(registerModel(KNOSSOS_INITIAL), operations);
    case "registers":
      return judgeBy(registersModel(KNOSSOS_INITIAL), operations);
    case "mutex":
      return judgeBy(mutexModel, operations);
  }
}

function judgeBy<Request, Answer>(
  model: Model<Request, Answer>,
  operations: readonly Operation<Request, Answer>[],
): Judgement {
  // A file of another format may look like one without a single operation: that is no approval.
  if (operations.length === 0) throw new FormatError(1, "no operation of this format in the file");
  return inWords(model, checkLinearizable(model, operations));
}

/** How the verdict is told to people: the offence first, an operation a line. */
export function inWords<Request, Answer>(
  model: Model<Request, Answer>,
  verdict: Verdict<Request, Answer>,
): Judgement {
  if (verdict.verdict === "linearizable") return { verdict: verdict.verdict, report: [] };
  if (verdict.verdict === "unknown") {
    const report = [`gave up on "${verdict.part}": too many orders are possible`];
    return { verdict: verdict.verdict, report };
  }
  const { text, operations } = verdict.offence;
  const report = [`${text}:`, ...operations.map((operation) => line(model, operation))];
  return { verdict: verdict.verdict, report };
}

function line<Request, Answer>(
  model: Model<Request, Answer>,
  operation: Operation<Request, Answer>,
): string {
  const { process, calledAt, kind } = operation;
  const until = kind === "info" ? "outcome unknown" : `${operation.completedAt}`;
  const times = `[${calledAt}, ${until}]`;
  return `  process ${process}  ${times.padEnd(20)}  ${model.describe(operation)}`;
}
