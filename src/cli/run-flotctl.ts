/** One run of flotctl, with the connection as a parameter, so that tests need no cluster. */
import type { Tool } from "./command-table.js";
import { type Connect, Context } from "./context.js";
import { FLOTCTL_COMMANDS } from "./flotctl-commands.js";
import { GLOBAL_FLAGS, globalOptions } from "./global-options.js";
import { runTool } from "./run-tool.js";
import type { Terminal } from "./terminal.js";

const NOT_YET: readonly string[] = ["auth", "user", "role", "check datascale", "downgrade"];

const FLOTCTL: Tool<Context> = {
  name: "flotctl",
  describe: "The client of a Flotilla cluster.",
  table: FLOTCTL_COMMANDS,
  globalFlags: GLOBAL_FLAGS,
  takesRest: ["watch"],
  notYet: NOT_YET,
};

export function runFlotctl(
  args: readonly string[],
  terminal: Terminal,
  connect: Connect,
): Promise<number> {
  return runTool(FLOTCTL, args, terminal, ({ argv, rest }, signal) => {
    const options = globalOptions(argv, terminal.env);
    const context = new Context({ terminal, options, rest, signal, connect });
    return { context, close: () => context.close() };
  });
}
