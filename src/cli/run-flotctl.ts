/**
 * One run of flotctl: reads the command line, runs the command, reports failures, and gives back
 * the exit code. Ctrl-C once ends the command, twice does not wait for it.
 */
import type { Arguments } from "./arguments.js";
import { type Invocation, readCommandLine, type Tool } from "./command-line.js";
import { type Connect, Context } from "./context.js";
import { EXIT } from "./exit-codes.js";
import { failureOf, failureText } from "./failure.js";
import { FLOTCTL_COMMANDS } from "./flotctl-commands.js";
import { GLOBAL_FLAGS, globalOptions } from "./global-options.js";
import { note, type Terminal } from "./terminal.js";

export const FLOTCTL: Tool<Context> = {
  name: "flotctl",
  describe: "The client of a Flotilla cluster.",
  table: FLOTCTL_COMMANDS,
  globalFlags: GLOBAL_FLAGS,
  takesRest: ["watch"],
};

export async function runFlotctl(
  args: readonly string[],
  terminal: Terminal,
  connect: Connect,
): Promise<number> {
  let writes = false;
  try {
    const invocation = await readCommandLine(FLOTCTL, args, terminal);
    if (invocation === undefined) return EXIT.ok;
    writes = invocation.command.writes;
    return await execute(invocation, terminal, connect);
  } catch (error) {
    const failure = failureOf(error, writes);
    terminal.err.write(failureText(failure));
    return failure.exitCode;
  }
}

async function execute(
  { command, argv, rest }: Invocation<Context>,
  terminal: Terminal,
  connect: Connect,
): Promise<number> {
  const options = globalOptions(argv, terminal.env);
  const abort = new AbortController();
  const context = new Context({ terminal, options, rest, signal: abort.signal, connect });
  const interruption = interrupted(terminal, abort, {
    waits: command.endsItself === true,
    writes: command.writes,
  });
  const running = command.run(context, argv as Arguments);
  try {
    return await Promise.race([running, interruption.exitCode]);
  } finally {
    interruption.forget();
    // Cut off, the command fails on its closed client; nobody waits for that.
    running.catch(() => undefined);
    await context.close();
  }
}

interface Interruption {
  readonly exitCode: Promise<number>;
  forget(): void;
}

function interrupted(
  terminal: Terminal,
  abort: AbortController,
  command: { readonly waits: boolean; readonly writes: boolean },
): Interruption {
  let forget = (): void => undefined;
  const exitCode = new Promise<number>((resolve) => {
    forget = terminal.onInterrupt(() => {
      const again = abort.signal.aborted;
      abort.abort();
      if (command.waits && !again) return;
      const warning = command.writes ? ": a write on its way may still be applied" : "";
      note(terminal, `interrupted${warning}`, "yellow");
      resolve(EXIT.interrupted);
    });
  });
  return { exitCode, forget: () => forget() };
}
