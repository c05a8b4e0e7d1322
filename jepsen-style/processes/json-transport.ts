/** etcd's API in JSON over HTTP/1.1, by the platform's own fetch. */
import { KvError } from "../../src/protocol/errors.js";
import { refusalOf } from "./etcd-messages.js";
import type { EtcdCall, Json } from "./etcd-messages.js";
import type { EtcdTransport } from "./etcd-store.js";

export function jsonTransport(timeoutMs: number): EtcdTransport {
  const closing = new AbortController();
  return {
    ask: async (endpoint, call, body) => {
      const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), closing.signal]);
      const answer = await post(`http://${endpoint}/v3/${PATHS[call]}`, body, signal);
      if (answer["code"] !== undefined) throw refusalOf(answer);
      return call === "LeaseKeepAlive" ? resultIn(answer) : answer;
    },
    watch: (endpoint, request, signal) => linesOf(`http://${endpoint}/v3/watch`, request, signal),
    close: () => closing.abort(),
  };
}

const PATHS: Readonly<Record<EtcdCall, string>> = {
  Put: "kv/put",
  Range: "kv/range",
  DeleteRange: "kv/deleterange",
  Txn: "kv/txn",
  Compaction: "kv/compaction",
  LeaseGrant: "lease/grant",
  LeaseRevoke: "lease/revoke",
  LeaseKeepAlive: "lease/keepalive",
  LeaseTimeToLive: "lease/timetolive",
  LeaseLeases: "lease/leases",
};

async function post(url: string, body: Json, signal: AbortSignal): Promise<Json> {
  try {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(body), signal });
    return (await response.json()) as Json;
  } catch (error) {
    throw transportError(error);
  }
}

async function* linesOf(url: string, request: Json, signal: AbortSignal): AsyncGenerator<Json> {
  try {
    const response = await fetch(url, { method: "POST", body: JSON.stringify(request), signal });
    if (response.body === null) return;
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of response.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield resultIn(JSON.parse(line) as Json);
    }
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new KvError("unavailable", String(error), "unknown");
  }
}

function resultIn(message: Json): Json {
  if (message["error"] !== undefined) throw refusalOf(message["error"] as Json);
  return message["result"] as Json;
}

/** A connection that was never made carried nothing. */
function transportError(error: unknown): KvError {
  const cause = error instanceof Error ? (error.cause as { code?: string } | undefined) : undefined;
  const outcome = cause?.code === "ECONNREFUSED" ? "notApplied" : "unknown";
  return new KvError("unavailable", `${String(error)} ${cause?.code ?? ""}`, outcome);
}
