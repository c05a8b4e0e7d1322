/**
 * What is asked of a node by plain GET, as of etcd: health, liveness, readiness, version, metrics.
 * A reading of the backend each time, and of what was counted elsewhere.
 */
import { utf8 } from "../base/bytes.js";
import { rangeOf } from "../protocol/operations.js";
import type { Backend, Consistency } from "./backend.js";
import type { CallCounts } from "./call-counts.js";
import { API_VERSION, alarmName } from "./maintenance-service.js";
import { metricsText } from "./metrics.js";
import { statusOf } from "./status.js";
import { storageMetrics } from "./storage-metrics.js";

export interface TextReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const HEALTH_KEY: Uint8Array = utf8("health");

export interface Page {
  /** What else than GET is refused. */
  readonly isGetOnly: boolean;
  serve(host: PageHost, query: URLSearchParams): Promise<TextReply>;
}

export interface PageHost {
  readonly backend: Backend;
  readonly calls: CallCounts;
}

const HEALTH: Page = { isGetOnly: true, serve: health };
const VERSION: Page = { isGetOnly: true, serve: async () => json(200, VERSIONS) };
const METRICS: Page = { isGetOnly: false, serve: metrics };

/** undefined: there is no such page. */
export function pageAt(path: string): Page | undefined {
  if (path === "/health") return HEALTH;
  if (path === "/version") return VERSION;
  return path === "/metrics" ? METRICS : probeAt(path);
}

const VERSIONS = { etcdserver: API_VERSION, etcdcluster: API_VERSION, storage: API_VERSION };

async function health({ backend }: PageHost, query: URLSearchParams): Promise<TextReply> {
  const isSerializable = query.get("serializable") === "true";
  const status = await backend.status().catch(() => undefined);
  const excluded = query.getAll("exclude");
  const alarm = status?.alarms
    .map(({ kind }) => alarmName(kind))
    .find((name) => !excluded.includes(name));
  const hasLeader = status !== undefined && status.leaderNodeId !== 0;
  let reason = hasLeader || isSerializable ? "" : "RAFT NO LEADER";
  if (alarm !== undefined) reason = `ALARM ${alarm}`;
  if (reason === "") {
    const fault = await readFault(backend, isSerializable ? "serializable" : "linearizable");
    if (fault !== undefined) reason = `RANGE ERROR:${fault}`;
  }
  return json(reason === "" ? 200 : 503, { health: String(reason === ""), reason });
}

/** What is wrong, or undefined. */
type Check = (backend: Backend) => Promise<string | undefined>;

type Checks = Readonly<Record<string, Check>>;

const LIVE: Checks = {
  serializable_read: (backend) => readFault(backend, "serializable"),
};
const READY: Checks = {
  data_corruption: async (backend) =>
    (await backend.status()).alarms.some(({ kind }) => kind === "corrupt")
      ? "alarm activated: CORRUPT"
      : undefined,
  serializable_read: (backend) => readFault(backend, "serializable"),
  linearizable_read: (backend) => readFault(backend, "linearizable"),
  non_learner: async (backend) =>
    (await backend.status()).isLearner ? "not supported for learner" : undefined,
};
const PROBES: Readonly<Record<string, Checks>> = { livez: LIVE, readyz: READY };

/** All checks of a probe but those that are not wanted, or the one that its path names. */
function probeAt(path: string): Page | undefined {
  const [, probe = "", one, ...more] = path.split("/");
  if (!Object.hasOwn(PROBES, probe) || more.length > 0) return undefined;
  const all = Object.entries(PROBES[probe]!);
  const named = one === undefined ? all : all.filter(([name]) => name === one);
  if (named.length === 0) return undefined;
  return {
    isGetOnly: true,
    serve: ({ backend }, query) => {
      const excluded = one === undefined ? query.getAll("exclude") : [];
      const wanted = named.filter(([name]) => !excluded.includes(name));
      return outcomeOf(wanted, backend, query.has("verbose"));
    },
  };
}

/** What has failed is told of at length in any case. */
async function outcomeOf(
  checks: readonly (readonly [name: string, check: Check])[],
  backend: Backend,
  isVerbose: boolean,
): Promise<TextReply> {
  const lines: string[] = [];
  let isWell = true;
  for (const [name, check] of checks) {
    const fault = await check(backend).catch((error: unknown) => statusOf(error).message);
    isWell &&= fault === undefined;
    lines.push(fault === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${fault}\n`);
  }
  const long = isWell && !isVerbose ? "" : lines.join("");
  return { status: isWell ? 200 : 503, contentType: TEXT, body: `${long}${isWell ? "ok" : ""}\n` };
}

async function metrics({ backend, calls }: PageHost): Promise<TextReply> {
  const status = await backend.status();
  const others = [...storageMetrics(status.storage), ...calls.metrics()];
  const body = metricsText(status, backend.origin.memberId, others);
  return { status: 200, contentType: `${TEXT}; version=0.0.4`, body };
}

async function readFault(backend: Backend, consistency: Consistency): Promise<string | undefined> {
  const operation = rangeOf(HEALTH_KEY, undefined, { keysOnly: true });
  return backend.range(operation, consistency).then(
    () => undefined,
    (error: unknown) => statusOf(error).message,
  );
}

const TEXT = "text/plain; charset=utf-8";

function json(status: number, body: object): TextReply {
  return { status, contentType: "application/json", body: JSON.stringify(body) };
}
