/** Headers of gRPC that have a notation of their own: the deadline, and the error's text. */
import { utf8 } from "../base/bytes.js";
import { GRPC, StatusError } from "./status.js";

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

/** Of a number and a unit, no longer than a timer can wait. */
export function timeoutOf(digits: string, unit: string): number | undefined {
  const unitMs = UNIT_MS[unit];
  if (unitMs === undefined) return undefined;
  return Math.min(TIMEOUT_MS_MAX, Math.ceil(Number(digits) * unitMs));
}

/** From at most eight digits and a unit; a fault is told of in the words of a server in Go. */
export function timeoutMsOf(header: string): number | StatusError {
  if (header.length < 2) return malformed("string is too short", header);
  if (header.length > 9) return malformed("string is too long", header);
  const digits = header.slice(0, -1);
  const timeoutMs = timeoutOf(digits, header.slice(-1));
  if (timeoutMs === undefined) return malformed("unit is not recognized", header);
  if (/^\d+$/.test(digits)) return timeoutMs;
  return badTimeout(`strconv.ParseUint: parsing ${JSON.stringify(digits)}: invalid syntax`);
}

function malformed(what: string, header: string): StatusError {
  return badTimeout(`transport: timeout ${what}: ${JSON.stringify(header)}`);
}

function badTimeout(fault: string): StatusError {
  return new StatusError(GRPC.internal, `malformed grpc-timeout: ${fault}`);
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
