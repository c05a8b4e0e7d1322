/** What the commands of this folder share: help, numbers, and bad arguments said in one line. */

/** Exit code 2. */
export class BadArgument extends Error {}

/**
 * Runs a command: --help prints its usage; exit code 2 for bad arguments. A reader that went away
 * (`| head`) ends it quietly, in the middle of what it does.
 */
export async function runCommand(usage: string, main: () => Promise<number>): Promise<void> {
  if (process.argv.slice(2).some((word) => word === "--help" || word === "-h")) {
    console.log(usage);
    return;
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(0);
  });
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof BadArgument) && !isOfParseArgs(error)) throw error;
    console.error(`${error.message}\n--help lists what there is`);
    process.exitCode = 2;
  }
}

export function numberOf(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw new BadArgument(`not a number: ${text}`);
  return value;
}

function isOfParseArgs(error: unknown): error is Error {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("ERR_PARSE_ARGS_");
}
