/**
 * Transactions as text, in etcdctl's grammar:
 *
 *     compares         one a line:  mod("key") > "0"
 *     (empty line)
 *     operations if all compares hold, one a line, as get, put and del are written
 *     (empty line)
 *     operations otherwise
 *     (empty line, or the end)
 *
 * Targets: version (ver), create (c), mod (m), value (val), lease (in hexadecimal); comparisons:
 * = != < >. Parsing asks nothing of the store.
 */
import { parseArgs, type ParseArgsConfig } from "node:util";
import type { Options } from "yargs";
import { utf8Text } from "../base/bytes.js";
import type { Compare, CompareResult, CompareTarget, Operation } from "../protocol/operations.js";
import { CliError, invalidInput } from "./failure.js";
import { parseCount } from "./quantities.js";
import { unquote, words } from "./quoting.js";
import {
  DELETE_FLAGS,
  deleteOperation,
  GET_FLAGS,
  PUT_FLAGS,
  putOperation,
  rangeOperation,
} from "./request-flags.js";

const RESULTS: Readonly<Record<string, CompareResult>> = {
  "=": "equal",
  "!=": "notEqual",
  "<": "less",
  ">": "greater",
};

const NUMBER_TARGETS: Readonly<Record<string, "version" | "create" | "mod">> = {
  ver: "version",
  version: "version",
  c: "create",
  create: "create",
  m: "mod",
  mod: "mod",
};

const QUOTED = /("(?:[^"\\]|\\.)*"|`[^`]*`)/.source;
const COMPARE = new RegExp(
  `^\\s*(\\w+)\\s*\\(\\s*${QUOTED}\\s*\\)\\s*(=|!=|<|>)\\s*${QUOTED}\\s*$`,
);

const GRAMMAR = 'a compare looks like  mod("key") > "0"';

export function parseCompare(line: string): Compare {
  const match = COMPARE.exec(line);
  const key = unquote(match?.[2] ?? "");
  const operand = unquote(match?.[4] ?? "");
  const result = RESULTS[match?.[3] ?? ""];
  if (key === undefined || operand === undefined || result === undefined) {
    throw invalidInput(`not a compare: ${line}`, GRAMMAR);
  }
  const target = compareTarget(match?.[1] ?? "", operand);
  if (target === undefined) throw invalidInput(`not a compare: ${line}`, GRAMMAR);
  return { key, rangeEnd: undefined, result, target };
}

function compareTarget(name: string, operand: Uint8Array): CompareTarget | undefined {
  if (name === "val" || name === "value") return { kind: "value", value: operand };
  const text = utf8Text(operand);
  if (name === "lease") {
    return /^[0-9a-f]{1,16}$/i.test(text)
      ? { kind: "lease", value: BigInt(`0x${text}`) }
      : undefined;
  }
  const kind = NUMBER_TARGETS[name];
  const value = parseCount(text);
  return kind === undefined || value === undefined ? undefined : { kind, value };
}

type Flags = Readonly<Record<string, Options>>;

/** One line as get, put or del would be given to the tool itself. */
export function parseOperation(line: string): Operation {
  const [name, ...args] = words(line) ?? [];
  try {
    if (name === "put") return putOperation(parsed(args, PUT_FLAGS, "value"), undefined);
    if (name === "get") return rangeOperation(parsed(args, GET_FLAGS, "range-end"));
    if (name === "del") return deleteOperation(parsed(args, DELETE_FLAGS, "range-end"));
  } catch (error) {
    if (!(error instanceof CliError || error instanceof TypeError)) throw error;
    throw invalidInput(`not an operation: ${line} (${error.message})`);
  }
  throw invalidInput(`not an operation: ${line}`, 'an operation looks like  put "key" "value"');
}

function parsed(args: readonly string[], flags: Flags, second: string): Record<string, unknown> {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [flag, { type }] of Object.entries(flags)) {
    options[flag] = { type: type === "boolean" ? "boolean" : "string" };
  }
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  if (positionals.length > 2) throw new CliError(0, "too many arguments");
  const [key, other] = positionals;
  return { ...values, key, ...(other === undefined ? {} : { [second]: other }) };
}

/** Reads the lines of one part, up to an empty line or the end. */
export async function readPart<T>(
  lines: AsyncIterator<string>,
  parse: (line: string) => T,
): Promise<T[]> {
  const part: T[] = [];
  for (;;) {
    const line = await lines.next();
    if (line.done === true || line.value.trim() === "") return part;
    part.push(parse(line.value));
  }
}
