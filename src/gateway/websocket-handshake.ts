/**
 * How a connection of HTTP/1.1 becomes a WebSocket (RFC 6455, 4.2), and how a request that asks
 * for something else instead, such as HTTP/2, is answered as if it had not.
 */
import { utf8 } from "../base/bytes.js";
import { sha1 } from "../base/sha1.js";
import { toBase64 } from "./base64.js";

const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const VERSION = "13";

/** What there is to know of a request of HTTP/1.1 here. */
export interface UpgradeRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
}

export function wantsWebSocket({ method, headers }: UpgradeRequest): boolean {
  return method === "GET" && tokensIn(String(headers["upgrade"] ?? "")).includes("websocket");
}

/** The answer to who wants to open one; undefined where he does not say it as he should. */
export function acceptance({ headers }: UpgradeRequest): string | undefined {
  const key = String(headers["sec-websocket-key"] ?? "");
  const isKey = /^[A-Za-z0-9+/]{22}==$/.test(key);
  if (!isKey || headers["sec-websocket-version"] !== VERSION) return undefined;
  const accept = toBase64(sha1(utf8(`${key}${KEY_SUFFIX}`)));
  // A browser's only way to hand over a token is this; etcd says yes to it.
  const hasToken = String(headers["sec-websocket-protocol"] ?? "").startsWith("Bearer");
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...(hasToken ? ["Sec-WebSocket-Protocol: Bearer"] : []),
    "\r\n",
  ].join("\r\n");
}

export const NO_WEBSOCKET: string = [
  "HTTP/1.1 400 Bad Request",
  `Sec-WebSocket-Version: ${VERSION}`,
  "Content-Length: 0",
  "Connection: close",
  "\r\n",
].join("\r\n");

/**
 * The head of a request that asks for an upgrade which is not made, without asking for it: whoever
 * may be answered by HTTP/1.1 as well, as with HTTP/2 by upgrade, is.
 */
export function plainHead({ method, url, httpVersion, rawHeaders }: UpgradeRequest): Uint8Array {
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name = "", value = ""] = rawHeaders.slice(at, at + 2);
    if (/^(upgrade|http2-settings)$/i.test(name)) continue;
    const isConnection = name.toLowerCase() === "connection";
    lines.push(`${name}: ${isConnection ? withoutUpgrade(value) : value}`);
  }
  // Node's parser makes a character of each byte.
  return Uint8Array.from(`${lines.join("\r\n")}\r\n\r\n`, (one) => one.charCodeAt(0));
}

function withoutUpgrade(connection: string): string {
  const kept = tokensIn(connection).filter((one) => !/^(upgrade|http2-settings)$/.test(one));
  return kept.length === 0 ? "keep-alive" : kept.join(", ");
}

function tokensIn(header: string): readonly string[] {
  return header.split(",").map((one) => one.trim().toLowerCase());
}
