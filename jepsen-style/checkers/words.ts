/** An operation in a line, whatever was asked: who, when, what, and what was heard. */
import type { Operation } from "../history.js";

const TEXT_MAX = 160;

export function describeOperation(operation: Operation<unknown, unknown>): string {
  const { process, calledAt, kind, completedAt } = operation;
  const until = kind === "info" ? "outcome unknown" : milliseconds(completedAt ?? calledAt);
  const times = `[${milliseconds(calledAt)}, ${until}]`;
  const heard = operation.kind === "ok" ? ` → ${shorten(fields(operation.answer))}` : "";
  const failed = kind === "fail" ? " → failed" : "";
  return `process ${process}  ${times}  ${shorten(fields(operation.request))}${heard}${failed}`;
}

function milliseconds(time: number): string {
  return `${Math.round(time * 10) / 10}`;
}

function shorten(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}…`;
}

/** Its type first, then the other fields as they would be written in JSON, without the noise. */
function fields(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "nothing";
  const { type, ...others } = value as { readonly type?: unknown };
  const rest = Object.entries(others).map(([name, field]) => `${name}=${JSON.stringify(field)}`);
  return [...(typeof type === "string" ? [type] : []), ...rest].join(" ");
}
