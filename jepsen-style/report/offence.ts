/**
 * The operations around an offence, a lane for each process: what was under way when, and in the
 * midst those that contradict each other, with what they asked and heard.
 */
import { describeOperation } from "../checkers/words.js";
import type { Finding } from "../checkers/finding.js";
import type { Operation } from "../history.js";
import { leaders } from "./charts.js";
import type { RunData } from "./run-data.js";
import { box, LEFT, picture, text, timeAxis, WIDTH, xOf } from "./svg.js";
import type { Axis } from "./svg.js";

type Shown = Operation<unknown, unknown>;

const LANE_HEIGHT = 18;
const MARGIN_MS_MIN = 50;
const LANES_MAX = 40;
const NEIGHBOURS_MAX = 400;

/** Two pictures on one axis: the operations, and who led then; empty where there is nothing. */
export function offence(data: RunData, finding: Finding): string {
  if (finding.operations.length === 0) return "";
  const axis = axisAround(finding.operations, data.endedMs);
  return operationsAround(data, finding.operations, axis) + leaders(data, axis);
}

function endOf(operation: Shown, lastMs: number): number {
  return operation.kind === "info" ? lastMs : operation.completedAt;
}

function axisAround(operations: readonly Shown[], lastMs: number): Axis {
  const from = Math.min(...operations.map(({ calledAt }) => calledAt));
  const to = Math.max(...operations.map((each) => each.completedAt ?? each.calledAt));
  const margin = Math.max(MARGIN_MS_MIN, (to - from) / 4);
  return { fromMs: Math.max(0, from - margin), toMs: Math.min(lastMs, to + margin) };
}

function operationsAround(data: RunData, offending: readonly Shown[], axis: Axis): string {
  const { fromMs, toMs } = axis;
  const others = data.operations.filter(
    (each) => each.calledAt <= toMs && endOf(each, data.endedMs) >= fromMs,
  );
  const shown: readonly Shown[] = [...others.slice(0, NEIGHBOURS_MAX), ...offending];
  const guilty = new Set(offending.map(({ process }) => process));
  const processes = [...new Set(shown.map(({ process }) => process))]
    .toSorted((a, b) => Number(guilty.has(b)) - Number(guilty.has(a)) || a - b)
    .slice(0, LANES_MAX);
  const height = processes.length * LANE_HEIGHT;
  const bars = shown.map((operation) => {
    const lane = processes.indexOf(operation.process);
    if (lane < 0) return "";
    const isGuilty = offending.includes(operation);
    const x = xOf(axis, operation.calledAt);
    const width = Math.max(2, xOf(axis, endOf(operation, data.endedMs)) - x);
    const area = { x, y: lane * LANE_HEIGHT + 3, width, height: LANE_HEIGHT - 6 };
    const name = isGuilty ? `guilty ${operation.kind}` : operation.kind;
    const words = describeOperation(operation);
    return box(area, name, words) + (isGuilty ? labelAt(operation, x, lane) : "");
  });
  const names = processes.map((process, lane) =>
    text(LEFT - 8, lane * LANE_HEIGHT + 13, `process ${process}`, 'text-anchor="end"'),
  );
  const content = [timeAxis(axis, height), ...names, ...bars].join("");
  return picture(height, "operations around the offence", content);
}

/** To the right of where it began, or to the left of that where there is no room. */
function labelAt(operation: Shown, x: number, lane: number): string {
  const words = labelOf(operation);
  const y = lane * LANE_HEIGHT + 13;
  if (x < WIDTH * 0.6) return text(x + 3, y, words, 'class="label"');
  return text(x - 3, y, words, 'class="label" text-anchor="end"');
}

function labelOf(operation: Shown): string {
  const words = describeOperation(operation).replace(/^process \d+ {2}\[[^\]]*\] {2}/, "");
  return words.length > 90 ? `${words.slice(0, 90)}…` : words;
}
