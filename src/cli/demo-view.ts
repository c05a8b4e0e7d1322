/** How a demo looks: one line a node. Pure: from what is known of the nodes to text. */
import type { StatusResponse } from "../protocol/admin-messages.js";
import type { Exit } from "./demo-node.js";
import { formatBytes, formatDuration } from "./quantities.js";
import { greatest, leadsOf, sum } from "./sheets.js";
import type { Style } from "./terminal.js";

export interface NodeView {
  readonly name: string;
  readonly runs: boolean;
  readonly exit: Exit | undefined;
  readonly status: StatusResponse | undefined;
  /** Since its last answer; undefined if there was none. */
  readonly heardMs: number | undefined;
  readonly memoryBytes: number | undefined;
  readonly commandText: string;
}

/** Without an answer for so long a node is shown as silent. */
export const SILENT_MS = 1500;

export interface Line {
  readonly text: string;
  readonly style: Style | undefined;
}

/** `hasKeys`: the demo listens to keys. */
export function nodeLine(view: NodeView, hasKeys: boolean): Line {
  const name = view.name.padEnd(3);
  if (!view.runs) {
    const help = hasKeys ? "  press r to start it again" : "";
    return { text: `${name} ✗ down (${exitText(view.exit)})${help}`, style: "red" };
  }
  const { status, heardMs } = view;
  if (status === undefined || heardMs === undefined) {
    return { text: `${name} … starting`, style: "yellow" };
  }
  const memory = view.memoryBytes === undefined ? "–" : formatBytes(view.memoryBytes);
  const facts = [
    `leads ${leadsOf(status)}/${status.replicas.length}`,
    `term ${greatest(status, "term")}`,
    `revision ${greatest(status, "revision")}`,
    `applied ${sum(status, "appliedIndex")}`,
    `data ${formatBytes(status.storedBytes)}`,
    `memory ${memory}`,
    `heartbeat ${formatDuration(Math.round(heardMs))} ago`,
  ];
  const silent = heardMs > SILENT_MS;
  return {
    text: `${name} ${silent ? "? silent" : "● up"}  ${facts.join("  ")}`,
    style: silent ? "yellow" : undefined,
  };
}

/** Said once when a node goes down; too long for its line. */
export function downText({ name, exit, commandText }: NodeView): string {
  return `${name} is down (${exitText(exit)}); to start it by hand: ${commandText}`;
}

function exitText(exit: Exit | undefined): string {
  if (exit === undefined) return "not started";
  return exit.signal === null ? `exit code ${exit.code}` : `killed by ${exit.signal}`;
}

/** The node that leads the most shards, among those that run. */
export function busiest(views: readonly NodeView[]): NodeView | undefined {
  let most: NodeView | undefined;
  for (const view of views) {
    if (!view.runs || view.status === undefined) continue;
    if (most?.status === undefined || leadsOf(view.status) > leadsOf(most.status)) most = view;
  }
  return most;
}
