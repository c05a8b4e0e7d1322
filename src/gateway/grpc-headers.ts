/** Two headers of gRPC that have a notation of their own: the deadline and the error's text. */
import { utf8 } from "../base/bytes.js";

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** A timer cannot wait for longer. */
const TIMEOUT_MS_MAX = 2_147_483_647;

/** From at most eight digits and a unit; undefined where there is no deadline. */
export function timeoutMsOf(header: string | readonly string[] | undefined): number | undefined {
  if (header === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(header));
  if (match === null) return undefined;
  const [, digits = "", unit = ""] = match;
  return Math.min(TIMEOUT_MS_MAX, Math.ceil(Number(digits) * UNIT_MS[unit]!));
}

/** All but printable ASCII, and the percent sign, as %XX of its UTF-8. */
export function grpcMessage(text: string): string {
  let encoded = "";
  for (const byte of utf8(text)) {
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x25;
    encoded += isPlain
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}
