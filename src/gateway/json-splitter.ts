/**
 * Cuts a stream of bytes into JSON objects that follow each other, with or without white space
 * between them. It only counts braces outside of strings: what lies between them is for a parser.
 */
import { utf8Text } from "../base/bytes.js";
import { GRPC, StatusError } from "./status.js";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

export class JsonSplitter {
  readonly #bytesMax: number;
  #bytes: number[] = [];
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** The texts of the objects that end in this chunk. */
  push(chunk: Uint8Array): readonly string[] {
    const found: string[] = [];
    for (const byte of chunk) {
      if (this.#depth === 0 && byte !== OPEN) {
        if (!isSpace(byte)) throw broken("an object is wanted");
        continue;
      }
      this.#bytes.push(byte);
      if (this.#bytes.length > this.#bytesMax) throw broken("an object is too large");
      this.#step(byte);
      if (this.#depth > 0) continue;
      found.push(utf8Text(Uint8Array.from(this.#bytes)));
      this.#bytes = [];
    }
    return found;
  }

  #step(byte: number): void {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) this.#inString = false;
    } else if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN) this.#depth++;
    else if (byte === CLOSE) this.#depth--;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}

function broken(reason: string): StatusError {
  return new StatusError(GRPC.invalidArgument, `flotilla: the request is no JSON: ${reason}`);
}
