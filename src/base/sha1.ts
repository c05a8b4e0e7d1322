/** SHA-1, where a protocol of others asks for it: it protects nothing any more. */
import { createHash } from "node:crypto";

export function sha1(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha1").update(bytes).digest());
}
