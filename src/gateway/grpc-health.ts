/**
 * gRPC's own health service: a node serves while it knows a leader. It is asked about the whole, by
 * an empty name, or about a service that there is.
 */
import type { AnswerStream } from "./answer-stream.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import { ETCD } from "./messages.js";
import type { Method } from "./method.js";
import { GRPC, StatusError } from "./status.js";
import type { WireReader } from "./wire.js";

const REQUEST = ETCD.message("grpc.health.v1.HealthCheckRequest");
const RESPONSE = ETCD.message("grpc.health.v1.HealthCheckResponse");
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;

/** `services`: the names of those that there are. */
export function healthMethods(
  leaders: LeaderMonitor,
  services: ReadonlySet<string>,
): readonly Method[] {
  const isKnown = (reader: WireReader): boolean => {
    const { service = "" } = decodeMessage(REQUEST, reader.bytes);
    return service === "" || services.has(service as string);
  };
  const entry = (name: string): Pick<Method, "path" | "request" | "response"> => ({
    path: `/grpc.health.v1.Health/${name}`,
    request: REQUEST,
    response: RESPONSE,
  });
  return [
    {
      ...entry("Check"),
      serve: async (reader) => {
        if (!isKnown(reader)) throw new StatusError(GRPC.notFound, "unknown service");
        return frameOf(servingOf(await leaders.hasLeader()));
      },
    },
    {
      ...entry("Watch"),
      answers: (reader) => (isKnown(reader) ? new HealthWatch(leaders) : new HealthWatch()),
    },
  ];
}

/** What is, and then what changes. Of a service that is not there nothing ever does. */
class HealthWatch implements AnswerStream {
  readonly #unfollow: () => void;
  #status: number | undefined;
  #told: number | undefined;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(leaders?: LeaderMonitor) {
    if (leaders === undefined) this.#status = SERVICE_UNKNOWN;
    const follow = (hasLeader: boolean): void => {
      this.#status = servingOf(hasLeader);
      this.#wake();
    };
    this.#unfollow = leaders?.follow(follow) ?? ((): void => undefined);
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#status === this.#told && !this.#isClosed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#isClosed || this.#status === undefined) return undefined;
    this.#told = this.#status;
    return frameOf(this.#status);
  }

  close(): void {
    this.#isClosed = true;
    this.#unfollow();
    this.#wake();
  }
}

function servingOf(hasLeader: boolean): number {
  return hasLeader ? SERVING : NOT_SERVING;
}

function frameOf(status: number): Uint8Array {
  const out = beginFrame();
  encodeMessage(out, RESPONSE, { status });
  return endFrame(out);
}
