/**
 * Every method of etcd's services, by the paths where gRPC and JSON find it. What is not there yet
 * is refused by name, in etcd's words where it has them.
 */
import { answersOf } from "./answer-stream.js";
import type { Backend } from "./backend.js";
import { ClusterService } from "./cluster-service.js";
import { healthMethods } from "./grpc-health.js";
import { KvService } from "./kv-service.js";
import type { LeaderMonitor } from "./leader-monitor.js";
import { electionMethods, leaseMethods, lockMethods } from "./lease-methods.js";
import { MaintenanceService } from "./maintenance-service.js";
import { entry, method, plainly } from "./method.js";
import type { Method, Methods, Plain } from "./method.js";
import { rangeParts } from "./range-stream.js";
import { snapshotBlobs } from "./snapshot-stream.js";
import { etcdError, GRPC, notForLearner, notImplemented, StatusError } from "./status.js";
import { WatchSession } from "./watch-session.js";
import type { WatchHost } from "./watch-session.js";
import { WatchSources } from "./watch-source.js";

export interface MethodsHost extends WatchHost {
  /** Of those that are proposed. */
  readonly requestBytesMax: number;
}

export function methodsOf(host: MethodsHost, leaders: LeaderMonitor): Methods {
  const { backend, header } = host;
  const sources = new WatchSources(backend);
  const kv = new KvService(backend, header, host.requestBytesMax);
  const cluster = new ClusterService(backend);
  const care = new MaintenanceService(backend);
  const list: Method[] = [
    {
      ...method("KV/Range", "/kv/range", "Range", (reader) => kv.range(reader)),
      isForLearners: true,
    },
    method("KV/Put", "/kv/put", "Put", (reader) => kv.put(reader)),
    method("KV/DeleteRange", "/kv/deleterange", "DeleteRange", (reader) => kv.deleteRange(reader)),
    method("KV/Txn", "/kv/txn", "Txn", (reader) => kv.txn(reader)),
    method("KV/Compact", "/kv/compaction", "Compaction", (reader) => kv.compact(reader)),
    {
      ...entry("Watch/Watch", "/watch", "Watch"),
      session: (sink) => new WatchSession(host, sources, sink),
    },
    {
      ...entry("KV/RangeStream", "/kv/rangestream", "RangeStream", "Range"),
      answers: (reader) => answersOf(rangeParts(backend, header, reader)),
    },
    {
      ...entry("Maintenance/Snapshot", "/maintenance/snapshot", "Snapshot"),
      answers: () => answersOf(snapshotBlobs(backend, host.timers)),
    },
  ];
  const plain = (path: string, jsonPath: string, name: string, serve: Plain): void => {
    list.push(plainly(header, entry(path, jsonPath, name), serve));
  };
  plain("Cluster/MemberList", "/cluster/member/list", "MemberList", (one) => cluster.list(one));
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
  list.push({
    ...plainly(header, entry("Maintenance/Status", "/maintenance/status", "Status"), () =>
      care.status(),
    ),
    isForLearners: true,
  });
  plain("Maintenance/Alarm", "/maintenance/alarm", "Alarm", (one) => care.alarm(one));
  plain("Maintenance/MoveLeader", "/maintenance/transfer-leadership", "MoveLeader", (one) =>
    care.moveLeader(one),
  );
  plain("Maintenance/Defragment", "/maintenance/defragment", "Defragment", () => care.defragment());
  plain("Maintenance/Downgrade", "/maintenance/downgrade", "Downgrade", (one) =>
    care.downgrade(one),
  );
  plain("Maintenance/HashKV", "/maintenance/hashkv", "HashKV", (one) => care.hashKv(one));
  plain("Maintenance/Hash", "/maintenance/hash", "Hash", () => care.hash());
  list.push(...leaseMethods(backend.leases, header));
  list.push(...lockMethods(backend.lines, header));
  list.push(...electionMethods(backend.lines, header));
  const services = new Set(list.map(({ path }) => path.slice(1, path.indexOf("/", 1))));
  return new MethodTable([...list, ...healthMethods(leaders, services)], backend);
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
];

class MethodTable implements Methods {
  readonly #paths: Map<string, Method>;
  readonly #jsonPaths: Map<string, Method>;
  readonly #services: ReadonlySet<string>;
  readonly #node: Pick<Backend, "isLearner">;

  constructor(methods: readonly Method[], node: Pick<Backend, "isLearner">) {
    this.#node = node;
    this.#paths = new Map(methods.map((one) => [one.path, one]));
    this.#jsonPaths = new Map();
    this.#services = new Set(methods.map(({ path }) => parts(path)[0]));
    for (const one of methods) {
      if (one.jsonPath !== undefined) this.#jsonPaths.set(one.jsonPath, one);
    }
  }

  byPath(path: string): Method | StatusError {
    const found = this.#paths.get(path);
    if (found !== undefined) return found;
    const absent = ABSENT.find(([start]) => path.startsWith(start));
    if (absent !== undefined) return this.#absent(absent[2]);
    return new StatusError(GRPC.unimplemented, this.#unknown(path));
  }

  /** Before all else etcd asks whether the member may serve anything. */
  refusalOf({ isForLearners }: Method): StatusError | undefined {
    return this.#node.isLearner && isForLearners !== true ? notForLearner() : undefined;
  }

  #absent(refusal: StatusError): StatusError {
    return this.#node.isLearner ? notForLearner() : refusal;
  }

  /** As a server in Go says it. */
  #unknown(path: string): string {
    const [service, name] = parts(path);
    if (service === "") return `malformed method name: ${JSON.stringify(path)}`;
    if (!this.#services.has(service)) return `unknown service ${service}`;
    return `unknown method ${name} for service ${service}`;
  }

  byJsonPath(path: string): Method | StatusError | undefined {
    // Leases were once found below the keys.
    const known = this.#jsonPaths.get(path.replace("/v3/kv/lease/", "/v3/lease/"));
    if (known !== undefined) return known;
    const absent = ABSENT.find(([, start]) => path.startsWith(start));
    return absent && this.#absent(absent[2]);
  }
}

/** The service and the method that a path names. */
function parts(path: string): readonly [service: string, name: string] {
  const named = path.replace(/^\//, "");
  const cut = Math.max(0, named.lastIndexOf("/"));
  return [named.slice(0, cut), named.slice(cut + 1)];
}
