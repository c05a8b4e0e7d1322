/**
 * Base64 as JSON has it: with padding where it is written, with or without where it is read, where
 * the digits of the URL alphabet count too.
 */
const WHOLE = /^[\w+/-]*={0,2}$/;

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

/** undefined where the text is none; Node would pass over what is wrong with it. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (!WHOLE.test(text)) return undefined;
  const padding = text.indexOf("=");
  const digits = padding < 0 ? text.length : padding;
  if (digits % 4 === 1) return undefined;
  const found = Buffer.from(text, "base64");
  return new Uint8Array(found.buffer, found.byteOffset, found.length);
}
