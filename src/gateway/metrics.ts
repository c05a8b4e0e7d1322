/**
 * What a node says of itself to Prometheus, by etcd's names, as far as they mean the same here. Of
 * what nobody counts there is no number. What etcd has no names for is in storage-metrics.ts.
 */
import type { DurationCounts } from "../protocol/admin-messages.js";
import type { NodeStatus } from "./backend.js";
import { API_VERSION } from "./maintenance-service.js";

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly kind: "gauge" | "counter";
  readonly value: (status: NodeStatus, memberId: bigint) => number;
}

/** One whose values may have labels: its lines go together. */
export interface LabelledMetric extends Omit<Metric, "value"> {
  readonly values: readonly (readonly [labels: string, value: number])[];
}

interface Durations {
  readonly name: string;
  readonly help: string;
  readonly value: (status: NodeStatus) => DurationCounts | undefined;
}

const METRICS: readonly Metric[] = [
  {
    name: "etcd_server_has_leader",
    help: "Whether a leader is known; 1 is existence, 0 is not.",
    kind: "gauge",
    value: ({ leaderNodeId }) => Number(leaderNodeId !== 0),
  },
  {
    name: "etcd_server_is_leader",
    help: "Whether this node leads the default keyspace; 1 if it does, 0 otherwise.",
    kind: "gauge",
    value: ({ leaderNodeId }, memberId) => Number(BigInt(leaderNodeId) === memberId),
  },
  {
    name: "etcd_server_is_learner",
    help: "Whether this node's replica of the default keyspace is a learner.",
    kind: "gauge",
    value: ({ isLearner }) => Number(isLearner),
  },
  {
    name: "etcd_server_proposals_committed_total",
    help: "Index up to which the default keyspace's log is committed here.",
    kind: "gauge",
    value: ({ commitIndex }) => commitIndex,
  },
  {
    name: "etcd_server_proposals_applied_total",
    help: "Index up to which the default keyspace's log is applied here.",
    kind: "gauge",
    value: ({ appliedIndex }) => appliedIndex,
  },
  {
    name: "etcd_server_proposals_pending",
    help: "Writes of the default keyspace that this node leads and has not answered.",
    kind: "gauge",
    value: ({ writesInFlight }) => writesInFlight,
  },
  {
    name: "etcd_server_proposals_failed_total",
    help: "Writes of the default keyspace that this node led and did not carry out, as it knows.",
    kind: "counter",
    value: ({ writesFailed }) => writesFailed,
  },
  {
    name: "etcd_server_leader_changes_seen_total",
    help: "How often this node has learnt of another leader of the default keyspace.",
    kind: "counter",
    value: ({ leaderChanges }) => leaderChanges,
  },
  {
    name: "etcd_debugging_mvcc_current_revision",
    help: "Revision of the default keyspace as far as it is applied here.",
    kind: "gauge",
    value: ({ revision }) => revision,
  },
  {
    name: "etcd_mvcc_db_total_size_in_bytes",
    help: "Bytes of the default keyspace at this node, which the quota bounds.",
    kind: "gauge",
    value: ({ storedBytes }) => storedBytes,
  },
  {
    name: "etcd_mvcc_db_total_size_in_use_in_bytes",
    help: "About what of these is not garbage.",
    kind: "gauge",
    value: ({ usedBytes }) => usedBytes,
  },
  {
    name: "etcd_server_quota_backend_bytes",
    help: "The quota of the default keyspace; -1 where there is none.",
    kind: "gauge",
    value: ({ quotaBytes }) => quotaBytes,
  },
  {
    name: "process_resident_memory_bytes",
    help: "Memory of the process.",
    kind: "gauge",
    value: ({ residentBytes }) => residentBytes,
  },
  {
    name: "flotilla_event_loop_busy_seconds_total",
    help: "How long the event loop has had something to do: at 1 a second, it holds all up.",
    kind: "counter",
    value: ({ eventLoopBusyMs }) => eventLoopBusyMs / 1000,
  },
];

/** Of all the node's shards, which share a log and a store. */
const DURATIONS: readonly Durations[] = [
  {
    name: "etcd_disk_wal_fsync_duration_seconds",
    help: "How long writes of the log took, synced.",
    value: ({ logSyncs }) => logSyncs,
  },
  {
    name: "etcd_disk_backend_commit_duration_seconds",
    help: "How long edits of the manifest took, synced, by which flushes and merges count.",
    value: ({ storeCommits }) => storeCommits,
  },
];

/** What never changes while the node runs. */
function identityOf(memberId: bigint): readonly LabelledMetric[] {
  const cluster = API_VERSION.slice(0, API_VERSION.lastIndexOf("."));
  return [
    one("etcd_server_id", "Who this node is.", `server_id="${memberId.toString(16)}"`),
    one("etcd_server_version", "Whose API it serves.", `server_version="${API_VERSION}"`),
    one("etcd_cluster_version", "The same of all nodes.", `cluster_version="${cluster}"`),
  ];
}

function one(name: string, help: string, labels: string): LabelledMetric {
  return { name, help, kind: "gauge", values: [[labels, 1]] };
}

export function metricsText(
  status: NodeStatus,
  memberId: bigint,
  counted: readonly LabelledMetric[],
): string {
  const read = METRICS.map(({ value, ...metric }): LabelledMetric => {
    return { ...metric, values: [["", value(status, memberId)]] };
  });
  const lines = [...read, ...identityOf(memberId), ...counted].flatMap(linesOf);
  const durations = DURATIONS.flatMap((each) => durationLines(each, each.value(status)));
  return `${[...lines, ...durations].join("\n")}\n`;
}

function linesOf({ name, help, kind, values }: LabelledMetric): readonly string[] {
  if (values.length === 0) return [];
  const line = ([labels, value]: readonly [string, number]): string =>
    labels === "" ? `${name} ${value}` : `${name}{${labels}} ${value}`;
  return [...headOf(name, help, kind), ...values.map(line)];
}

function headOf(name: string, help: string, kind: string): readonly string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`];
}

/** The bounds are powers of two, and not etcd's. */
function durationLines(
  { name, help }: Durations,
  counts: DurationCounts | undefined,
): readonly string[] {
  if (counts === undefined) return [];
  const { micros, totalMs } = counts;
  const lines = [...headOf(name, help, "histogram")];
  let count = 0;
  micros.forEach((inBucket, at) => {
    count += inBucket;
    const bound = at < micros.length - 1 ? String(2 ** (at + 1) / 1e6) : "+Inf";
    lines.push(`${name}_bucket{le="${bound}"} ${count}`);
  });
  return [...lines, `${name}_sum ${totalMs / 1000}`, `${name}_count ${count}`];
}
