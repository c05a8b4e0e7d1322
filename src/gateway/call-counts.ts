/**
 * How many calls by gRPC have begun and how they ended, by method, and the bytes of the connections
 * they came by, under the names that servers in Go have for them; and how many watches are open,
 * under etcd's. It is told; it asks nobody.
 */
import type { Socket, SocketHandlers } from "../env/network.js";
import type { Method } from "./method.js";
import type { LabelledMetric } from "./metrics.js";

/** By status code, as Go spells them. */
const CODES: readonly string[] = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

export class MethodCounts {
  started = 0;
  /** By status code. */
  readonly ended: number[] = CODES.map(() => 0);
}

export class CallCounts {
  /** Open now, by whatever protocol. */
  watches = 0;
  watchStreams = 0;
  receivedBytes = 0;
  sentBytes = 0;
  readonly #methods: Map<Method, MethodCounts> = new Map();

  of(method: Method): MethodCounts {
    let counts = this.#methods.get(method);
    if (counts === undefined) this.#methods.set(method, (counts = new MethodCounts()));
    return counts;
  }

  /** The same socket, whose bytes count. */
  counted(socket: Socket): Socket {
    return new CountedSocket(socket, this);
  }

  metrics(): readonly LabelledMetric[] {
    const started: [string, number][] = [];
    const handled: [string, number][] = [];
    for (const [method, counts] of this.#methods) {
      const labels = labelsOf(method);
      started.push([labels, counts.started]);
      counts.ended.forEach((count, code) => {
        if (count > 0) handled.push([`grpc_code="${CODES[code]}",${labels}`, count]);
      });
    }
    const received = "etcd_network_client_grpc_received_bytes_total";
    const sent = "etcd_network_client_grpc_sent_bytes_total";
    const streams = "etcd_debugging_mvcc_watch_stream_total";
    const watches = "etcd_debugging_mvcc_watcher_total";
    return [
      gauge(streams, "Streams of watches that are open here.", this.watchStreams),
      gauge(watches, "Watches that are open here.", this.watches),
      counter("grpc_server_started_total", "Calls by gRPC that have begun.", started),
      counter("grpc_server_handled_total", "Calls by gRPC that are over.", handled),
      counter(received, "Bytes that came from clients by gRPC.", [["", this.receivedBytes]]),
      counter(sent, "Bytes that went to clients by gRPC.", [["", this.sentBytes]]),
    ];
  }
}

function counter(name: string, help: string, values: LabelledMetric["values"]): LabelledMetric {
  return { name, help, kind: "counter", values };
}

function gauge(name: string, help: string, value: number): LabelledMetric {
  return { name, help, kind: "gauge", values: [["", value]] };
}

function labelsOf(method: Method): string {
  const [service, name] = method.path.slice(1).split("/");
  return `grpc_method="${name}",grpc_service="${service}",grpc_type="${typeOf(method)}"`;
}

function typeOf(method: Method): string {
  if (method.session !== undefined) return "bidi_stream";
  return method.answers === undefined ? "unary" : "server_stream";
}

class CountedSocket implements Socket {
  readonly #inner: Socket;
  readonly #counts: CallCounts;

  constructor(inner: Socket, counts: CallCounts) {
    this.#inner = inner;
    this.#counts = counts;
  }

  get remoteAddress(): string {
    return this.#inner.remoteAddress;
  }

  handle(handlers: SocketHandlers): void {
    const counts = this.#counts;
    this.#inner.handle({
      data: (chunk) => {
        counts.receivedBytes += chunk.length;
        handlers.data(chunk);
      },
      drain: () => handlers.drain(),
      close: (error) => handlers.close(error),
    });
  }

  write(bytes: Uint8Array): boolean {
    this.#counts.sentBytes += bytes.length;
    return this.#inner.write(bytes);
  }

  bufferedBytes(): number {
    return this.#inner.bufferedBytes();
  }

  end(): void {
    this.#inner.end();
  }

  destroy(): void {
    this.#inner.destroy();
  }
}
