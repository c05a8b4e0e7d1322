/**
 * The gateway of one node: etcd's API over a backend. Connections that speak HTTP are handed to it;
 * it opens none and listens on nothing.
 */
import type { Socket } from "../env/network.js";
import type { Timers } from "../env/timers.js";
import type { Backend } from "./backend.js";
import { CallCounts } from "./call-counts.js";
import { GrpcServer } from "./grpc-server.js";
import { HttpServer } from "./http-server.js";
import { HeaderWriter } from "./kv-responses.js";
import { LeaderMonitor } from "./leader-monitor.js";
import { methodsOf } from "./methods.js";

export interface GatewayOptions {
  readonly requestSizeBytesMax: number;
  /** How often idle watches that want it hear how far they are. */
  readonly progressIntervalMs?: number | undefined;
}

/** What a message may have beyond the largest request, as in etcd. */
const OVERHEAD_BYTES: number = 512 * 1024;
const PROGRESS_INTERVAL_MS: number = 10 * 60 * 1000;

export class Gateway {
  readonly #grpc: GrpcServer;
  readonly #http: HttpServer;

  constructor(backend: Backend, timers: Timers, options: GatewayOptions) {
    const header = new HeaderWriter(() => backend.origin);
    const leaders = new LeaderMonitor(backend, timers);
    const { requestSizeBytesMax: requestBytesMax } = options;
    const messageBytesMax = requestBytesMax + OVERHEAD_BYTES;
    const calls = new CallCounts();
    const host = {
      backend,
      header,
      timers,
      counts: calls,
      requestBytesMax,
      fragmentBytesMax: messageBytesMax,
      progressIntervalMs: options.progressIntervalMs ?? PROGRESS_INTERVAL_MS,
    };
    const methods = methodsOf(host, leaders);
    this.#grpc = new GrpcServer({ methods, leaders, timers, messageBytesMax, calls });
    this.#http = new HttpServer({ backend, methods, leaders, timers, messageBytesMax, calls });
  }

  /** A connection of Node's that speaks HTTP/1.1. */
  acceptHttp1(connection: object): void {
    this.#http.accept(connection);
  }

  /** One that speaks HTTP/2. */
  acceptHttp2(socket: Socket): void {
    this.#grpc.accept(socket);
  }

  /** Those who are connected are told to go elsewhere. */
  close(): Promise<void> {
    this.#http.close();
    return this.#grpc.close();
  }
}
