/**
 * Reads a command line by a command table: strict parsing, help, completion. It decides nothing
 * about what a command does. What stands behind `--` is taken out before parsing and put back as
 * plain arguments, or handed over as `rest` for the commands that run another program.
 *
 * Numbers, lists and dots are not interpreted: keys look like all of them.
 */
import yargs, { type Argv, type Options } from "yargs";
import type { Arguments } from "./arguments.js";
import type {
  CommandDefinition,
  CommandEntry,
  CommandGroup,
  CommandTable,
} from "./command-table.js";
import { EXIT, exitCodesText } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import type { Terminal } from "./terminal.js";

export interface Tool<Context> {
  readonly name: string;
  readonly describe: string;
  readonly table: CommandTable<Context>;
  readonly globalFlags: Readonly<Record<string, Options>>;
  /** Commands that get what stands behind `--` as `rest`. */
  readonly takesRest: readonly string[];
}

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

/** No argument of a process can hold a zero byte, so this marks what stood behind `--`. */
const REST_MARK = "\0";

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
  const word = commandWord(tool, before);
  const ownRest = tool.takesRest.includes(word);
  const words = ownRest ? before : [...before, ...rest.map((_, at) => `${REST_MARK}${at}`)];
  let found: Invocation<Context> | undefined;
  const showsFlags = args.some((arg) => SHOWS_FLAGS.has(arg));
  const parser = buildParser(tool, terminal, showsFlags);
  const building = { tool, showsFlags };
  addCommands(parser, building, word, (invocation) => {
    found = { ...invocation, argv: restored(invocation.argv, rest), rest: ownRest ? rest : [] };
  });
  let text = "";
  await parser.parseAsync([...words], {}, (_error, _argv, output) => {
    text = output;
  });
  if (text !== "") terminal.out.write(`${text}\n`);
  return found;
}

/** The first word that is neither a flag nor the value of one. */
function commandWord<Context>(tool: Tool<Context>, args: readonly string[]): string {
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (!arg.startsWith("-")) return arg;
    const name = arg.replace(/^-+/, "");
    const flag = Object.entries(tool.globalFlags).find(
      ([long, { alias }]) => long === name || alias === name,
    );
    if (flag?.[1].type === "string") at++;
  }
  return "";
}

function restored(argv: Arguments, rest: readonly string[]): Arguments {
  const plain = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(plain);
    const marked = typeof value === "string" && value.startsWith(REST_MARK);
    return marked ? rest[Number(value.slice(REST_MARK.length))] : value;
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
    .recommendCommands()
    .demandCommand(1, "no command was named")
    .version(false)
    .help("help")
    .alias("help", "h")
    .options(flagsFor(tool.globalFlags, showsFlags))
    .epilogue(showsFlags ? exitCodesText() : "")
    .wrap(Math.min(terminal.out.columns, 100))
    .fail((message, error) => {
      throw error ?? refused(tool, message);
    });
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

function refused<Context>(tool: Tool<Context>, message: string): CliError {
  const counts = /Not enough non-option arguments: got (\d+), need at least (\d+)/.exec(message);
  const text = counts === null ? message : "an argument is missing";
  return badArguments(text, `${tool.name} --help, or ${tool.name} COMMAND --help`);
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
