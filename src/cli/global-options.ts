/**
 * The flags that every command of flotctl takes. A flag goes over its environment variable
 * (FLOTCTL_ and the flag in capitals), that over the default. A bad value in the environment is an
 * error, never passed over.
 */
import type { Options } from "yargs";
import { READ_LEVELS, type ReadLevel } from "../protocol/key-value.js";
import { type Arguments, notA, switchOf, textOf } from "./arguments.js";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import { parseDuration } from "./quantities.js";

export const FORMATS = ["simple", "fields", "json", "table"] as const;
export type Format = (typeof FORMATS)[number];

export interface GlobalOptions {
  readonly endpoints: readonly string[];
  /** undefined: the default keyspace. */
  readonly keyspace: string | undefined;
  readonly level: ReadLevel;
  /** 0: no bound. */
  readonly maxStalenessMs: number;
  readonly format: Format;
  readonly hex: boolean;
  readonly commandTimeoutMs: number;
  readonly dialTimeoutMs: number;
  readonly fanOut: boolean;
}

const LEVEL_NAMES: Readonly<Record<string, ReadLevel>> = {
  ...(Object.fromEntries(Object.keys(READ_LEVELS).map((name) => [name, name])) as Record<
    string,
    ReadLevel
  >),
  l: "linearizable",
  s: "stale",
};

type ValueFlag = readonly [describe: string, fallback: string, alias?: string];

/** Flags with a value: what they mean and their default. */
const VALUES: Readonly<Record<string, ValueFlag>> = {
  endpoints: ["nodes to learn the cluster from, host:port with commas", "127.0.0.1:2379"],
  keyspace: ["the keyspace to use", "default"],
  consistency: ["of reads: linearizable (l), lease, follower, stale (s)", "linearizable"],
  "max-staleness": ["stale reads: the oldest state to accept; 0 for any", "0"],
  "write-out": [`output format: ${FORMATS.join(", ")}`, "simple", "w"],
  "command-timeout": ["how long a request may take", "5s"],
  "dial-timeout": ["how long making a connection may take", "2s"],
};

const SWITCHES: Readonly<Record<string, string>> = {
  hex: "print keys and values as hexadecimal escapes",
  "fan-out": "let an ordered scan or watch of a hash keyspace ask every shard",
};

export const GLOBAL_FLAGS: Readonly<Record<string, Options>> = {
  ...mapped(VALUES, ([describe, fallback, alias]) => ({
    describe,
    ...(alias === undefined ? {} : { alias }),
    defaultDescription: fallback,
    type: "string",
    global: true,
    group: "Global flags:",
  })),
  ...mapped(SWITCHES, (describe) => ({
    describe,
    type: "boolean",
    global: true,
    group: "Global flags:",
  })),
};

function mapped<From>(
  table: Readonly<Record<string, From>>,
  turn: (from: From) => Options,
): Record<string, Options> {
  return Object.fromEntries(Object.entries(table).map(([name, from]) => [name, turn(from)]));
}

type Environment = Readonly<Record<string, string | undefined>>;

interface Given {
  readonly text: string;
  /** Flag or variable, for messages. */
  readonly origin: string;
}

function given(argv: Arguments, env: Environment, name: string): Given {
  const flag = textOf(argv, name);
  if (flag !== undefined) return { text: flag, origin: `--${name}` };
  const variable = `FLOTCTL_${name.toUpperCase().replaceAll("-", "_")}`;
  const fallback = VALUES[name]?.[1] ?? "";
  const value = env[variable] ?? "";
  return value === "" ? { text: fallback, origin: "default" } : { text: value, origin: variable };
}

function switched(argv: Arguments, env: Environment, name: string): boolean {
  if (argv[name] !== undefined) return switchOf(argv, name);
  const { text, origin } = given({}, env, name);
  if (text !== "" && !/^(true|false|1|0)$/.test(text)) throw notA(origin, text, "true or false");
  return text === "true" || text === "1";
}

function duration(value: Given): number {
  const ms = parseDuration(value.text);
  if (ms === undefined) throw notA(value.origin, value.text, "a duration, such as 500ms or 5s");
  return ms;
}

function endpoints(value: Given): readonly string[] {
  const list = value.text.split(",").map((one) => one.trim().replace(/^http:\/\//, ""));
  for (const one of list) {
    if (!/^(\[[0-9a-f:]+\]|[^\s:/]+):\d{1,5}$/i.test(one)) {
      throw notA(value.origin, one, "host:port, several with commas between");
    }
  }
  return list;
}

function level(value: Given): ReadLevel {
  const found = LEVEL_NAMES[value.text];
  if (found === undefined) {
    throw notA(value.origin, value.text, "linearizable (l), lease, follower or stale (s)");
  }
  return found;
}

function format(value: Given): Format {
  const found = FORMATS.find((name) => name === value.text);
  if (found !== undefined) return found;
  throw new CliError(EXIT.unsupportedFormat, `${value.origin}: no format ${value.text}`, {
    next: `-w with one of ${FORMATS.join(", ")}`,
  });
}

export function globalOptions(argv: Arguments, env: Environment): GlobalOptions {
  const of = (name: string): Given => given(argv, env, name);
  const keyspace = of("keyspace");
  const commandTimeoutMs = duration(of("command-timeout"));
  if (commandTimeoutMs === 0) throw badArguments("--command-timeout must be above 0");
  return {
    endpoints: endpoints(of("endpoints")),
    keyspace: keyspace.origin === "default" ? undefined : keyspace.text,
    level: level(of("consistency")),
    maxStalenessMs: duration(of("max-staleness")),
    format: format(of("write-out")),
    hex: switched(argv, env, "hex"),
    commandTimeoutMs,
    dialTimeoutMs: duration(of("dial-timeout")),
    fanOut: switched(argv, env, "fan-out"),
  };
}
