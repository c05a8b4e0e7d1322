/**
 * The events of a recorded history in EDN: maps with :process, :type, :f, :value. Events of a
 * process that has no number are the nemesis's; they are no operations and are left out.
 */
import { readForms } from "./edn.js";
import type { Edn } from "./edn.js";
import { FormatError } from "./format-error.js";

export interface EdnEvent {
  readonly line: number;
  readonly process: number;
  readonly type: ":invoke" | ":ok" | ":fail" | ":info";
  readonly f: string;
  readonly value: Edn;
  /** All that the event says. */
  readonly fields: ReadonlyMap<Edn, Edn>;
}

export function readEvents(text: string): readonly EdnEvent[] {
  const events: EdnEvent[] = [];
  for (const { line, value } of readForms(text)) {
    if (!(value instanceof Map)) throw new FormatError(line, "an event is a map");
    const event = eventOf(line, value);
    if (event !== undefined) events.push(event);
  }
  return events;
}

function eventOf(line: number, fields: ReadonlyMap<Edn, Edn>): EdnEvent | undefined {
  const process = fields.get(":process");
  const type = fields.get(":type");
  const f = fields.get(":f");
  if (process === undefined) throw new FormatError(line, "an event without :process");
  if (typeof process !== "number") return undefined;
  if (type !== ":invoke" && type !== ":ok" && type !== ":fail" && type !== ":info") {
    throw new FormatError(line, "an event whose :type is none of :invoke, :ok, :fail, :info");
  }
  if (typeof f !== "string") throw new FormatError(line, "an event without :f");
  return { line, process, type, f, value: fields.get(":value"), fields };
}
