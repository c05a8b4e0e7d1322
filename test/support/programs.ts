/** Programs of others that a test can do without. */
import { spawn, spawnSync } from "node:child_process";

export interface ProgramResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Whether the program is installed here; says so where it is not. */
export function isInstalled(program: string, versionFlag: string): boolean {
  const found = spawnSync(program, [versionFlag]).error === undefined;
  if (!found) console.log(`${program} is not installed: its tests are left out`);
  return found;
}

export function runProgram(
  program: string,
  args: readonly string[],
  input = "",
  timeoutMs?: number,
): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    // Who reads nothing may be gone before anything could be written to him.
    const stdin = input === "" ? "ignore" : "pipe";
    const child = spawn(program, args, {
      env: { ...process.env, ETCDCTL_API: "3" },
      stdio: [stdin, "pipe", "pipe"],
      timeout: timeoutMs,
    });
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (chunk: Uint8Array) => (stdout += String(chunk)));
    child.stderr?.on("data", (chunk: Uint8Array) => (stderr += String(chunk)));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
    child.stdin?.end(input);
  });
}
