/**
 * Runs the program that a watch or a lock was given: for a watch once for each event, one after the
 * other, with the event in its environment: FLOTCTL_WATCH_REVISION, _EVENT_TYPE, and _KEY and
 * _VALUE in Go's quotes; for a lock with FLOTCTL_LOCK_KEY and _REV. A lock's are there by etcdctl's
 * names too.
 */
import { spawn } from "node:child_process";
import { utf8Text } from "../base/bytes.js";
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

export function lockEnvironment(key: Uint8Array, revision: number): Record<string, string> {
  const [name, number] = [utf8Text(key), String(revision)];
  return {
    FLOTCTL_LOCK_KEY: name,
    FLOTCTL_LOCK_REV: number,
    ETCD_LOCK_KEY: name,
    ETCD_LOCK_REV: number,
  };
}

/** Resolves to the program's exit code, 1 where a signal ended it. `end` has it asked to end. */
export function runProgram(
  program: readonly string[],
  environment: Readonly<Record<string, string>>,
  end?: AbortSignal,
): Promise<number> {
  const [command = "", ...args] = program;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const stop = (): void => void child.kill("SIGTERM");
    end?.addEventListener("abort", stop);
    if (end?.aborted === true) stop();
    child.on("error", (error) => {
      reject(new CliError(EXIT.inputOutput, `cannot run ${command}: ${error.message}`));
    });
    child.on("close", (code) => {
      end?.removeEventListener("abort", stop);
      resolve(code ?? EXIT.failed);
    });
  });
}
