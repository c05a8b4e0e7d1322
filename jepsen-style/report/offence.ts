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
const LABEL_HEIGHT = 14;
/** More than a letter takes in the mean. */
const LETTER_WIDTH = 7;
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
    (each) =>
      each.calledAt <= toMs &&
      endOf(each, data.endedMs) >= fromMs &&
      !offending.some((one) => isSame(one, each)),
  );
  const shown: readonly Shown[] = [...others.slice(0, NEIGHBOURS_MAX), ...offending];
  const lanes = lanesOf(shown, offending);
  const height = lanes.reduce((sum, lane) => sum + lane.height, 0);
  const bars = shown.map((operation) => {
    const lane = lanes.find(({ process }) => process === operation.process);
    if (lane === undefined) return "";
    const line = lane.offending.indexOf(operation);
    const x = xOf(axis, operation.calledAt);
    const width = Math.max(2, xOf(axis, endOf(operation, data.endedMs)) - x);
    const area = { x, y: lane.barY, width, height: LANE_HEIGHT - 6 };
    const name = line >= 0 ? `guilty ${operation.kind}` : operation.kind;
    const bar = box(area, name, describeOperation(operation));
    return line < 0 ? bar : bar + labelAt(operation, x, lane.y + (line + 1) * LABEL_HEIGHT);
  });
  const names = lanes.map(({ process, barY }) =>
    text(LEFT - 8, barY + 10, `process ${process}`, 'text-anchor="end"'),
  );
  const content = [timeAxis(axis, height), ...names, ...bars].join("");
  return picture(height, "operations around the offence", content);
}

/** One may be witnessed by two: the workload and the store below it. */
function isSame(one: Shown, other: Shown): boolean {
  return one === other || (one.process === other.process && one.calledAt === other.calledAt);
}

interface Lane {
  readonly process: number;
  /** Labels from here on, a line each, and below them the bar. */
  readonly y: number;
  readonly barY: number;
  readonly height: number;
  readonly offending: readonly Shown[];
}

/** Those of the offence first, each with room for what it asked and heard. */
function lanesOf(shown: readonly Shown[], offending: readonly Shown[]): readonly Lane[] {
  const guilty = new Set(offending.map(({ process }) => process));
  const processes = [...new Set(shown.map(({ process }) => process))]
    .toSorted((a, b) => Number(guilty.has(b)) - Number(guilty.has(a)) || a - b)
    .slice(0, LANES_MAX);
  let y = 0;
  return processes.map((process) => {
    const own = offending.filter((each) => each.process === process);
    const labels = own.length * LABEL_HEIGHT;
    const lane = { process, y, barY: y + labels + 3, height: LANE_HEIGHT + labels, offending: own };
    y += lane.height;
    return lane;
  });
}

/** From where it began, or as far to the left as it takes to stay in the picture. */
function labelAt(operation: Shown, x: number, y: number): string {
  const words = labelOf(operation);
  const room = Math.max(LEFT, WIDTH - words.length * LETTER_WIDTH);
  return text(Math.min(x, room), y, words, 'class="label"');
}

function labelOf(operation: Shown): string {
  const words = describeOperation(operation).replace(/^process \d+ {2}\[[^\]]*\] {2}/, "");
  return words.length > 90 ? `${words.slice(0, 90)}…` : words;
}
