/** The harness's end of its guardian: whoever is reported here dies with the harness. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { must } from "../../src/base/assert.js";

export class Guard {
  readonly #guardian: ChildProcess;

  constructor(lifetimeSeconds: number) {
    const path = fileURLToPath(new URL("./guardian.js", import.meta.url));
    // In a group of its own: what the terminal sends to the harness does not end it.
    this.#guardian = spawn(process.execPath, [path, String(lifetimeSeconds)], {
      stdio: ["pipe", "ignore", "inherit"],
      detached: true,
    });
    this.#guardian.unref();
  }

  /** Until it ends, it dies with the harness. */
  watch(child: ChildProcess): void {
    const pid = must(child.pid, "a process id");
    this.#tell(`+${pid}`);
    child.once("exit", () => this.#tell(`-${pid}`));
  }

  close(): void {
    this.#guardian.stdin?.end();
  }

  #tell(line: string): void {
    const { stdin } = this.#guardian;
    if (stdin?.writable === true) stdin.write(`${line}\n`);
  }
}
