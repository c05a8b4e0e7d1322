/**
 * Reads EDN, as much of it as recorders of histories write: nil, booleans, numbers, strings,
 * characters, keywords, symbols, lists, vectors, sets, maps, tags (dropped), comments and discards.
 * Keywords keep their colon; a map is a Map; lists, vectors and sets are arrays. Forms come one by
 * one with their line. It keeps no stack of its own beyond a fixed depth.
 */
import { FormatError } from "./format-error.js";

export type Edn =
  | undefined
  | boolean
  | number
  | string
  | readonly Edn[]
  | ReadonlyMap<Edn, Edn>
  | EdnText;

/** A string, which is not the same as a keyword or symbol of the same letters. */
export class EdnText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export interface Form {
  readonly line: number;
  readonly value: Edn;
}

const DEPTH_MAX = 200;
const BLANK = /[\s,]/;
const ENDS_TOKEN = /[\s,()[\]{}";]/;
const CLOSES: ReadonlyMap<string, string> = new Map([
  ["(", ")"],
  ["[", "]"],
  ["{", "}"],
]);
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["t", "\t"],
  ["r", "\r"],
  ["b", "\b"],
  ["f", "\f"],
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
]);

/** The forms of a file; a vector or list around all of them counts as not being there. */
export function readForms(text: string): readonly Form[] {
  const reader = new EdnReader(text);
  const start = reader.peek();
  if (start !== "[" && start !== "(") return reader.formsUntil(undefined);
  reader.skip();
  const forms = reader.formsUntil(CLOSES.get(start));
  if (reader.peek() !== undefined) throw reader.fault("something follows the end of the history");
  return forms;
}

class EdnReader {
  private at = 0;
  private line = 1;
  private depth = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  fault(what: string): FormatError {
    return new FormatError(this.line, what);
  }

  /** The next character that is no blank, comment or discarded form. */
  peek(): string | undefined {
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined) return undefined;
      if (char === ";") this.toLineEnd();
      else if (char === "#" && this.text[this.at + 1] === "_") {
        this.at += 2;
        this.form();
      } else if (BLANK.test(char)) this.skip();
      else return char;
    }
  }

  skip(): void {
    if (this.text[this.at] === "\n") this.line++;
    this.at++;
  }

  private toLineEnd(): void {
    while (this.at < this.text.length && this.text[this.at] !== "\n") this.at++;
  }

  /** Up to the closing character, which is taken; up to the end of the file for `undefined`. */
  formsUntil(close: string | undefined): readonly Form[] {
    const forms: Form[] = [];
    for (;;) {
      const char = this.peek();
      if (char === close) break;
      if (char === undefined) throw this.fault(`the file ends where "${close}" is missing`);
      const { line } = this;
      forms.push({ line, value: this.form() });
    }
    if (close !== undefined) this.skip();
    return forms;
  }

  private form(): Edn {
    const char = this.peek();
    if (char === undefined) throw this.fault("the file ends within a form");
    if (++this.depth > DEPTH_MAX) throw this.fault("nested too deep");
    const value = this.formAt(char);
    this.depth--;
    return value;
  }

  private formAt(char: string): Edn {
    const close = CLOSES.get(char);
    if (close !== undefined) {
      this.skip();
      const inside = this.formsUntil(close).map(({ value }) => value);
      return char === "{" ? this.mapOf(inside) : inside;
    }
    if (char === '"') return this.textAt();
    if (char === "#") return this.dispatched();
    if (char === "^") return this.withoutMetadata();
    if (char === "\\") return this.character();
    return this.token();
  }

  private mapOf(inside: readonly Edn[]): Edn {
    if (inside.length % 2 === 1) throw this.fault("a map with a key that has no value");
    const map = new Map<Edn, Edn>();
    for (let i = 0; i < inside.length; i += 2) map.set(inside[i], inside[i + 1]);
    return map;
  }

  private textAt(): EdnText {
    this.skip();
    let text = "";
    for (;;) {
      const char = this.text[this.at];
      if (char === undefined) throw this.fault("the file ends within a string");
      this.skip();
      if (char === '"') return new EdnText(text);
      text += char === "\\" ? this.escaped() : char;
    }
  }

  private escaped(): string {
    const char = this.text[this.at] ?? "";
    this.skip();
    if (char === "u") {
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.fault("a bad \\u in a string");
      this.at += 4;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const plain = ESCAPES.get(char);
    if (plain === undefined) throw this.fault(`an unknown escape \\${char} in a string`);
    return plain;
  }

  /** `#{…}` is a set; `#tag form` is the form. */
  private dispatched(): Edn {
    this.skip();
    if (this.text[this.at] === "{") {
      this.skip();
      return this.formsUntil("}").map(({ value }) => value);
    }
    this.token();
    return this.form();
  }

  private withoutMetadata(): Edn {
    this.skip();
    this.form();
    return this.form();
  }

  private character(): EdnText {
    this.skip();
    const first = this.text[this.at] ?? "";
    this.skip();
    let text = first;
    while (this.at < this.text.length && !ENDS_TOKEN.test(this.text[this.at]!)) {
      text += this.text[this.at++]!;
    }
    return new EdnText(text);
  }

  private token(): Edn {
    const start = this.at;
    while (this.at < this.text.length && !ENDS_TOKEN.test(this.text[this.at]!)) this.at++;
    const token = this.text.slice(start, this.at);
    if (token === "") throw this.fault(`"${this.text[start]}" where a form was expected`);
    if (token === "nil") return undefined;
    if (token === "true" || token === "false") return token === "true";
    if (/^[+-]?\d+N?$/.test(token)) return Number.parseInt(token, 10);
    if (/^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?M?$/.test(token)) return Number.parseFloat(token);
    return token;
  }
}

/** The form as text, the same for equal forms. */
export function ednText(value: Edn): string {
  if (value === undefined) return "nil";
  if (value instanceof EdnText) return JSON.stringify(value.text);
  if (value instanceof Map) {
    const pairs = [...value].map(([key, inside]) => `${ednText(key)} ${ednText(inside)}`);
    return `{${pairs.toSorted().join(", ")}}`;
  }
  if (typeof value === "object") return `[${[...value].map(ednText).join(" ")}]`;
  return String(value);
}
