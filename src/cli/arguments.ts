/**
 * Arguments as the parser hands them over, read with their meaning: every value arrives as text or
 * as a switch, and is checked here. A flag that was given twice counts as it was given last.
 */
import { badArguments, type CliError } from "./failure.js";
import { parseCount, parseDuration, parseSize } from "./quantities.js";

export type Arguments = Readonly<Record<string, unknown>>;

export function textOf(argv: Arguments, name: string): string | undefined {
  const value = argv[name];
  const last: unknown = Array.isArray(value) ? value.at(-1) : value;
  if (typeof last === "string") return last;
  return typeof last === "number" ? String(last) : undefined;
}

export function textsOf(argv: Arguments, name: string): readonly string[] {
  const value = argv[name];
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((one) => typeof one === "string");
}

export function switchOf(argv: Arguments, name: string): boolean {
  const value = argv[name];
  return (Array.isArray(value) ? value.at(-1) : value) === true;
}

/** A positional argument that must be there. */
export function requiredOf(argv: Arguments, name: string): string {
  const text = textOf(argv, name);
  if (text === undefined) throw badArguments(`${name} is missing`);
  return text;
}

/** A whole number of at least 0; 0 where the flag is absent. */
export function countOf(argv: Arguments, name: string): number {
  return parsedOf(argv, name, parseCount, "a whole number, such as 10") ?? 0;
}

export function durationOf(argv: Arguments, name: string): number | undefined {
  return parsedOf(argv, name, parseDuration, "a duration, such as 500ms or 1m30s");
}

export function sizeOf(argv: Arguments, name: string): number | undefined {
  return parsedOf(argv, name, parseSize, "a size, such as 4096 or 1.5MiB");
}

function parsedOf(
  argv: Arguments,
  name: string,
  parse: (text: string) => number | undefined,
  wanted: string,
): number | undefined {
  const text = textOf(argv, name);
  if (text === undefined) return undefined;
  const value = parse(text);
  if (value === undefined) throw notA(`--${name}`, text, wanted);
  return value;
}

/** A lease's id in hexadecimal, as etcd writes it; undefined where it is absent. */
export function leaseOf(argv: Arguments, name: string, shown: string): bigint | undefined {
  const text = textOf(argv, name);
  if (text === undefined) return undefined;
  if (!/^[0-9a-f]{1,16}$/i.test(text)) throw notA(shown, text, "a lease's id in hexadecimal");
  return BigInt(`0x${text}`);
}

/** A positional argument that names a lease. */
export function requiredLeaseOf(argv: Arguments, name: string): bigint {
  requiredOf(argv, name);
  return leaseOf(argv, name, `the ${name}`) ?? 0n;
}

/** One of a few words; undefined where the flag is absent. Errors name one word a meaning. */
export function choiceOf<T extends string>(
  argv: Arguments,
  name: string,
  choices: Readonly<Record<string, T>>,
): T | undefined {
  const text = textOf(argv, name);
  if (text === undefined) return undefined;
  const choice = choices[text.toLowerCase()];
  if (choice !== undefined) return choice;
  const all = Object.values(choices);
  const words = Object.keys(choices).filter((_, at) => all.indexOf(all[at] as T) === at);
  throw notA(`--${name}`, text, `one of ${words.join(", ")}`);
}

export function notA(flag: string, text: string, wanted: string): CliError {
  return badArguments(`${flag} is ${JSON.stringify(text)}, but must be ${wanted}`);
}
