/**
 * Runs the program that a watch was given, once for each event, one after the other. The event is
 * in its environment: FLOTCTL_WATCH_REVISION, _EVENT_TYPE, and _KEY and _VALUE in Go's quotes.
 */
import { spawn } from "node:child_process";
import type { WatchEvent } from "../protocol/key-value.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";
import { quote } from "./quoting.js";

export function eventEnvironment(revision: number, event: WatchEvent): Record<string, string> {
  return {
    FLOTCTL_WATCH_REVISION: String(revision),
    FLOTCTL_WATCH_EVENT_TYPE: event.type.toUpperCase(),
    FLOTCTL_WATCH_KEY: quote(event.kv.key),
    FLOTCTL_WATCH_VALUE: quote(event.kv.value),
  };
}

/** Resolves to the program's exit code, 1 where a signal ended it. */
export function runProgram(
  program: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<number> {
  const [command = "", ...args] = program;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "inherit", "inherit"],
    });
    child.on("error", (error) => {
      reject(new CliError(EXIT.inputOutput, `cannot run ${command}: ${error.message}`));
    });
    child.on("close", (code) => resolve(code ?? EXIT.failed));
  });
}
