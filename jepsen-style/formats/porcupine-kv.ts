/**
 * Histories of a store of texts, one EDN map a line: `:f` is :get, :put or :append, with :key and
 * :value. A get's value comes with its completion.
 */
import type { TextAnswer, TextOperation, TextRequest } from "../checkers/text-store.js";
import { EdnText } from "./edn.js";
import { readEvents } from "./edn-events.js";
import type { EdnEvent } from "./edn-events.js";
import { FormatError } from "./format-error.js";
import { Pairing } from "./pairing.js";
import type { Ending } from "./pairing.js";

export function readPorcupineKv(text: string): readonly TextOperation[] {
  const pairing = new Pairing<TextRequest, TextAnswer>();
  for (const event of readEvents(text)) {
    if (event.type === ":invoke") pairing.call(event.line, event.process, requestOf(event));
    else pairing.complete(event.line, event.process, ({ type }) => endingOf(type, event));
  }
  return pairing.operations();
}

function requestOf(event: EdnEvent): TextRequest {
  const key = event.fields.get(":key");
  if (!(key instanceof EdnText)) throw new FormatError(event.line, "a :key that is no string");
  if (event.f === ":get") return { type: "get", key: key.text };
  if (event.f !== ":put" && event.f !== ":append") {
    throw new FormatError(event.line, `not an operation of this store: ${event.f}`);
  }
  const type = event.f === ":put" ? "put" : "append";
  return { type, key: key.text, value: textOf(event) };
}

function endingOf(type: TextRequest["type"], event: EdnEvent): Ending<TextAnswer> {
  if (event.type === ":fail") return { kind: "fail" };
  if (event.type !== ":ok") return { kind: "info" };
  return { kind: "ok", answer: type === "get" ? { type, value: textOf(event) } : { type } };
}

function textOf({ line, value }: EdnEvent): string {
  if (!(value instanceof EdnText)) throw new FormatError(line, "a :value that is no string");
  return value.text;
}
