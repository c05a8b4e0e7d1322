/**
 * etcd's API by gRPC, one connection to a node for as long as it is of use. The messages are those
 * of JSON, turned into bytes by the product's tables: what is tried here is the way there.
 */
import { KvError } from "../../src/protocol/errors.js";
import { messageFromJson, messageToJson } from "../../src/gateway/json-codec.js";
import { ETCD } from "../../src/gateway/messages.js";
import { refusalOf } from "./etcd-messages.js";
import type { EtcdCall, Json } from "./etcd-messages.js";
import type { EtcdTransport } from "./etcd-store.js";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";

const PATHS: Readonly<Record<EtcdCall, string>> = {
  Put: "/etcdserverpb.KV/Put",
  Range: "/etcdserverpb.KV/Range",
  DeleteRange: "/etcdserverpb.KV/DeleteRange",
  Txn: "/etcdserverpb.KV/Txn",
  Compaction: "/etcdserverpb.KV/Compact",
  LeaseGrant: "/etcdserverpb.Lease/LeaseGrant",
  LeaseRevoke: "/etcdserverpb.Lease/LeaseRevoke",
  LeaseKeepAlive: "/etcdserverpb.Lease/LeaseKeepAlive",
  LeaseTimeToLive: "/etcdserverpb.Lease/LeaseTimeToLive",
  LeaseLeases: "/etcdserverpb.Lease/LeaseLeases",
};
const OK = 0;
/** The connection ended before the call did. */
const NO_STATUS = -1;

export function grpcTransport(timeoutMs: number): EtcdTransport {
  return new GrpcTransport(timeoutMs);
}

class GrpcTransport implements EtcdTransport {
  readonly #timeoutMs: number;
  readonly #clients = new Map<string, GrpcClient>();

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  async ask(endpoint: string, call: EtcdCall, body: Json): Promise<Json> {
    const request = messageFromJson(ETCD.message(`etcdserverpb.${call}Request`), body);
    const client = this.#client(endpoint);
    const calling = client.call(PATHS[call], call, request);
    const outcome = await Promise.race([calling, after(this.#timeoutMs)]);
    if (outcome === undefined || outcome.status === NO_STATUS) {
      const outcomeThen = client.hasConnected ? "unknown" : "notApplied";
      this.#drop(endpoint);
      throw new KvError("unavailable", "the connection broke, or nobody answered", outcomeThen);
    }
    const { status, message, response } = outcome;
    if (status !== OK || response === undefined) throw refusalOf({ code: status, message });
    return messageToJson(ETCD.message(`etcdserverpb.${call}Response`), response);
  }

  async *watch(endpoint: string, request: Json, signal: AbortSignal): AsyncGenerator<Json> {
    const stream = this.#client(endpoint).stream("/etcdserverpb.Watch/Watch", "Watch");
    const cancel = (): void => stream.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    stream.send(messageFromJson(ETCD.message("etcdserverpb.WatchRequest"), request));
    for (let next = await stream.next(); next !== undefined; next = await stream.next()) {
      yield messageToJson(ETCD.message("etcdserverpb.WatchResponse"), next);
    }
    signal.removeEventListener("abort", cancel);
  }

  close(): void {
    for (const endpoint of this.#clients.keys()) this.#drop(endpoint);
  }

  #client(endpoint: string): GrpcClient {
    let client = this.#clients.get(endpoint);
    if (client === undefined) {
      const opened = (client = new GrpcClient(endpoint));
      this.#clients.set(endpoint, opened);
      void opened.goneAway.then(() => {
        if (this.#clients.get(endpoint) === opened) this.#clients.delete(endpoint);
      });
    }
    return client;
  }

  #drop(endpoint: string): void {
    this.#clients.get(endpoint)?.close();
    this.#clients.delete(endpoint);
  }
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(undefined), ms).unref();
  });
}
