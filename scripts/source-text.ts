/**
 * What tidy needs to see of a TypeScript file without a parser: the text with comments and string
 * contents blanked out (same length, same lines), its imports, and the length of its functions.
 * It never judges. It is a scanner with one heuristic, where a regular expression may start, and
 * one for function heads: a brace after `)`, after `): Type`, or after `=>`.
 */

export interface Masked {
  /** Comments, and the contents of strings and regular expressions, are spaces. */
  readonly code: string;
  /** Only comments are spaces. */
  readonly uncommented: string;
}

export interface Import {
  readonly line: number;
  readonly from: string;
}

export interface FunctionSize {
  readonly line: number;
  readonly head: string;
  /** Lines that hold code, the head and the closing brace included. */
  readonly lines: number;
}

const REGEX_MAY_FOLLOW = /(^|[-([{,;=:?!&|+*%<>~^])$|\b(return|typeof|case|in|of|void|await)$/;

/** Where the comment, string or pattern that starts here ends; `at` where none starts. */
function pieceAt(scan: Scan): { end: number; comment: boolean } {
  const { text, at } = scan;
  const two = text.slice(at, at + 2);
  if (two === "//") return { end: endOf(text, at, "\n", 0), comment: true };
  if (two === "/*") return { end: endOf(text, at + 2, "*/", 2), comment: true };
  const quote = text[at];
  if (quote === '"' || quote === "'") return { end: quotedEnd(text, at), comment: false };
  if (quote === "/" && REGEX_MAY_FOLLOW.test(scan.code.slice(-40).trimEnd())) {
    return { end: regexEnd(text, at), comment: false };
  }
  return { end: at, comment: false };
}

function endOf(text: string, from: number, closer: string, length: number): number {
  const found = text.indexOf(closer, from);
  return found < 0 ? text.length : found + length;
}

function quotedEnd(text: string, at: number): number {
  let end = at + 1;
  while (end < text.length && text[end] !== text[at] && text[end] !== "\n") {
    end += text[end] === "\\" ? 2 : 1;
  }
  return Math.min(end + 1, text.length);
}

function regexEnd(text: string, at: number): number {
  let inClass = false;
  let end = at + 1;
  for (; end < text.length && text[end] !== "\n"; end++) {
    if (text[end] === "\\") end++;
    else if (text[end] === "[") inClass = true;
    else if (text[end] === "]") inClass = false;
    else if (text[end] === "/" && !inClass) break;
  }
  return Math.min(end + 1, text.length);
}

function blank(text: string): string {
  return text.replaceAll(/[^\n]/g, " ");
}

/** The text with comments blanked, and with comments, strings and patterns blanked. */
export function mask(text: string): Masked {
  const scan: Scan = { text, at: 0, code: "", uncommented: "" };
  while (scan.at < text.length) maskCode(scan, false);
  return { code: scan.code, uncommented: scan.uncommented };
}

interface Scan {
  readonly text: string;
  at: number;
  code: string;
  uncommented: string;
}

/** Scans code to the end of the text or, inside a template's ${…}, to its closing brace. */
function maskCode(scan: Scan, inTemplate: boolean): void {
  let depth = 0;
  while (scan.at < scan.text.length) {
    const character = scan.text[scan.at];
    if (character === "`") {
      maskTemplate(scan);
      continue;
    }
    const { end, comment } = pieceAt(scan);
    if (end > scan.at) {
      maskPiece(scan, end, comment);
      continue;
    }
    if (character === "{") depth++;
    if (character === "}" && inTemplate && depth === 0) return;
    if (character === "}") depth--;
    take(scan, 1);
  }
}

/** A comment disappears; a string keeps its quotes, so that its line still counts as code. */
function maskPiece(scan: Scan, end: number, comment: boolean): void {
  const piece = scan.text.slice(scan.at, end);
  scan.uncommented += comment ? blank(piece) : piece;
  scan.code += comment ? blank(piece) : `"${blank(piece.slice(1, -1))}"`.slice(0, piece.length);
  scan.at = end;
}

function maskTemplate(scan: Scan): void {
  take(scan, 1);
  while (scan.at < scan.text.length && scan.text[scan.at] !== "`") {
    if (scan.text.startsWith("${", scan.at)) {
      take(scan, 2);
      maskCode(scan, true);
      take(scan, 1);
      continue;
    }
    const length = scan.text[scan.at] === "\\" ? 2 : 1;
    const piece = scan.text.slice(scan.at, scan.at + length);
    scan.uncommented += piece;
    scan.code += blank(piece);
    scan.at += length;
  }
  take(scan, 1);
}

function take(scan: Scan, length: number): void {
  const piece = scan.text.slice(scan.at, scan.at + length);
  scan.code += piece;
  scan.uncommented += piece;
  scan.at += length;
}

export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < offset; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

/** Every static import, re-export, side-effect import and import() of a literal. */
export function importsOf(masked: Masked): readonly Import[] {
  const found: Import[] = [];
  const pattern = /^\s*(?:import|export)\b[^"';]*?from\s*"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/gm;
  for (const match of masked.uncommented.matchAll(pattern)) {
    const keyword = match.index + match[0].search(/\S/);
    if (masked.code[keyword] === " ") continue;
    found.push({ line: lineAt(masked.code, keyword), from: match[1] ?? match[2] ?? "" });
  }
  return found;
}

type Brace = { kind: "function" | "returnType" | "other"; head: string; line: number };

const CONTROL = /^(?:\}?\s*)?(?:else\s+)?(if|for|while|switch|catch|with|else|do|try)\b/;
const FUNCTION_HEAD = /=>$|\)(?:\s*:\s*[^={}]+)?$/;
const RETURN_TYPE = /\)\s*:(?:[^={}]*[<|&,])?$/;

function kindOf(head: string, closed: Brace | undefined): Brace["kind"] {
  const afterReturnType = closed?.kind === "returnType" && /^[\s[\]|&<>\w]*$/.test(head);
  if (afterReturnType) return "function";
  if (CONTROL.test(head) || /^(export\s+)?(abstract\s+)?(class|interface)\b/.test(head)) {
    return "other";
  }
  if (RETURN_TYPE.test(head)) return "returnType";
  return FUNCTION_HEAD.test(head) ? "function" : "other";
}

/** Every function with a body, by the braces of the masked code. */
export function functionsOf(code: string): readonly FunctionSize[] {
  const isCode = code.split("\n").map((line) => line.trim() !== "");
  const found: FunctionSize[] = [];
  const open: Brace[] = [];
  let closed: Brace | undefined;
  let line = 1;
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "\n") line++;
    if (code[at] === "{") {
      const head = headBefore(code, at);
      const kind = kindOf(head, closed);
      const start = line - head.split("\n").length + 1;
      open.push({ kind, head: head === "" ? (closed?.head ?? "") : head, line: start });
      closed = undefined;
    } else if (code[at] === "}") {
      closed = open.pop();
      if (closed?.kind !== "function") continue;
      const lines = isCode.slice(closed.line - 1, line).filter(Boolean).length;
      found.push({ line: closed.line, head: closed.head.replaceAll(/\s+/g, " "), lines });
    }
  }
  return found;
}

/** The text before a brace, back to the statement or argument that it belongs to. */
function headBefore(code: string, brace: number): string {
  let depth = 0;
  let at = brace - 1;
  for (; at >= 0; at--) {
    const character = code[at]!;
    if (character === ")" || character === "]") depth++;
    else if (character === "(" || character === "[") {
      if (depth === 0) break;
      depth--;
    } else if (depth === 0 && (character === ";" || character === "{" || character === "}")) break;
  }
  return code.slice(at + 1, brace).trim();
}
