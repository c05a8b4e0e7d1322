/**
 * Byte strings as text: quoted as Go quotes them (which is what etcdctl prints and reads), in
 * hexadecimal escapes, and lines cut into words. Quoting loses nothing: unquoting gives the bytes.
 */
import { utf8, utf8Text } from "../base/bytes.js";

const ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  "\\": 92,
  "'": 39,
  '"': 34,
};
const NAMED: ReadonlyMap<number, string> = new Map(
  Object.entries(ESCAPES)
    .filter(([name]) => name !== "'")
    .map(([name, code]) => [code, name]),
);
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/** `bytes` in double quotes; what is not printable text is escaped. */
export function quote(bytes: Uint8Array): string {
  const text = utf8Text(bytes);
  // Text with a replacement character may have lost bytes, so it is quoted byte by byte.
  return text.includes("\ufffd") ? quoteBytes(bytes) : `"${Array.from(text, escapeRune).join("")}"`;
}

function escapeRune(rune: string): string {
  const code = rune.codePointAt(0) ?? 0;
  const name = NAMED.get(code);
  if (name !== undefined) return `\\${name}`;
  if (rune === " " || !UNPRINTABLE.test(rune)) return rune;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).padStart(4, "0")}`;
  return `\\U${code.toString(16).padStart(8, "0")}`;
}

function quoteBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const escaped = byte < 0x80 ? escapeRune(String.fromCharCode(byte)) : hexEscape(byte);
    text += escaped;
  }
  return `"${text}"`;
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** `bytes` as hexadecimal escapes only, as --hex shows them. */
export function hexEscapes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += hexEscape(byte);
  return text;
}

/** The bytes of a quoted text: Go's double quotes with escapes, or back quotes without. */
export function unquote(text: string): Uint8Array | undefined {
  const mark = text[0];
  if (text.length < 2 || mark !== text.at(-1)) return undefined;
  const inner = text.slice(1, -1);
  if (mark === "`") return inner.includes("`") ? undefined : utf8(inner);
  if (mark !== '"' || !/^(?:[^"\\\n]|\\[^\n])*$/.test(inner)) return undefined;
  return unescape(inner);
}

const PIECE = new RegExp(
  [
    /\\x([0-9a-fA-F]{2})/,
    /\\([0-3][0-7]{2})/,
    /\\u([0-9a-fA-F]{4})/,
    /\\U([0-9a-fA-F]{8})/,
    /\\(.)/u,
    /([^\\]+)/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "uy",
);

function unescape(inner: string): Uint8Array | undefined {
  const bytes: number[] = [];
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < inner.length) {
    const piece = PIECE.exec(inner);
    const part = piece === null ? undefined : bytesOfPiece(piece);
    if (part === undefined) return undefined;
    for (const byte of part) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function bytesOfPiece(piece: RegExpExecArray): Iterable<number> | undefined {
  const [, hexDigits, octalDigits, short, long, name, plain] = piece;
  if (plain !== undefined) return utf8(plain);
  if (hexDigits !== undefined) return [Number.parseInt(hexDigits, 16)];
  if (octalDigits !== undefined) return [Number.parseInt(octalDigits, 8)];
  const code = short ?? long;
  if (code !== undefined) return runeBytes(Number.parseInt(code, 16));
  const named = ESCAPES[name ?? ""];
  return named === undefined ? undefined : [named];
}

function runeBytes(code: number): Uint8Array | undefined {
  const isRune = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
  return isRune ? utf8(String.fromCodePoint(code)) : undefined;
}

const WORD = /\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|'([^']*)'|([^\s"'`]\S*))(?=\s|$)/y;

/**
 * A line cut at white space; words may stand in quotes. undefined where quotes do not match, or
 * where a quoted word is not text.
 */
export function words(line: string): readonly string[] | undefined {
  const found: string[] = [];
  const text = line.trimEnd();
  WORD.lastIndex = 0;
  while (WORD.lastIndex < text.length) {
    const match = WORD.exec(text);
    if (match === null) return undefined;
    const [, quoted, raw, bare] = match;
    const word = quoted === undefined ? (raw ?? bare ?? "") : textOf(unquote(quoted));
    if (word === undefined) return undefined;
    found.push(word);
  }
  return found;
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const text = utf8Text(bytes);
  return text.includes("\ufffd") ? undefined : text;
}
