/** Base64 as JSON has it: with padding where it is written, with or without where it is read. */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** By character code, -1 for none; the digits of the URL alphabet count too. */
const VALUES: Int8Array = new Int8Array(128).fill(-1);
for (const [value, digit] of Array.from(DIGITS).entries()) VALUES[digit.charCodeAt(0)] = value;
VALUES["-".charCodeAt(0)] = 62;
VALUES["_".charCodeAt(0)] = 63;

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  let i = 0;
  for (; i + 2 < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | (bytes[i + 1]! << 8) | bytes[i + 2]!;
    text += DIGITS[group >> 18]! + DIGITS[(group >> 12) & 63]!;
    text += DIGITS[(group >> 6) & 63]! + DIGITS[group & 63]!;
  }
  const left = bytes.length - i;
  if (left === 0) return text;
  const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8);
  text += DIGITS[group >> 18]! + DIGITS[(group >> 12) & 63]!;
  return `${text}${left === 1 ? "=" : DIGITS[(group >> 6) & 63]!}=`;
}

/** undefined where the text is none. */
export function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/={1,2}$/, "");
  if (digits.length % 4 === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((digits.length * 3) / 4));
  let gathered = 0;
  let bits = 0;
  let at = 0;
  for (let i = 0; i < digits.length; i++) {
    const value = VALUES[digits.charCodeAt(i)] ?? -1;
    if (value < 0) return undefined;
    gathered = ((gathered << 6) | value) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = gathered >> bits;
  }
  return bytes;
}
