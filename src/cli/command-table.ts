/**
 * How a tool lists its commands. The table is all that is loaded at the start: a command's own file
 * is loaded when it is called, or when its help is asked for.
 */
import type { Options } from "yargs";
import type { Arguments } from "./arguments.js";

export interface CommandDefinition<Context> {
  readonly flags: Readonly<Record<string, Options>>;
  /** Whether it changes data, so that a lost answer leaves its outcome unknown. */
  readonly writes: boolean;
  /** Ctrl-C aborts `context.signal` and the command ends by itself; otherwise it is cut off. */
  readonly endsItself?: boolean | undefined;
  readonly examples?: readonly (readonly [string, string])[] | undefined;
  /** A paragraph below the flags. */
  readonly epilogue?: string | undefined;
  /** Resolves to the exit code. */
  run(context: Context, argv: Arguments): Promise<number>;
}

export interface CommandEntry<Context> {
  /** Name and positional arguments, as `get <key> [range-end]`. */
  readonly usage: string;
  readonly describe: string;
  load(): Promise<CommandDefinition<Context>>;
}

/** Commands under a common first word, as `endpoint status`. */
export interface CommandGroup<Context> {
  readonly name: string;
  readonly describe: string;
  readonly commands: readonly CommandEntry<Context>[];
}

export type CommandTable<Context> = readonly (CommandEntry<Context> | CommandGroup<Context>)[];

export interface Tool<Context> {
  readonly name: string;
  readonly describe: string;
  readonly table: CommandTable<Context>;
  readonly globalFlags: Readonly<Record<string, Options>>;
  /** Commands that get what stands behind `--` as `rest`. */
  readonly takesRest: readonly string[];
  /** Commands that users of etcdctl know and miss here. */
  readonly notYet: readonly string[];
}
