/**
 * Settings from four places: flags go over the environment (FLOTILLA_ and the flag in capitals),
 * that over the configuration file, that over the defaults. Every value is checked where it is
 * used; a key of the file that no setting has is an error.
 *
 * The file is JSON: {"listenClient": "127.0.0.1:2379", "labels": {"zone": "a"}, …}, keys as the
 * flags in camelCase, values as the flags take them.
 */
import { readFileSync } from "node:fs";
import { type Arguments, textsOf } from "./arguments.js";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import {
  DEFAULT_SETTINGS,
  type FileShape,
  NODE_SETTINGS,
  type NodeSettings,
  type Setting,
} from "./node-settings.js";

export interface Resolved {
  readonly settings: NodeSettings;
  /** Flag → where its value is from. */
  readonly origins: ReadonlyMap<string, string>;
}

export interface Sources {
  readonly argv: Arguments;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly file: Readonly<Record<string, unknown>>;
  readonly fileName: string;
}

interface Given {
  readonly texts: readonly string[];
  readonly origin: string;
}

/** Throws CliError that names the origin of the first value that is wrong. */
export function resolveSettings(sources: Sources): Resolved {
  checkFileKeys(sources);
  const values: Partial<Record<keyof NodeSettings, unknown>> = {};
  const origins = new Map<string, string>();
  for (const setting of NODE_SETTINGS) {
    const given = givenFor(setting, sources);
    origins.set(setting.flag, given?.origin ?? "default");
    if (given === undefined) continue;
    const value = setting.parse(given.texts);
    if (value === undefined) {
      const shown = JSON.stringify(given.texts.join(" "));
      throw badArguments(`${given.origin} is ${shown}, but must be ${setting.wanted}`);
    }
    values[setting.field] = value;
  }
  return { settings: { ...DEFAULT_SETTINGS, ...(values as Partial<NodeSettings>) }, origins };
}

function givenFor(setting: Setting, { argv, env, file, fileName }: Sources): Given | undefined {
  const flags = textsOf(argv, setting.flag);
  if (flags.length > 0) return { texts: flags, origin: `--${setting.flag}` };
  const variable = environmentName(setting.flag);
  const text = env[variable] ?? "";
  if (text !== "")
    return { texts: setting.repeatable ? text.split(";") : [text], origin: variable };
  const key = fileKey(setting.flag);
  const value = file[key];
  if (value === undefined) return undefined;
  const origin = `${key} in ${fileName}`;
  const texts = textsOfJson(value, setting.fileShape);
  if (texts !== undefined) return { texts, origin };
  throw badArguments(`${origin} is ${JSON.stringify(value)}, but must be ${setting.wanted}`);
}

export function environmentName(flag: string): string {
  return `FLOTILLA_${flag.toUpperCase().replaceAll("-", "_")}`;
}

export function fileKey(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * As the flag would be written: an object as name=value pairs, a list as several values. undefined
 * where the setting has no such shape.
 */
function textsOfJson(value: unknown, shape: FileShape): readonly string[] | undefined {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return shape === "number" ? [String(value)] : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  const all: readonly unknown[] = Object.values(value);
  if (!all.every((one) => typeof one === "string")) return undefined;
  if (Array.isArray(value)) return shape === "list" ? all : undefined;
  if (shape !== "pairs") return undefined;
  return [
    Object.entries(value)
      .map(([name, one]) => `${name}=${String(one)}`)
      .join(","),
  ];
}

function checkFileKeys({ file, fileName }: Sources): void {
  const known = new Set(NODE_SETTINGS.map(({ flag }) => fileKey(flag)));
  const unknown = Object.keys(file).filter((key) => !known.has(key));
  if (unknown.length === 0) return;
  throw badArguments(
    `${fileName}: unknown ${unknown.length === 1 ? "key" : "keys"} ${unknown.join(", ")}`,
    `known keys: ${[...known].join(", ")}`,
  );
}

export function readConfigFile(path: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CliError(EXIT.inputOutput, `cannot read ${path}: ${(error as Error).message}`);
  }
  const value = parsedJson(path, text);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) throw badArguments(`${path} must hold one JSON object`);
  return value as Record<string, unknown>;
}

function parsedJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badArguments(`${path} is not JSON: ${(error as Error).message}`);
  }
}

/** Every setting with its value and where that is from, one a line. */
export function settingsText({ settings, origins }: Resolved): string {
  const rows = NODE_SETTINGS.map((setting) => [
    setting.flag,
    setting.show(settings) || '""',
    `(${origins.get(setting.flag) ?? ""})`,
  ]);
  const width = (column: number): number =>
    Math.max(...rows.map((row) => (row[column] ?? "").length));
  const [first, second] = [width(0), width(1)];
  const lines = rows.map(
    ([flag = "", value = "", origin = ""]) =>
      `${flag.padEnd(first)}  ${value.padEnd(second)}  ${origin}`,
  );
  return `${lines.join("\n")}\n`;
}
