/** Values as histories have them: of a long one its beginning, its length and a hash. */
import { utf8, utf8Text } from "../src/base/bytes.js";
import { hash32 } from "../src/base/hash.js";

const SHOWN_BYTES_MAX = 200;
const HEAD_BYTES = 16;

export function valueText(value: string | Uint8Array): string {
  const bytes = typeof value === "string" ? utf8(value) : value;
  if (bytes.length <= SHOWN_BYTES_MAX) return utf8Text(bytes);
  const hash = hash32(bytes, 0, bytes.length).toString(16);
  return `${utf8Text(bytes.subarray(0, HEAD_BYTES))}… (${bytes.length} bytes, ${hash})`;
}
