/** What attacks and judges Flotilla: `npm run -s jepsen -- check FILE …` or `-- --workload …`. */
import { check, CHECK_USAGE } from "./check.js";
import { runCommand } from "./command.js";
import { RUN_USAGE, runHarness } from "./processes/command.js";

const USAGE = `npm run -s jepsen -- …\n\n${RUN_USAGE}\n\n${CHECK_USAGE}`;

async function main([name, ...rest]: readonly string[]): Promise<number> {
  if (name === "check") {
    const { lines, errors, exitCode } = check(rest);
    for (const line of errors) console.error(line);
    for (const line of lines) console.log(line);
    return exitCode;
  }
  if (name !== undefined && name.startsWith("--")) return runHarness([name, ...rest]);
  console.log(USAGE);
  return name === undefined || name === "help" ? 0 : 3;
}

await runCommand(USAGE, () => main(process.argv.slice(2)));
