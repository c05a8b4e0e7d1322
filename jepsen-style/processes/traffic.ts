/** Whether the workloads are served: again after each turn of faults, and enough in all. */
import type { Finding } from "../checkers/finding.js";
import { invalid, unknown, valid } from "../checkers/finding.js";
import type { Course } from "../workloads/workload.js";

export interface NamedCourse {
  readonly name: string;
  readonly course: Course;
}

/** How long healed nodes may take to serve everybody again. */
export const RECOVERY_MS = 60_000;
const POLL_MS = 200;
/** Of each workload, between two turns of faults and in a whole run. */
const SERVED_MIN = 10;
/** Between two turns of faults, where everybody is served at once. */
const REST_MS = 2500;

/** From now on each workload is served, or that is a finding. `isOver`: nobody waits any more. */
export async function servedAgain(
  courses: readonly NamedCourse[],
  { nowMs, isOver }: { readonly nowMs: () => number; readonly isOver: () => boolean },
): Promise<Finding | undefined> {
  const healedMs = nowMs();
  const starving = (): readonly string[] =>
    courses
      .filter(({ course }) => servedSince(course, healedMs) < SERVED_MIN)
      .map(({ name }) => name);
  while (!isOver() && (nowMs() < healedMs + REST_MS || starving().length > 0)) {
    if (nowMs() > healedMs + RECOVERY_MS) {
      const after = `${RECOVERY_MS / 1000} s after all was healed at ${Math.round(healedMs)} ms`;
      const text = `${starving().join(", ")}: served less than ${SERVED_MIN} times ${after}`;
      return invalid("served between faults", text);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return undefined;
}

function servedSince({ operations }: Course, sinceMs: number): number {
  return operations.filter((each) => each.kind === "ok" && each.completedAt > sinceMs).length;
}

/** A run in which hardly anything was served shows nothing. */
export function judgeTraffic({ operations }: Course): Finding {
  const served = operations.filter(({ kind }) => kind === "ok").length;
  const name = "enough was served";
  if (served >= SERVED_MIN && served > operations.length / 50) return valid(name);
  return unknown(name, `only ${served} of ${operations.length} operations were served`);
}
