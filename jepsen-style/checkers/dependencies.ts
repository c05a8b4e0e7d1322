/**
 * Cycles of dependencies between transactions, real time among them: whoever was called after
 * another had completed comes after it. Real time is a chain of moments, so that it takes a few
 * edges for each operation and not one for each pair. The weakest kind of cycle is looked for
 * first, and of each kind a shortest one.
 *
 *   G0         writes alone          G-single   one read that misses a write
 *   G1c        and reads of writes   G2         several of them
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";
import { strongComponents } from "./strong-components.js";
import { describeOperation } from "./words.js";
import { addTo } from "../lists.js";

export type EdgeKind = "ww" | "wr" | "rw" | "time";

export interface Edge {
  readonly kind: EdgeKind;
  readonly from: number;
  readonly to: number;
  /** What `from` did, as seen by the next. */
  readonly why: string;
}

interface Cycle {
  readonly name: string;
  /** In order; the last leads to the first. */
  readonly steps: readonly Edge[];
}

interface Kind {
  readonly name: string;
  readonly kinds: readonly EdgeKind[];
  /** Edges that miss a write: exactly one, or any number. */
  readonly misses: "none" | "one" | "any";
}

const KINDS: readonly Kind[] = [
  { name: "G0", kinds: ["ww"], misses: "none" },
  { name: "G1c", kinds: ["ww", "wr"], misses: "none" },
  { name: "G-single", kinds: ["ww", "wr", "rw"], misses: "one" },
  { name: "G2", kinds: ["ww", "wr", "rw"], misses: "any" },
];

/** Valid, or the circle in words. */
export function judgeCycles(
  checker: string,
  operations: readonly Operation<unknown, unknown>[],
  edges: readonly Edge[],
): Finding {
  const cycle = findCycle(operations, edges);
  if (cycle === undefined) return valid(checker);
  const { name, steps } = cycle;
  const lines = steps.map(({ from, why }) => {
    return `  ${describeOperation(operations[from]!)}\n    ${why}`;
  });
  const finding = invalid(checker, `${name}: transactions depend on each other in a circle`);
  const round = steps.map(({ from }) => operations[from]!);
  return { ...finding, lines: [...finding.lines, ...lines], operations: round };
}

function findCycle(
  operations: readonly Operation<unknown, unknown>[],
  edges: readonly Edge[],
): Cycle | undefined {
  const timed = [...edges, ...timeEdges(operations)];
  for (const [all, suffix] of [
    [edges, ""],
    [timed, "-realtime"],
  ] as const) {
    for (const { name, kinds, misses } of KINDS) {
      const used = all.filter(({ kind }) => kind === "time" || kinds.includes(kind));
      const cycle = cycleAmong(used, misses);
      if (cycle === undefined) continue;
      const steps = withoutMoments(cycle, operations.length);
      return { name: `${name}${suffix}`, steps };
    }
  }
  return undefined;
}

/** Moments are numbered behind the operations. */
function timeEdges(operations: readonly Operation<unknown, unknown>[]): readonly Edge[] {
  const returns = operations.flatMap((operation, index) =>
    operation.kind === "ok" ? [{ index, at: operation.completedAt }] : [],
  );
  returns.sort((a, b) => a.at - b.at);
  const why = "had completed before the next was called";
  const edges: Edge[] = [];
  const moment = (at: number): number => operations.length + at;
  returns.forEach(({ index }, at) => {
    edges.push({ kind: "time", from: index, to: moment(at), why });
    if (at > 0) edges.push({ kind: "time", from: moment(at - 1), to: moment(at), why });
  });
  for (const [index, { calledAt, kind }] of operations.entries()) {
    if (kind === "fail") continue;
    const before = lastBefore(returns, calledAt);
    if (before >= 0) edges.push({ kind: "time", from: moment(before), to: index, why });
  }
  return edges;
}

function lastBefore(returns: readonly { readonly at: number }[], time: number): number {
  let low = 0;
  let high = returns.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (returns[middle]!.at < time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function cycleAmong(edges: readonly Edge[], misses: Kind["misses"]): readonly Edge[] | undefined {
  const graph = new Map<number, Edge[]>();
  for (const edge of edges) {
    addTo(graph, edge.from, edge);
  }
  const component = strongComponents(graph);
  // A path back to where an edge began, by all edges or by those that miss nothing.
  for (const first of edges) {
    if (component.get(first.from) !== component.get(first.to)) continue;
    if (first.kind === "time" || (misses !== "none" && first.kind !== "rw")) continue;
    const back = pathBack(graph, first, (edge) => misses !== "one" || edge.kind !== "rw");
    if (back !== undefined) return [first, ...back];
  }
  return undefined;
}

/** The shortest way from the end of an edge to its beginning. */
function pathBack(
  graph: ReadonlyMap<number, readonly Edge[]>,
  first: Edge,
  allowed: (edge: Edge) => boolean,
): readonly Edge[] | undefined {
  const cameBy = new Map<number, Edge>();
  const reached = [first.to];
  for (const at of reached) {
    for (const edge of graph.get(at) ?? []) {
      if (!allowed(edge) || cameBy.has(edge.to)) continue;
      cameBy.set(edge.to, edge);
      if (edge.to === first.from) return walked(cameBy, first);
      reached.push(edge.to);
    }
  }
  return undefined;
}

function walked(cameBy: ReadonlyMap<number, Edge>, first: Edge): readonly Edge[] {
  const path: Edge[] = [];
  for (let at = first.from; at !== first.to || path.length === 0;) {
    const edge = cameBy.get(at)!;
    path.unshift(edge);
    at = edge.from;
  }
  return path;
}

/** From operation to operation: the moments between two are one step of time. */
function withoutMoments(cycle: readonly Edge[], operations: number): readonly Edge[] {
  return cycle.filter(({ from }) => from < operations);
}
