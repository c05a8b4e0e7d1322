/**
 * The headers of one request, as far as anybody here wants them, and whether they are a request at
 * all (RFC 9113, 8.2 and 8.3). It is filled anew for each header block.
 */
import { ENTRY_BYTES } from "./hpack.js";
import type { HeaderEntry } from "./hpack-static.js";

/** What all headers of a request may take, with what HPACK counts for each. */
export const HEADER_LIST_BYTES_MAX: number = 64 * 1024;

/** What belongs to a connection of HTTP/1.1, and to none of HTTP/2. */
const FORBIDDEN: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

export class RequestHead {
  method: string | undefined;
  path: string | undefined;
  contentType: string | undefined;
  timeout: string | undefined;
  /** How messages are compressed. */
  encoding: string | undefined;
  /** `hasleader: true`: where no leader is known the call is not wanted. */
  wantsLeader = false;
  #scheme: string | undefined;
  #authority: string | undefined;
  #bytes = 0;
  #isMalformed = false;
  /** Pseudo-headers come before all others. */
  #isPastPseudo = false;

  begin(): void {
    this.method = undefined;
    this.path = undefined;
    this.contentType = undefined;
    this.timeout = undefined;
    this.encoding = undefined;
    this.wantsLeader = false;
    this.#scheme = undefined;
    this.#authority = undefined;
    this.#bytes = 0;
    this.#isMalformed = false;
    this.#isPastPseudo = false;
  }

  get isTooLarge(): boolean {
    return this.#bytes > HEADER_LIST_BYTES_MAX;
  }

  get isMalformed(): boolean {
    const isComplete = this.method !== undefined && this.#scheme !== undefined && this.path !== "";
    return this.#isMalformed || !isComplete || this.path === undefined;
  }

  readonly take = ({ name, value, isSound }: HeaderEntry): void => {
    this.#bytes += name.length + value.length + ENTRY_BYTES;
    if (!isSound) this.#isMalformed = true;
    if (name.charCodeAt(0) === 0x3a) return this.#takePseudo(name, value);
    this.#isPastPseudo = true;
    if (name === "content-type") this.contentType ??= value;
    else if (name === "grpc-timeout") this.timeout ??= value;
    else if (name === "grpc-encoding") this.encoding ??= value;
    else if (name === "hasleader") this.wantsLeader = value === "true";
    else if (FORBIDDEN.has(name) || (name === "te" && value !== "trailers")) {
      this.#isMalformed = true;
    }
  };

  /** Headers behind a body: none of them is wanted. */
  readonly takeTrailer = ({ name, isSound }: HeaderEntry): void => {
    if (!isSound || name.charCodeAt(0) === 0x3a || FORBIDDEN.has(name)) this.#isMalformed = true;
  };

  get isTrailerMalformed(): boolean {
    return this.#isMalformed;
  }

  #takePseudo(name: string, value: string): void {
    let known: string | undefined = "";
    if (name === ":method") [known, this.method] = [this.method, value];
    else if (name === ":path") [known, this.path] = [this.path, value];
    else if (name === ":scheme") [known, this.#scheme] = [this.#scheme, value];
    else if (name === ":authority") [known, this.#authority] = [this.#authority, value];
    // Neither unknown, nor twice, nor behind others.
    if (known !== undefined || this.#isPastPseudo) this.#isMalformed = true;
  }
}
