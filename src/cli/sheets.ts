/** The sheets that commands show: nodes, shards, keyspaces, endpoints. From answers to cells. */
import type { KeyRange } from "../base/key-range.js";
import type { NodeAlarm } from "../client/admin.js";
import type { HashResponse, ReplicaStatus, StatusResponse } from "../protocol/admin-messages.js";
import type {
  AlarmKind,
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
  ShardDescriptor,
  StrayAlarm,
} from "../protocol/cluster.js";
import type { Sheet } from "./printer.js";
import { formatBytes, formatDuration } from "./quantities.js";
import { quote } from "./quoting.js";
import type { SnapshotFacts } from "./snapshot-file.js";

export interface EndpointHealth {
  readonly endpoint: string;
  readonly healthy: boolean;
  readonly tookMs: number;
  readonly reasons: readonly string[];
}

export interface EndpointStatus {
  readonly endpoint: string;
  readonly status: StatusResponse;
  /** Of that node: raised, and holding by themselves. */
  readonly alarms: readonly AlarmKind[];
}

export interface ReplicaHash extends HashResponse {
  readonly endpoint: string;
  readonly shardId: number;
}

/** As etcdctl prints an id. */
export function idText(id: number | bigint): string {
  return id.toString(16);
}

/** What etcdctl calls the status, and where a node leaves, that. */
function statusOf({ incarnation, state }: NodeDescriptor): string {
  return state ?? (incarnation === "" ? "unstarted" : "started");
}

/** etcdctl's columns; labels come after them, but in the simple format, which scripts cut. */
export function memberSheet(nodes: readonly NodeDescriptor[]): Sheet {
  const simpleRows = nodes.map((node) => [
    idText(node.nodeId),
    statusOf(node),
    node.name,
    node.peerAddress,
    node.clientAddress,
    node.learner === true,
  ]);
  return {
    columns: ["ID", "Status", "Name", "Peer address", "Client address", "Is learner", "Labels"],
    rows: simpleRows.map((row, at) => [...row, labelText(nodes[at]?.labels ?? {})]),
    simpleRows,
    json: {
      members: nodes.map((node) => ({
        ID: node.nodeId,
        name: node.name,
        peerURLs: [node.peerAddress],
        clientURLs: node.clientAddress === "" ? [] : [node.clientAddress],
        isLearner: node.learner,
        labels: node.labels,
      })),
    },
  };
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}

export function endpointStatusSheet(list: readonly EndpointStatus[]): Sheet {
  return {
    columns: [
      "Endpoint",
      "ID",
      "Name",
      "Version",
      "DB size",
      "Quota",
      "Leads",
      "Replicas",
      "Raft term",
      "Revision",
      "Applied index",
      "Uptime",
      "Alarms",
    ],
    rows: list.map(({ endpoint, status, alarms }) => [
      endpoint,
      status.nodeId,
      status.name,
      status.version,
      formatBytes(status.storedBytes),
      quotaOf(status),
      leadsOf(status),
      status.replicas.length,
      greatest(status, "term"),
      greatest(status, "revision"),
      sum(status, "appliedIndex"),
      formatDuration(status.uptimeMs),
      alarms.join(" "),
    ]),
    json: list.map(({ endpoint, status, alarms }) => ({
      Endpoint: endpoint,
      Status: { ...status, alarms },
    })),
  };
}

/** What the default keyspace may take at this node. */
function quotaOf({ quotaBytes }: StatusResponse): string {
  if (quotaBytes === undefined) return "";
  return quotaBytes < 0 ? "none" : formatBytes(quotaBytes);
}

export function leadsOf(status: StatusResponse): number {
  return status.replicas.filter(({ role }) => role === "leader").length;
}

type NumberOf = "term" | "revision" | "appliedIndex";

export function greatest(status: StatusResponse, name: NumberOf): number {
  return status.replicas.reduce((most, replica) => Math.max(most, valueOf(replica, name)), 0);
}

export function sum(status: StatusResponse, name: NumberOf): number {
  return status.replicas.reduce((total, replica) => total + valueOf(replica, name), 0);
}

function valueOf(replica: ReplicaStatus, name: NumberOf): number {
  return replica[name];
}

export function endpointHealthSheet(list: readonly EndpointHealth[]): Sheet {
  return {
    columns: ["Endpoint", "Health", "Took", "Error"],
    rows: list.map(({ endpoint, healthy, tookMs, reasons }) => [
      endpoint,
      healthy,
      formatDuration(tookMs),
      reasons.join("; "),
    ]),
    json: list.map(({ endpoint, healthy, tookMs, reasons }) => ({
      endpoint,
      health: healthy,
      took: formatDuration(tookMs),
      error: reasons.length === 0 ? undefined : reasons.join("; "),
    })),
  };
}

export function alarmSheet(
  alarms: readonly NodeAlarm[],
  strays: readonly StrayAlarm[] = [],
): Sheet {
  const named = alarms.map(({ node: { nodeId, name }, kind }) => {
    return { id: idText(nodeId), memberID: nodeId as number | string, name, kind };
  });
  // Others than numbers of ours may be too large for one.
  named.push(
    ...strays.map(({ memberId, kind }) => {
      return { id: BigInt(memberId).toString(16), memberID: memberId, name: "", kind };
    }),
  );
  const list = named.map((one) => ({ ...one, alarm: one.kind.toUpperCase() }));
  return {
    columns: ["ID", "Name", "Alarm"],
    rows: list.map(({ id, name, alarm }) => [id, name, alarm]),
    simpleRows: list.map(({ memberID, alarm }) => [`memberID:${memberID} alarm:${alarm}`]),
    json: { alarms: list.map(({ memberID, alarm }) => ({ memberID, alarm })) },
  };
}

/** etcdctl's columns, and the shard where there is more than one. */
export function hashSheet(list: readonly ReplicaHash[]): Sheet {
  const hasOne = new Set(list.map(({ shardId }) => shardId)).size <= 1;
  const simpleRow = ({ endpoint, shardId, hash, revision }: ReplicaHash): (string | number)[] =>
    hasOne ? [endpoint, hash, revision] : [endpoint, shardId, hash, revision];
  return {
    columns: ["Endpoint", "Shard", "Hash", "Hash revision", "Compact revision"],
    rows: list.map(({ endpoint, shardId, hash, revision, compactedRevision }) => [
      endpoint,
      shardId,
      hash,
      revision,
      compactedRevision,
    ]),
    simpleRows: list.map(simpleRow),
    json: list.map(({ endpoint, shardId, hash, revision, compactedRevision }) => ({
      Endpoint: endpoint,
      HashKV: {
        shard: shardId,
        hash,
        hash_revision: revision,
        compact_revision: compactedRevision,
      },
    })),
  };
}

/** etcdutl's columns. */
export function snapshotSheet(facts: SnapshotFacts): Sheet {
  const { hash, revision, keys, bytes } = facts;
  return {
    columns: ["Hash", "Revision", "Total keys", "Total size"],
    rows: [[hash, revision, keys, formatBytes(bytes)]],
    json: { hash, revision, totalKey: keys, totalSize: bytes },
  };
}

export function shardSheet(
  map: ClusterMap,
  leaders: readonly LeaderHint[],
  shards: readonly ShardDescriptor[],
): Sheet {
  const nameOf = (nodeId: number): string =>
    map.nodes.find((node) => node.nodeId === nodeId)?.name ?? String(nodeId);
  const json = shards.map((shard) => {
    const keyspace = map.keyspaces.find(({ keyspaceId }) => keyspaceId === shard.keyspaceId);
    const leader = leaders.find(({ shardId }) => shardId === shard.shardId);
    return {
      shard: shard.shardId,
      keyspace: keyspace?.name ?? "system",
      start: boundText(shard.range.start, keyspace),
      end: boundText(endOf(shard.range, keyspace), keyspace),
      leader: leader === undefined ? "none" : nameOf(leader.nodeId),
      term: leader?.term ?? 0,
      replicas: shard.replicas.map(({ nodeId, role }) =>
        role === "learner" ? `${nameOf(nodeId)} (learner)` : nameOf(nodeId),
      ),
      epoch: `${shard.epoch.configuration}.${shard.epoch.range}`,
    };
  });
  return {
    columns: ["Shard", "Keyspace", "Start", "End", "Leader", "Term", "Replicas", "Epoch"],
    rows: json.map((row) => [
      row.shard,
      row.keyspace,
      row.start,
      row.end,
      row.leader,
      row.term,
      row.replicas.join(" "),
      row.epoch,
    ]),
    json,
  };
}

const KEYSPACE_BYTES = 4;
const BUCKET_BYTES = 2;

/** An end in the next keyspace is the end of this one. */
function endOf(range: KeyRange, keyspace: KeyspaceDescriptor | undefined): Uint8Array | undefined {
  const { end } = range;
  if (end === undefined || keyspace === undefined || end.length < KEYSPACE_BYTES) return undefined;
  return keyspaceOf(end) === keyspace.keyspaceId ? end : undefined;
}

function keyspaceOf(stored: Uint8Array): number {
  return new DataView(stored.buffer, stored.byteOffset).getUint32(0);
}

/** A bound in stored keys as a user knows it: a key, or the bucket of a hash keyspace. */
function boundText(
  bound: Uint8Array | undefined,
  keyspace: KeyspaceDescriptor | undefined,
): string {
  if (bound === undefined || bound.length <= KEYSPACE_BYTES) return "-";
  if (keyspace?.kind !== "hash") return quote(bound.subarray(KEYSPACE_BYTES));
  const bucket = bound.subarray(KEYSPACE_BYTES, KEYSPACE_BYTES + BUCKET_BYTES);
  return `bucket ${(bucket[0] ?? 0) * 256 + (bucket[1] ?? 0)}`;
}

export function keyspaceSheet(map: ClusterMap, keyspaces: readonly KeyspaceDescriptor[]): Sheet {
  const shardsOf = ({ keyspaceId }: KeyspaceDescriptor): readonly number[] =>
    map.shards.filter((shard) => shard.keyspaceId === keyspaceId).map(({ shardId }) => shardId);
  return {
    columns: ["ID", "Name", "Kind", "Shards", "Replication factor"],
    rows: keyspaces.map((keyspace) => [
      keyspace.keyspaceId,
      keyspace.name,
      keyspace.kind,
      shardsOf(keyspace).length,
      keyspace.replicationFactor,
    ]),
    json: keyspaces.map((keyspace) => ({ ...keyspace, shards: shardsOf(keyspace) })),
  };
}
