/** stub */
import type { RunResult } from "./run.js";
export function reportPage(result: RunResult): string {
  return JSON.stringify(result.findings);
}
