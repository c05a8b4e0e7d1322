/** What attacks and judges Flotilla: `npm run -s jepsen -- check FILE …` or `-- --workload …`. */
import { check, CHECK_USAGE } from "./check.js";
import { runCommand } from "./command.js";
import { RUN_USAGE } from "./processes/usage.js";
import { MUTANT_VARIABLE } from "./sim/mutant.js";
import { mutantNamed } from "./sim/mutants.js";

const USAGE = `npm run -s jepsen -- …\n\n${RUN_USAGE}\n\n${CHECK_USAGE}`;

async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === "check") {
    const { lines, errors, exitCode } = check(rest);
    for (const line of errors) console.error(line);
    for (const line of lines) console.log(line);
    return exitCode;
  }
  if (name !== undefined && name.startsWith("--")) return harness([name, ...rest]);
  console.log(USAGE);
  return name === undefined || name === "help" ? 0 : 3;
}

/** The clients run here, so a known bug is put into this process, too, before it loads them. */
async function harness(args: readonly string[]): Promise<number> {
  const at = args.indexOf("--mutant");
  if (at >= 0) {
    process.env[MUTANT_VARIABLE] = mutantNamed(args[at + 1] ?? "").name;
    await import("./sim/mutant-preload.js");
  }
  const { runHarness } = await import("./processes/command.js");
  return runHarness(args);
}

await runCommand(USAGE, () => main(process.argv.slice(2)));
