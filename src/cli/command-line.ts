/**
 * Reads a command line by a command table: strict parsing, help, completion. It decides nothing
 * about what a command does. What stands behind `--` is taken out before parsing and put back as
 * plain arguments, or handed over as `rest` for the commands that run another program. A word
 * true or false is taken out too: the parser would make it the value of a switch before it, whose
 * value can only stand behind `=`.
 *
 * Numbers, lists and dots are not interpreted: keys look like all of them.
 */
import yargs, { type Argv, type Options } from "yargs";
import { type Arguments, notA } from "./arguments.js";
import type {
  CommandDefinition,
  CommandEntry,
  CommandGroup,
  CommandTable,
  Tool,
} from "./command-table.js";
import { EXIT, exitCodesText } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import { refusal } from "./refusals.js";
import type { Terminal } from "./terminal.js";

export interface Invocation<Context> {
  readonly command: CommandDefinition<Context>;
  /** As the user would name it. */
  readonly name: string;
  readonly argv: Arguments;
  readonly rest: readonly string[];
}

const PARSER_SETTINGS = {
  "parse-numbers": false,
  "parse-positional-numbers": false,
  "dot-notation": false,
  "boolean-negation": false,
  "greedy-arrays": false,
  "camel-case-expansion": false,
} as const;

/** With one of these, flags are shown, so that their descriptions are needed. */
const SHOWS_FLAGS: ReadonlySet<string> = new Set(["--help", "-h", "--get-yargs-completions"]);

/** No argument of a process can hold a zero byte, so this marks a word that was taken out. */
const MARK = "\0";

/**
 * The command to run, or undefined where help or completions were asked for and written. Throws
 * CliError for a command line that is not understood.
 */
export async function readCommandLine<Context>(
  tool: Tool<Context>,
  args: readonly string[],
  terminal: Terminal,
): Promise<Invocation<Context> | undefined> {
  const cut = args.indexOf("--");
  const rest = cut < 0 ? [] : args.slice(cut + 1);
  const before = cut < 0 ? args : args.slice(0, cut);
  const words = commandWords(tool, before);
  const word = words[0] ?? "";
  const ownRest = tool.takesRest.includes(word);
  const marked = withMarks(before, ownRest ? [] : rest);
  let found: Invocation<Context> | undefined;
  const showsFlags = args.some((arg) => SHOWS_FLAGS.has(arg));
  const parser = buildParser(tool, terminal, showsFlags).fail((message, error) => {
    throw error ?? refusal({ tool, args: before, words }, unmarked(message, marked.taken));
  });
  addCommands(parser, { tool, showsFlags }, word, (invocation) => {
    checkSwitches(before, { ...tool.globalFlags, ...invocation.command.flags });
    const argv = restored(invocation.argv, marked.taken);
    found = { ...invocation, argv, rest: ownRest ? rest : [] };
  });
  let text = "";
  await parser.parseAsync(marked.words, {}, (_error, _argv, output) => {
    text = output;
  });
  if (text !== "") terminal.out.write(`${text}\n`);
  return found;
}

interface Marked {
  readonly words: string[];
  /** What each mark stands for. */
  readonly taken: readonly string[];
}

function withMarks(before: readonly string[], rest: readonly string[]): Marked {
  const taken: string[] = [];
  const mark = (text: string): string => `${MARK}${taken.push(text) - 1}`;
  const words = before.map((arg) => (arg === "true" || arg === "false" ? mark(arg) : arg));
  return { words: [...words, ...rest.map(mark)], taken };
}

function unmarked(text: string, taken: readonly string[]): string {
  return text.replace(/\0(\d+)/g, (_, at: string) => taken[Number(at)] ?? "");
}

/** The parser takes every other value of a switch for false. */
function checkSwitches(args: readonly string[], flags: Readonly<Record<string, Options>>): void {
  for (const arg of args) {
    const [, name = "", value = ""] = /^--?([^=]+)=(.*)$/s.exec(arg) ?? [];
    const flag = flags[name] ?? Object.values(flags).find(({ alias }) => alias === name);
    if (flag?.type !== "boolean" || value === "true" || value === "false") continue;
    throw notA(arg.slice(0, arg.indexOf("=")), value, "true or false");
  }
}

/** The words that are neither flags nor the values of global ones. */
function commandWords<Context>(tool: Tool<Context>, args: readonly string[]): readonly string[] {
  const words: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) {
      words.push(arg);
      continue;
    }
    const name = arg.replace(/^-+/, "");
    const flag = Object.entries(tool.globalFlags).find(
      ([long, { alias }]) => long === name || alias === name,
    );
    if (flag?.[1].type === "string") at++;
  }
  return words;
}

function restored(argv: Arguments, taken: readonly string[]): Arguments {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    return typeof value === "string" ? unmarked(value, taken) : value;
  };
  return Object.fromEntries(Object.entries(argv).map(([name, value]) => [name, plain(value)]));
}

type Found<Context> = (invocation: Omit<Invocation<Context>, "rest">) => void;

/**
 * The parser renders the help of every command that it has read, to throw it away: a fifth of the
 * time that a get takes. Hidden flags are not rendered.
 */
function flagsFor(flags: Readonly<Record<string, Options>>, shown: boolean): typeof flags {
  if (shown) return flags;
  const hidden = Object.entries(flags).map(([name, flag]) => [name, { ...flag, hidden: true }]);
  return Object.fromEntries(hidden) as typeof flags;
}

function buildParser<Context>(tool: Tool<Context>, terminal: Terminal, showsFlags: boolean): Argv {
  return yargs()
    .scriptName(tool.name)
    .usage(`${tool.describe}\n\nUsage: $0 <command> [flags]`)
    .detectLocale(false)
    .parserConfiguration(PARSER_SETTINGS)
    .exitProcess(false)
    .strict()
    .demandCommand(1, "no command was named")
    .version(false)
    .help("help")
    .alias("help", "h")
    .options(flagsFor(tool.globalFlags, showsFlags))
    .epilogue(showsFlags ? exitCodesText() : "")
    .wrap(Math.min(terminal.out.columns, 100));
}

interface Building<Context> {
  readonly tool: Tool<Context>;
  readonly showsFlags: boolean;
}

/** The command that was named, alone, which saves time; all of them where it is none of them. */
function addCommands<Context>(
  parser: Argv,
  building: Building<Context>,
  word: string,
  found: Found<Context>,
): void {
  const { table } = building.tool;
  const named = table.filter((entry) => firstWord(entry) === word);
  for (const entry of named.length > 0 ? named : table) {
    if ("load" in entry) addCommand(parser, building, entry, { group: undefined, found });
    else addGroup(parser, building, entry, found);
  }
}

function firstWord<Context>(entry: CommandTable<Context>[number]): string {
  return "load" in entry ? (entry.usage.split(" ")[0] ?? "") : entry.name;
}

function addGroup<Context>(
  parser: Argv,
  building: Building<Context>,
  group: CommandGroup<Context>,
  found: Found<Context>,
): void {
  const names = group.commands.map(({ usage }) => usage.split(" ")[0]).join(", ");
  const missing = `${group.name} needs one of: ${names}`;
  parser.command(
    group.name,
    group.describe,
    (inner) => {
      for (const entry of group.commands) {
        addCommand(inner, building, entry, { group: group.name, found });
      }
      return inner.demandCommand(1, missing);
    },
    () => {
      throw badArguments(missing, `${building.tool.name} ${group.name} --help`);
    },
  );
}

interface Place<Context> {
  readonly group: string | undefined;
  readonly found: Found<Context>;
}

function addCommand<Context>(
  parser: Argv,
  { tool, showsFlags }: Building<Context>,
  entry: CommandEntry<Context>,
  place: Place<Context>,
): void {
  const own = entry.usage.split(" ")[0] ?? "";
  const name = place.group === undefined ? own : `${place.group} ${own}`;
  let loaded: CommandDefinition<Context> | undefined;
  const build = async (inner: Argv): Promise<Argv> => {
    loaded = await entry.load();
    inner.options(flagsFor(loaded.flags, showsFlags));
    for (const positional of entry.usage.matchAll(/[<[]([a-z-]+)(?:\.\.)?[\]>]/g)) {
      inner.positional(positional[1] ?? "", { type: "string" });
    }
    if (!showsFlags) return inner;
    for (const [command, why] of loaded.examples ?? []) {
      inner.example(`${tool.name} ${command}`, why);
    }
    return loaded.epilogue === undefined ? inner : inner.epilogue(loaded.epilogue);
  };
  parser.command(entry.usage, entry.describe, build as never, (argv: Arguments) => {
    if (loaded === undefined) throw new CliError(EXIT.failed, `${name} was not loaded`);
    place.found({ command: loaded, name, argv });
  });
}
