/**
 * What one node is told at its start, and the checks between those values. Defaults live here and
 * nowhere else.
 */
import {
  FRAME_SIZE_BYTES_MAX,
  ENTRY_SIZE_BYTES_MAX,
  REQUEST_SIZE_BYTES_BOUND,
  REQUEST_SIZE_BYTES_MAX,
} from "../base/limits.js";
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { notApplied } from "../protocol/errors.js";
import { UNNOTICED_SLEEP_MS } from "../shard/sleep-watch.js";
import type { FlowLimits } from "../raft/types.js";
import { QUOTA_BYTES_DEFAULT } from "./quota.js";

export interface InitialNode {
  readonly name: string;
  readonly peerAddress: string;
}

export interface NodeConfig {
  readonly name: string;
  readonly dataDirectory: string;
  /** host:port; port 0 takes a free one. */
  readonly listenClient: string;
  readonly listenPeer: string;
  /** What others are told; empty: what is listened on. */
  readonly advertiseClient: string;
  readonly advertisePeer: string;
  /** The founding nodes, this one among them; empty: this node alone. */
  readonly initialCluster: readonly InitialNode[];
  /** existing: this node was added to a cluster, and asks one of those named who it is. */
  readonly initialClusterState: "new" | "existing";
  readonly clusterToken: string;
  /** Made when the cluster is founded, besides "default". */
  readonly initialKeyspaces: readonly KeyspaceCreateRequest[];
  readonly heartbeatMs: number;
  readonly electionTimeoutMinMs: number;
  readonly electionTimeoutMaxMs: number;
  readonly leaderLeaseMs: number;
  /** A shard without work for this long rests: no heartbeats until somebody wants it; 0: never. */
  readonly quiesceAfterMs: number;
  /** Of the replication of each shard. */
  readonly flow: FlowLimits;
  readonly requestSizeBytesMax: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly memtablesBytesMax: number;
  readonly blockCacheBytes: number;
  /** Memory for entries of the log that followers may lack; the rest is read from the disk. */
  readonly entryCacheBytes: number;
  readonly segmentSizeBytes: number;
  /** Bytes of the disk that are left alone: with less free, writes are refused. */
  readonly reservedBytes: number;
  /** What the default keyspace may take; 0: QUOTA_BYTES_DEFAULT, less: as much as there is. */
  readonly quotaBytes: number;
  /** How much of the disk is read in the background to look for rot; 0: nothing. */
  readonly scrubBytesPerSecond: number;
}

const MEBIBYTE = 1024 * 1024;
/** The log wants room for two of the largest writes in a segment. */
const SEGMENT_SIZE_BYTES_MIN: number = 4 * ENTRY_SIZE_BYTES_MAX;

export const DEFAULT_CONFIG: NodeConfig = {
  name: "default",
  dataDirectory: "flotilla-data",
  listenClient: "127.0.0.1:2379",
  listenPeer: "127.0.0.1:2380",
  advertiseClient: "",
  advertisePeer: "",
  initialCluster: [],
  initialClusterState: "new",
  clusterToken: "flotilla",
  initialKeyspaces: [],
  heartbeatMs: 50,
  electionTimeoutMinMs: 400,
  electionTimeoutMaxMs: 800,
  leaderLeaseMs: 150,
  quiesceAfterMs: 10_000,
  flow: {
    inflightMessagesMax: 256,
    inflightBytesMax: 8 * MEBIBYTE,
    appendBytesMax: MEBIBYTE,
    uncommittedBytesMax: 64 * MEBIBYTE,
  },
  requestSizeBytesMax: REQUEST_SIZE_BYTES_MAX,
  labels: {},
  memtablesBytesMax: 128 * MEBIBYTE,
  blockCacheBytes: 256 * MEBIBYTE,
  entryCacheBytes: 64 * MEBIBYTE,
  segmentSizeBytes: 32 * MEBIBYTE,
  reservedBytes: 64 * MEBIBYTE,
  quotaBytes: QUOTA_BYTES_DEFAULT,
  scrubBytesPerSecond: 4 * MEBIBYTE,
};

/** Throws KvError invalidArgument that names the setting and what it must be. */
export function checkConfig(config: NodeConfig): void {
  const wrong = faultOf(config);
  if (wrong !== undefined) throw notApplied("invalidArgument", wrong);
}

function faultOf(config: NodeConfig): string | undefined {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/.test(config.name)) {
    return "name must be 1 to 64 letters, digits, dots, dashes and underscores";
  }
  if (config.dataDirectory === "") return "dataDirectory must be given";
  for (const [field, address] of addressesOf(config)) {
    if (address !== "" && !isAddress(address)) return `${field} must be host:port, not ${address}`;
  }
  return timingFault(config) ?? flowFault(config) ?? clusterFault(config) ?? sizeFault(config);
}

function addressesOf(config: NodeConfig): [string, string][] {
  return [
    ["listenClient", config.listenClient],
    ["listenPeer", config.listenPeer],
    ["advertiseClient", config.advertiseClient],
    ["advertisePeer", config.advertisePeer],
    ...config.initialCluster.map((node): [string, string] => [
      `initialCluster of ${node.name}`,
      node.peerAddress,
    ]),
  ];
}

function isAddress(address: string): boolean {
  const colon = address.lastIndexOf(":");
  const port = Number(address.slice(colon + 1));
  return colon > 0 && Number.isInteger(port) && port >= 0 && port <= 65_535;
}

/** An election must outlast several heartbeats, and a lease must end before one can begin. */
function timingFault(config: NodeConfig): string | undefined {
  const { heartbeatMs, electionTimeoutMinMs, electionTimeoutMaxMs, leaderLeaseMs } = config;
  if (!(heartbeatMs >= 5)) return "heartbeatMs must be at least 5";
  if (!(electionTimeoutMinMs >= 4 * heartbeatMs)) {
    return "electionTimeoutMinMs must be at least four times heartbeatMs";
  }
  if (!(electionTimeoutMaxMs > electionTimeoutMinMs)) {
    return "electionTimeoutMaxMs must be above electionTimeoutMinMs";
  }
  // What is taken off a lease must leave enough of it to be renewed in time.
  if (leaderLeaseMs !== 0 && !(leaderLeaseMs > heartbeatMs + UNNOTICED_SLEEP_MS)) {
    return `leaderLeaseMs must be above heartbeatMs + ${UNNOTICED_SLEEP_MS}, or 0 for no lease reads`;
  }
  if (leaderLeaseMs > electionTimeoutMinMs) {
    return "leaderLeaseMs must not be above electionTimeoutMinMs";
  }
  if (!(config.quiesceAfterMs === 0 || config.quiesceAfterMs >= heartbeatMs)) {
    return "quiesceAfterMs must be at least heartbeatMs, or 0 for never";
  }
  return undefined;
}

function flowFault({ flow }: NodeConfig): string | undefined {
  for (const [name, value] of Object.entries(flow)) {
    if (Number.isSafeInteger(value) && value >= 1) continue;
    return `flow.${name} must be a whole number, 1 or more`;
  }
  if (flow.inflightBytesMax < flow.appendBytesMax) {
    return "flow.inflightBytesMax must not be below flow.appendBytesMax";
  }
  if (flow.appendBytesMax <= FRAME_SIZE_BYTES_MAX / 2) return undefined;
  return `flow.appendBytesMax must not be above ${FRAME_SIZE_BYTES_MAX / 2}`;
}

function clusterFault(config: NodeConfig): string | undefined {
  const { initialCluster, name } = config;
  const isNew = config.initialClusterState === "new";
  if (!isNew && !initialCluster.some((node) => node.name !== name)) {
    return "initialCluster must name nodes of the existing cluster";
  }
  if (initialCluster.length === 0) return undefined;
  const names = new Set(initialCluster.map((node) => node.name));
  if (names.size !== initialCluster.length) return "initialCluster names a node twice";
  if (!names.has(name)) return `initialCluster must name this node (${name}) too`;
  if (isNew && ![1, 3, 5, 7].includes(names.size))
    return "initialCluster must have 1, 3, 5 or 7 nodes";
  return undefined;
}

function sizeFault(config: NodeConfig): string | undefined {
  const { requestSizeBytesMax } = config;
  if (!(requestSizeBytesMax >= 1024 && requestSizeBytesMax <= REQUEST_SIZE_BYTES_BOUND)) {
    return `requestSizeBytesMax must be between 1024 and ${REQUEST_SIZE_BYTES_BOUND}`;
  }
  if (config.segmentSizeBytes < SEGMENT_SIZE_BYTES_MIN) {
    return `segmentSizeBytes must be at least ${SEGMENT_SIZE_BYTES_MIN}`;
  }
  if (!Number.isSafeInteger(config.quotaBytes)) return "quotaBytes must be a whole number";
  return undefined;
}
