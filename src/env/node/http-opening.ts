/**
 * Tells connections that speak HTTP from those that speak frames, by their first four bytes. Frames
 * begin with their length, and the first one of a connection is a small one: its third and fourth
 * bytes are zero, where a method of HTTP has letters.
 */
import type net from "node:net";

export type Opening = "frames" | "http1" | "http2";

const OPENING_BYTES = 4;
/** The preface of HTTP/2, and how the methods of HTTP/1.1 begin. */
const PREFACE = "PRI ";
const METHODS: readonly string[] = ["GET ", "POST", "PUT ", "HEAD", "DELE", "OPTI", "PATC", "TRAC"];
/** Who says nothing for so long is let go. */
const SILENCE_MS = 10_000;

/** undefined: more bytes have to tell. */
export function openingOf(bytes: Uint8Array): Opening | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, OPENING_BYTES));
  const fits = (word: string): boolean => word.startsWith(text);
  if (text.length < OPENING_BYTES) {
    return fits(PREFACE) || METHODS.some(fits) ? undefined : "frames";
  }
  if (text === PREFACE) return "http2";
  return METHODS.includes(text) ? "http1" : "frames";
}

/** Hands the connection on once it is known, with all its bytes still to be read. */
export function whenOpened(raw: net.Socket, use: (opening: Opening) => void): void {
  let seen: Uint8Array = new Uint8Array(0);
  const timer = setTimeout(() => raw.destroy(), SILENCE_MS);
  const forget = (): void => {
    clearTimeout(timer);
    raw.off("data", receive);
    raw.off("close", forget);
    raw.off("error", ignore);
  };
  const receive = (chunk: Uint8Array): void => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const opening = openingOf(seen);
    if (opening === undefined) return;
    raw.pause();
    forget();
    raw.unshift(seen);
    use(opening);
  };
  raw.on("data", receive);
  raw.on("close", forget);
  raw.on("error", ignore);
}

/** A connection that breaks before it has said what it is concerns nobody. */
function ignore(): void {}
