/**
 * What the parser refuses, said as a user wrote it: a command that is not there, with the one that
 * may have been meant, a flag with its dashes, a missing argument by its name. Never a guess that
 * is more than two edits away.
 */
import type { CommandEntry, CommandGroup, Tool } from "./command-table.js";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";

/** Further away it is another word, not a slip of the fingers. */
const EDITS_MAX = 2;

export interface Refused<Context> {
  readonly tool: Tool<Context>;
  /** The line up to `--`. */
  readonly args: readonly string[];
  /** Its words that are neither flags nor values of global ones. */
  readonly words: readonly string[];
}

/** The error for what the parser said of a command line. */
export function refusal<Context>(refused: Refused<Context>, message: string): CliError {
  const { tool, words } = refused;
  const entry = entryOf(tool, words);
  if (entry === undefined) return unknownCommand(refused) ?? badArguments(message, helpOf(tool));
  const unknown = /^Unknown arguments?: (.*)$/s.exec(message)?.[1];
  const next = `${tool.name} ${entry.name} --help`;
  if (unknown !== undefined) {
    const texts = unknown.split(", ").map((name) => unknownText(refused, name));
    return badArguments(texts.join(", "), next);
  }
  const count = /Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
  if (count !== undefined) return missingArgument(tool, entry, Number(count));
  const bare = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  return badArguments(bare === undefined ? message : `--${bare} needs a value`, next);
}

interface NamedEntry {
  /** As the user would name it. */
  readonly name: string;
  readonly usage: string;
}

function entryOf<Context>(tool: Tool<Context>, words: readonly string[]): NamedEntry | undefined {
  for (const one of tool.table) {
    const own = "load" in one ? named(one, words[0]) : groupEntry(one, words);
    if (own !== undefined) return own;
  }
  return undefined;
}

function groupEntry<Context>(
  group: CommandGroup<Context>,
  [word, inner]: readonly string[],
): NamedEntry | undefined {
  if (group.name !== word) return undefined;
  for (const one of group.commands) {
    const own = named(one, inner);
    if (own === undefined) continue;
    return { name: `${group.name} ${own.name}`, usage: `${group.name} ${own.usage}` };
  }
  return undefined;
}

function named<Context>(
  { usage }: CommandEntry<Context>,
  word: string | undefined,
): NamedEntry | undefined {
  const name = firstWordOf(usage);
  return name === word ? { name, usage } : undefined;
}

function firstWordOf(usage: string): string {
  return usage.split(" ")[0] ?? "";
}

function helpOf<Context>(tool: Tool<Context>): string {
  return `${tool.name} --help, or ${tool.name} COMMAND --help`;
}

/** undefined where no command was named, or a group without one of its own. */
function unknownCommand<Context>({ tool, words }: Refused<Context>): CliError | undefined {
  const [word, inner] = words;
  if (word === undefined) return undefined;
  const group = tool.table.find((one) => !("load" in one) && one.name === word);
  if (group !== undefined && inner === undefined) return undefined;
  const commands = group !== undefined && "commands" in group ? group.commands : tool.table;
  const wrong = group === undefined ? word : `${word} ${inner}`;
  if (tool.notYet.includes(wrong)) {
    return badArguments(`the command "${wrong}" of etcdctl is not there yet`, helpOf(tool));
  }
  const names = commands.map((one) => ("usage" in one ? firstWordOf(one.usage) : one.name));
  const near = nearest(group === undefined ? word : (inner ?? ""), names);
  const meant = near === undefined || group === undefined ? near : `${word} ${near}`;
  const question = meant === undefined ? "" : `; did you mean "${meant}"?`;
  return badArguments(`unknown command "${wrong}"${question}`, helpOf(tool));
}

/** The parser names flags without their dashes, and arguments too. */
function unknownText<Context>({ args }: Refused<Context>, name: string): string {
  const isLong = args.some((arg) => arg === `--${name}` || arg.startsWith(`--${name}=`));
  if (isLong) return `unknown flag --${name}`;
  const isShort = name.length === 1 && args.some((arg) => isCluster(arg) && arg.includes(name));
  return isShort ? `unknown flag -${name}` : `unexpected argument ${JSON.stringify(name)}`;
}

function isCluster(arg: string): boolean {
  return arg.startsWith("-") && !arg.startsWith("--");
}

function missingArgument<Context>(tool: Tool<Context>, entry: NamedEntry, count: number): CliError {
  const wanted = [...entry.usage.matchAll(/<[a-z-]+>/g)].map(([text]) => text);
  return new CliError(EXIT.badArguments, `${wanted[count] ?? "an argument"} is missing`, {
    usage: `${tool.name} ${entry.usage} [flags]`,
    next: `${tool.name} ${entry.name} --help`,
  });
}

function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = EDITS_MAX + 1;
  for (const name of names) {
    const distance = edits(word, name);
    if (distance >= least) continue;
    least = distance;
    best = name;
  }
  return best;
}

/** Letters to put in, take out or replace to make one word of the other. */
export function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i++) {
    const above = row;
    row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (above[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, (above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1));
    }
  }
  return row[to.length] ?? 0;
}
