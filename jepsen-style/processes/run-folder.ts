/** The folder that a run leaves: its report, its history, and what the nodes printed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { reportPage } from "./report.js";
import type { RunResult } from "./run.js";
import { commandOf } from "./settings.js";

/** Gives the path of the page. */
export function writeRun(result: RunResult): string {
  const { directory } = result.settings;
  const page = join(directory, "report.html");
  writeFileSync(page, reportPage(result));
  writeFileSync(join(directory, "history.jsonl"), historyOf(result));
  const { settings, verdict, findings, faults } = result;
  const summary = { command: commandOf(settings), verdict, findings, faults };
  writeFileSync(join(directory, "result.json"), `${JSON.stringify(summary, undefined, 2)}\n`);
  return page;
}

/** In the form that `check --format flotilla` reads, where the workload is of registers. */
function historyOf({ course }: RunResult): string {
  return course.operations.map((operation) => `${JSON.stringify(operation)}\n`).join("");
}
