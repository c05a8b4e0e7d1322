/**
 * Requests of HTTP/1.1 that ask for something else on their connection: which want a WebSocket, and
 * how one that asks for another upgrade, such as HTTP/2, is answered as if it had not.
 */

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
  return method === "GET" && String(headers["upgrade"] ?? "").toLowerCase() === "websocket";
}

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
