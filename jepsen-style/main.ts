/** What attacks and judges Flotilla, by name: `npm run -s jepsen -- NAME [options]`. */
import { check, CHECK_USAGE } from "./check.js";

function main([name, ...rest]: readonly string[]): number {
  if (name === "check") {
    const { lines, errors, exitCode } = check(rest);
    for (const line of errors) console.error(line);
    for (const line of lines) console.log(line);
    return exitCode;
  }
  console.log(`Usage: npm run -s jepsen -- NAME [options]\n\n${CHECK_USAGE}`);
  return name === undefined || name === "--help" || name === "help" ? 0 : 3;
}

process.exitCode = main(process.argv.slice(2));
