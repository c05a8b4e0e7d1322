/**
 * Every method of etcd's services: where gRPC and JSON find it, what it takes and gives, and who
 * serves it. What is not there yet is refused by name, in etcd's words where it has them.
 */
import type { AnswerStream } from "./answer-stream.js";
import type { Backend } from "./backend.js";
import { ClusterService } from "./cluster-service.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import type { HeaderWriter } from "./kv-responses.js";
import { KvService } from "./kv-service.js";
import { MaintenanceService } from "./maintenance-service.js";
import { decodeMessage, encodeMessage } from "./message-codec.js";
import type { Message } from "./message-codec.js";
import { ETCD } from "./messages.js";
import type { MessageType } from "./schema.js";
import { etcdError, GRPC, notImplemented, StatusError } from "./status.js";
import type { WireReader } from "./wire.js";

export interface Method {
  /** Of a request: `/package.Service/Method`. */
  readonly path: string;
  /** Of a POST with JSON, below `/v3`. */
  readonly jsonPath: string;
  readonly request: MessageType;
  readonly response: MessageType;
  /** Of a call with one answer. */
  readonly serve?: Serve;
  /** Of a call whose answer is a stream. Refusals are what its first `next` rejects with. */
  readonly answers?: Answers;
}

export type Serve = (reader: WireReader) => Promise<Uint8Array>;
export type Answers = (reader: WireReader) => AnswerStream;

/** The watch stream, the only one that is no call of one request. */
export function isWatch({ serve, answers }: Method): boolean {
  return serve === undefined && answers === undefined;
}

export interface Methods {
  byPath(path: string): Method | StatusError;
  byJsonPath(path: string): Method | StatusError | undefined;
}

export function methodsOf(backend: Backend, header: HeaderWriter): Methods {
  const kv = new KvService(backend, header);
  const cluster = new ClusterService(backend);
  const care = new MaintenanceService(backend);
  const list: Method[] = [
    method("KV/Range", "/kv/range", "Range", (reader) => kv.range(reader)),
    method("KV/Put", "/kv/put", "Put", (reader) => kv.put(reader)),
    method("KV/DeleteRange", "/kv/deleterange", "DeleteRange", (reader) => kv.deleteRange(reader)),
    method("KV/Txn", "/kv/txn", "Txn", (reader) => kv.txn(reader)),
    method("KV/Compact", "/kv/compaction", "Compaction", (reader) => kv.compact(reader)),
    entry("Watch/Watch", "/watch", "Watch"),
  ];
  const plain = (path: string, jsonPath: string, name: string, serve: Plain): void => {
    list.push(method(path, jsonPath, name, plainly(header, name, serve)));
  };
  plain("Cluster/MemberList", "/cluster/member/list", "MemberList", () => cluster.list());
  plain("Cluster/MemberAdd", "/cluster/member/add", "MemberAdd", (one) => cluster.add(one));
  plain("Cluster/MemberRemove", "/cluster/member/remove", "MemberRemove", (one) =>
    cluster.remove(one),
  );
  plain("Cluster/MemberUpdate", "/cluster/member/update", "MemberUpdate", (one) =>
    cluster.update(one),
  );
  plain("Cluster/MemberPromote", "/cluster/member/promote", "MemberPromote", (one) =>
    cluster.promote(one),
  );
  plain("Maintenance/Status", "/maintenance/status", "Status", () => care.status());
  plain("Maintenance/Alarm", "/maintenance/alarm", "Alarm", (one) => care.alarm(one));
  plain("Maintenance/MoveLeader", "/maintenance/transfer-leadership", "MoveLeader", (one) =>
    care.moveLeader(one),
  );
  return new MethodTable(list);
}

type Plain = (request: Message) => Promise<Message>;

/** By plain objects. A `revision` in the answer is that of its header. */
function plainly(header: HeaderWriter, name: string, serve: Plain): Serve {
  const request = ETCD.message(`etcdserverpb.${name}Request`);
  const response = ETCD.message(`etcdserverpb.${name}Response`);
  return async (reader) => {
    const answer = await serve(decodeMessage(request, reader.bytes));
    const out = beginFrame();
    header.write(out, Number(answer["revision"] ?? 0));
    encodeMessage(out, response, answer);
    return endFrame(out);
  };
}

function method(path: string, jsonPath: string, name: string, serve: Serve): Method {
  return { ...entry(path, jsonPath, name), serve };
}

function entry(path: string, jsonPath: string, name: string): Method {
  return {
    path: `/etcdserverpb.${path}`,
    jsonPath: `/v3${jsonPath}`,
    request: ETCD.message(`etcdserverpb.${name}Request`),
    response: ETCD.message(`etcdserverpb.${name}Response`),
  };
}

/** What is not there yet, by how its path begins; the first that fits holds. */
const ABSENT: readonly (readonly [path: string, jsonPath: string, refusal: StatusError])[] = [
  [
    "/etcdserverpb.Auth/AuthEnable",
    "/v3/auth/enable",
    notImplemented("authentication is not there yet"),
  ],
  [
    "/etcdserverpb.Auth/",
    "/v3/auth/",
    etcdError(GRPC.failedPrecondition, "authentication is not enabled"),
  ],
  [
    "/etcdserverpb.Lease/LeaseRevoke",
    "/v3/lease/revoke",
    etcdError(GRPC.notFound, "requested lease not found"),
  ],
  ["/etcdserverpb.Lease/", "/v3/lease/", notImplemented("leases are not there yet")],
  ["/etcdserverpb.Lease/", "/v3/kv/lease/", notImplemented("leases are not there yet")],
  ["/v3lockpb.Lock/", "/v3/lock/", notImplemented("locks are not there yet")],
  ["/v3electionpb.Election/", "/v3/election/", notImplemented("elections are not there yet")],
  [
    "/etcdserverpb.Maintenance/",
    "/v3/maintenance/",
    notImplemented("this maintenance call is not there yet"),
  ],
  [
    "/etcdserverpb.KV/RangeStream",
    "/v3/kv/rangestream",
    notImplemented("streamed ranges are not there yet"),
  ],
];

class MethodTable implements Methods {
  readonly #paths: Map<string, Method>;
  readonly #jsonPaths: Map<string, Method>;

  constructor(methods: readonly Method[]) {
    this.#paths = new Map(methods.map((one) => [one.path, one]));
    this.#jsonPaths = new Map(methods.map((one) => [one.jsonPath, one]));
  }

  byPath(path: string): Method | StatusError {
    const found = this.#paths.get(path);
    if (found !== undefined) return found;
    const absent = ABSENT.find(([start]) => path.startsWith(start));
    return absent?.[2] ?? new StatusError(GRPC.unimplemented, `unknown method ${path}`);
  }

  byJsonPath(path: string): Method | StatusError | undefined {
    const known = this.#jsonPaths.get(path);
    return known ?? ABSENT.find(([, start]) => path.startsWith(start))?.[2];
  }
}
