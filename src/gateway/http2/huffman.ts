/**
 * The Huffman code of HPACK (RFC 7541, 5.2 and Appendix B), decoding alone. The code is canonical:
 * codes of one length follow each other in the order of their symbols, so the lengths say it all.
 */
import { DecodeError } from "../../base/coding.js";

/** The length of each symbol's code, a for 5 bits up to z for 30; the last one is the end's. */
const LENGTHS: string =
  "isxxxxxxxtzxxzxxxxxxxxzxxxxxxxxxbffhibdgffdgdbbbaaabbbbbbbcdkbhfibcccccccccccccccccccc" +
  "ccdcdioijbkabababbbaccbbbabcbaabccccckgjixprpprrrsrssssststtrstssssqrsrsstrqprrssqsrrt" +
  "qrssqqrqsrssprrrsrrsvvporsruvvvwwvtuoqvwwvwtqqvvxwwwptpqrqqsrruuttvsvwvvwwwwwxwwwwwvz";
const BITS_MIN = 5;
const BITS_MAX = 30;
const END_SYMBOL = 256;
const PADDING_BITS_MAX = 7;

/** By length: the first code, how many there are, and where their symbols begin. */
const FIRST = new Uint32Array(BITS_MAX + 1);
const COUNT = new Uint32Array(BITS_MAX + 1);
const START = new Uint32Array(BITS_MAX + 1);
const SYMBOLS = new Uint16Array(LENGTHS.length);

function build(): void {
  let code = 0;
  let placed = 0;
  for (let bits = BITS_MIN; bits <= BITS_MAX; bits++) {
    code *= 2;
    FIRST[bits] = code;
    START[bits] = placed;
    const letter = String.fromCharCode(97 + bits - BITS_MIN);
    for (let symbol = LENGTHS.indexOf(letter); symbol >= 0;) {
      SYMBOLS[placed++] = symbol;
      code++;
      symbol = LENGTHS.indexOf(letter, symbol + 1);
    }
    COUNT[bits] = placed - START[bits]!;
  }
}
build();

/** The text that bytes[offset, end) stand for, a character a byte; throws DecodeError. */
export function huffmanText(bytes: Uint8Array, offset: number, end: number): string {
  let text = "";
  let code = 0;
  let bits = 0;
  for (let at = offset; at < end; at++) {
    const byte = bytes[at]!;
    for (let mask = 0x80; mask !== 0; mask >>= 1) {
      code = code * 2 + ((byte & mask) === 0 ? 0 : 1);
      bits++;
      const place = code - FIRST[bits]!;
      if (place < 0 || place >= COUNT[bits]!) continue;
      const symbol = SYMBOLS[START[bits]! + place]!;
      if (symbol === END_SYMBOL) throw new DecodeError("a text holds the end symbol");
      text += String.fromCharCode(symbol);
      code = 0;
      bits = 0;
    }
  }
  // What is left is padding: the beginning of the end symbol, which has ones only.
  if (bits > PADDING_BITS_MAX || code !== 2 ** bits - 1) {
    throw new DecodeError("a text is padded wrongly");
  }
  return text;
}
