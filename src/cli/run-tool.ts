/**
 * One run of a tool: reads the command line, runs the command, reports a failure, and gives back
 * the exit code. Ctrl-C once ends the command, twice does not wait for it.
 */
import { type Invocation, readCommandLine } from "./command-line.js";
import type { Tool } from "./command-table.js";
import { EXIT } from "./exit-codes.js";
import { failureOf, failureText } from "./failure.js";
import { note, type Terminal } from "./terminal.js";

/** What a command gets, and what is left to do when it has ended. */
export interface Prepared<Context> {
  readonly context: Context;
  close(): Promise<void>;
}

export type Prepare<Context> = (
  invocation: Invocation<Context>,
  signal: AbortSignal,
) => Prepared<Context>;

export async function runTool<Context>(
  tool: Tool<Context>,
  args: readonly string[],
  terminal: Terminal,
  prepare: Prepare<Context>,
): Promise<number> {
  let writes = false;
  try {
    const invocation = await readCommandLine(tool, args, terminal);
    if (invocation === undefined) return EXIT.ok;
    writes = invocation.command.writes;
    return await execute(invocation, terminal, prepare);
  } catch (error) {
    const failure = failureOf(error, writes);
    terminal.err.write(failureText(failure));
    return failure.exitCode;
  }
}

async function execute<Context>(
  invocation: Invocation<Context>,
  terminal: Terminal,
  prepare: Prepare<Context>,
): Promise<number> {
  const { command, argv } = invocation;
  const abort = new AbortController();
  const prepared = prepare(invocation, abort.signal);
  const interruption = interrupted(terminal, abort, {
    waits: command.endsItself === true,
    writes: command.writes,
  });
  const running = command.run(prepared.context, argv);
  try {
    const exitCode = await Promise.race([running, interruption.exitCode]);
    // Cut off, the command fails on what is closed under it; nobody waits for that.
    running.catch(() => undefined);
    await prepared.close();
    return exitCode;
  } catch (error) {
    // What fails while closing after a failure says nothing new.
    await prepared.close().catch(() => undefined);
    throw error;
  } finally {
    interruption.forget();
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
