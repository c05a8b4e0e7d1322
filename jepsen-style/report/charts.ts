/** The charts of a run over time, the faults shaded in each: latencies, rates, leaders. */
import type { Recorded } from "../workloads/history-log.js";
import type { RunData } from "./run-data.js";
import { box, dots, heightName, LEFT, line, picture, text, timeAxis, WIDTH, xOf } from "./svg.js";
import type { Axis } from "./svg.js";

const LATENCY_HEIGHT = 260;
const RATE_HEIGHT = 140;
const LANE_HEIGHT = 20;
const LATENCY_MS = [1, 10, 100, 1000, 10_000] as const;

const KINDS = ["ok", "fail", "info"] as const;

/** Grey behind everything while at least one fault was on. */
function shade({ faults }: RunData, axis: Axis, height: number): string {
  return faults
    .map(({ text: words, fromMs, toMs }) => {
      const x = xOf(axis, fromMs);
      const width = Math.max(1, xOf(axis, toMs) - x);
      return box({ x, y: 0, width, height }, "fault", words);
    })
    .join("");
}

/** Every operation as a point, where it was called and how long it took; the scale is of powers. */
export function latencies(data: RunData, axis: Axis): string {
  const height = LATENCY_HEIGHT;
  const yOf = (ms: number): number => {
    const top = Math.log10(LATENCY_MS.at(-1)!);
    return height * (1 - Math.log10(Math.min(Math.max(ms, 1), 10_000)) / top);
  };
  const grid = LATENCY_MS.map((ms) => {
    const y = yOf(ms);
    const words = ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`;
    const rule = `<line class="grid" x1="${LEFT}" y1="${y}" x2="${WIDTH}" y2="${y}"/>`;
    return rule + text(LEFT - 8, y + 4, words, 'text-anchor="end"');
  });
  const points = KINDS.map((kind) => {
    const own = data.operations.filter((each) => each.kind === kind);
    return dots(
      own.map((each) => [xOf(axis, each.calledAt), yOf(tookMs(each, axis))] as const),
      kind,
    );
  });
  const scales = [...grid, timeAxis(axis, height), heightName("latency", height)];
  const content = [shade(data, axis, height), ...scales, ...points].join("");
  return picture(height, "latency of each operation", content);
}

function tookMs({ calledAt, completedAt }: Recorded, { toMs }: Axis): number {
  return (completedAt ?? toMs) - calledAt;
}

/** Completions a second, by outcome. */
export function rates(data: RunData, axis: Axis): string {
  const height = RATE_HEIGHT;
  const seconds = Math.max(1, Math.ceil((axis.toMs - axis.fromMs) / 1000));
  const counts = KINDS.map((kind) => {
    const own = Array.from({ length: seconds }, () => 0);
    for (const each of data.operations) {
      const at = Math.floor(((each.completedAt ?? axis.toMs) - axis.fromMs) / 1000);
      if (each.kind === kind && at >= 0 && at < seconds) own[at]! += 1;
    }
    return own;
  });
  const most = Math.max(1, ...counts.flat());
  const lines = KINDS.map((kind, index) =>
    line(
      counts[index]!.map((count, second) => {
        const x = xOf(axis, axis.fromMs + second * 1000 + 500);
        return [x, height - (height - 6) * (count / most)] as const;
      }),
      kind,
    ),
  );
  const labels = [
    text(LEFT - 8, 12, `${most}/s`, 'text-anchor="end"'),
    text(LEFT - 8, height, "0", 'text-anchor="end"'),
  ];
  const scales = [timeAxis(axis, height), heightName("completions", height), ...labels];
  const content = [shade(data, axis, height), ...scales, ...lines].join("");
  return picture(height, "completions a second", content);
}

/** A lane for each node with the terms in which it led, and one for each nemesis. */
export function leaders(data: RunData, axis: Axis): string {
  const shown = reigns(data).filter((reign) => isWithin(axis, reign));
  const faults = data.faults.filter((fault) => isWithin(axis, fault));
  const nodes = [...new Set(shown.map(({ node }) => node))].sort();
  const nemeses = [...new Set(faults.map(({ nemesis }) => nemesis))];
  const lanes = [...nodes.map((name) => `leader ${name}`), ...nemeses];
  const height = Math.max(1, lanes.length) * LANE_HEIGHT;
  const names = lanes.map((name, lane) =>
    text(LEFT - 8, lane * LANE_HEIGHT + 14, name, 'text-anchor="end"'),
  );
  const led = shown.map(({ node, term, fromMs, toMs }) => {
    const lane = nodes.indexOf(node);
    const x = xOf(axis, fromMs);
    const width = Math.max(2, xOf(axis, toMs) - x);
    const area = { x, y: lane * LANE_HEIGHT + 3, width, height: LANE_HEIGHT - 6 };
    const words = `${node} led in term ${term}`;
    const label = width > 18 ? text(x + 3, lane * LANE_HEIGHT + 14, String(term)) : "";
    return box(area, `term${term % 4}`, words) + label;
  });
  const struck = faults.map(({ nemesis, text: words, fromMs, toMs }) => {
    const lane = nodes.length + nemeses.indexOf(nemesis);
    const x = xOf(axis, fromMs);
    const width = Math.max(2, xOf(axis, toMs) - x);
    const area = { x, y: lane * LANE_HEIGHT + 3, width, height: LANE_HEIGHT - 6 };
    return box(area, "struck", words);
  });
  const content = [timeAxis(axis, height), ...led, ...struck, ...names].join("");
  return picture(height, "leaders, terms and faults", content);
}

function isWithin(axis: Axis, span: { readonly fromMs: number; readonly toMs: number }): boolean {
  return span.fromMs < axis.toMs && span.toMs > axis.fromMs;
}

interface Reign {
  readonly node: string;
  readonly term: number;
  readonly fromMs: number;
  toMs: number;
}

/** Looks at one node in one term, put together. */
function reigns({ leads }: RunData): readonly Reign[] {
  const found = new Map<string, Reign>();
  for (const { atMs, node, term } of leads) {
    const name = `${node} ${term}`;
    const known = found.get(name);
    if (known === undefined) found.set(name, { node, term, fromMs: atMs, toMs: atMs });
    else known.toMs = atMs;
  }
  return [...found.values()];
}
