/** SHA-256 of what comes in piece by piece. */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";

export const SHA256_BYTES = 32;

export class Sha256 {
  readonly #hash: Hash = createHash("sha256");

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Of all that came in; ends it. */
  digest(): Uint8Array {
    return new Uint8Array(this.#hash.digest());
  }
}
