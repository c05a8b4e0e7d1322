/** Short forms for byte strings in tests. */
import { utf8, utf8Text } from "../../src/base/bytes.js";

export function bytesOf(text: string): Uint8Array {
  return utf8(text);
}

export function textOf(bytes: Uint8Array): string {
  return utf8Text(bytes);
}
