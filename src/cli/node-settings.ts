/**
 * The settings of a node, one row each: how a text becomes a value of NodeConfig and back. Flags,
 * environment and file share the same texts; defaults are those of NodeConfig.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import type { TraceLevel } from "../env/tracer.js";
import { DEFAULT_CONFIG, type InitialNode, type NodeConfig } from "../node/config.js";
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { formatBytes, formatDuration, parseCount, parseDuration, parseSize } from "./quantities.js";

export interface NodeSettings extends NodeConfig {
  readonly logLevel: TraceLevel;
}

export const DEFAULT_SETTINGS: NodeSettings = { ...DEFAULT_CONFIG, logLevel: "info" };

/** What the file may hold for a setting beside a text. */
export type FileShape = "text" | "number" | "pairs" | "list";

export interface Setting {
  readonly flag: string;
  readonly field: keyof NodeSettings;
  readonly describe: string;
  /** Given several times, its values make a list. */
  readonly repeatable: boolean;
  /** In words, for messages. */
  readonly wanted: string;
  readonly fileShape: FileShape;
  /** undefined: the texts are none. */
  parse(texts: readonly string[]): unknown;
  show(settings: NodeSettings): string;
}

export interface Kind<T> {
  readonly wanted: string;
  readonly fileShape: FileShape;
  parse(text: string): T | undefined;
  show(value: T): string;
}

const TEXT: Kind<string> = {
  wanted: "a text",
  fileShape: "text",
  parse: (text) => text,
  show: (value) => value,
};
const DURATION: Kind<number> = {
  wanted: "a duration, such as 50ms",
  fileShape: "number",
  parse: parseDuration,
  show: formatDuration,
};
const SIZE: Kind<number> = {
  wanted: "a size, such as 64MiB",
  fileShape: "number",
  parse: parseSize,
  show: (value) => formatBytes(value).replace(" ", ""),
};
const QUOTA: Kind<number> = {
  wanted: "a size, such as 2GiB, 0 for that, or -1 for none",
  fileShape: "number",
  parse: (text) => (/^-\d+$/.test(text) ? -1 : parseSize(text)),
  show: (value) => (value < 0 ? "-1" : SIZE.show(value)),
};
export const NODES: Kind<readonly InitialNode[]> = {
  wanted: "nodes, such as n1=127.0.0.1:2380,n2=127.0.0.1:22380",
  fileShape: "pairs",
  parse: (text) => pairs(text)?.map(([name, peerAddress]) => ({ name, peerAddress })),
  show: (nodes) => nodes.map(({ name, peerAddress }) => `${name}=${peerAddress}`).join(","),
};
const LABELS: Kind<Readonly<Record<string, string>>> = {
  wanted: "labels, such as zone=a,rack=7",
  fileShape: "pairs",
  parse: (text) => {
    const list = pairs(text);
    return list === undefined ? undefined : Object.fromEntries(list);
  },
  show: (labels) =>
    Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(","),
};
const CLUSTER_STATE: Kind<NodeConfig["initialClusterState"]> = {
  wanted: "new or existing",
  fileShape: "text",
  parse: (text) => (["new", "existing"] as const).find((state) => state === text),
  show: (state) => state,
};
const LEVEL: Kind<TraceLevel> = {
  wanted: "debug, info, warn or error",
  fileShape: "text",
  parse: (text) => (["debug", "info", "warn", "error"] as const).find((level) => level === text),
  show: (level) => level,
};

/** name=value pairs with commas between; empty text is none. */
function pairs(text: string): [string, string][] | undefined {
  if (text === "") return [];
  const list: [string, string][] = [];
  for (const pair of text.split(",")) {
    const cut = pair.indexOf("=");
    if (cut <= 0 || cut === pair.length - 1) return undefined;
    list.push([pair.slice(0, cut).trim(), pair.slice(cut + 1).trim()]);
  }
  return list;
}

function setting<Field extends keyof NodeSettings>(
  flag: string,
  field: Field,
  kind: Kind<NodeSettings[Field]>,
  describe: string,
): Setting {
  return {
    flag,
    field,
    describe,
    repeatable: false,
    wanted: kind.wanted,
    fileShape: kind.fileShape,
    parse: (texts) => kind.parse(texts.at(-1) ?? ""),
    show: (settings) => kind.show(settings[field]),
  };
}

const KEYSPACES: Setting = {
  flag: "initial-keyspace",
  field: "initialKeyspaces",
  describe: "a keyspace to found the cluster with, name:range:split=K,K or name:hash:shards=N",
  repeatable: true,
  wanted: "keyspaces, such as docs:range:split=g,p or files:hash:shards=8",
  fileShape: "list",
  parse: (texts) => {
    const list = texts.map(parseKeyspace);
    return list.includes(undefined) ? undefined : list;
  },
  show: ({ initialKeyspaces }) => initialKeyspaces.map(keyspaceText).join(" "),
};

/** name:range[:split=K,K][:replicas=N] or name:hash[:shards=N][:replicas=N] */
export function parseKeyspace(text: string): KeyspaceCreateRequest | undefined {
  const [name = "", kind, ...parts] = text.split(":");
  if (name === "" || (kind !== "range" && kind !== "hash")) return undefined;
  let splitPoints: Uint8Array[] = [];
  let shards = 1;
  let replicationFactor = 0;
  for (const part of parts) {
    const cut = part.indexOf("=");
    const value = part.slice(cut + 1);
    const count = parseCount(value);
    const what = `${kind} ${part.slice(0, Math.max(cut, 0))}`;
    if (what === "range split" && value !== "") splitPoints = value.split(",").map(utf8);
    else if (what === "hash shards" && count !== undefined && count > 0) shards = count;
    else if (what.endsWith(" replicas") && count !== undefined) replicationFactor = count;
    else return undefined;
  }
  const shardCount = kind === "hash" ? shards : splitPoints.length + 1;
  return { name, kind, splitPoints, shardCount, replicationFactor };
}

function keyspaceText(keyspace: KeyspaceCreateRequest): string {
  const { name, kind, splitPoints, shardCount, replicationFactor } = keyspace;
  const replicas = replicationFactor === 0 ? "" : `:replicas=${replicationFactor}`;
  if (kind === "hash") return `${name}:hash:shards=${shardCount}${replicas}`;
  const split = splitPoints.length === 0 ? "" : `:split=${splitPoints.map(utf8Text).join(",")}`;
  return `${name}:range${split}${replicas}`;
}

export const NODE_SETTINGS: readonly Setting[] = [
  setting("name", "name", TEXT, "the node's name in the cluster"),
  setting("data-dir", "dataDirectory", TEXT, "where the node keeps its data"),
  setting("listen-client", "listenClient", TEXT, "host:port to listen on for clients"),
  setting("listen-peer", "listenPeer", TEXT, "host:port to listen on for other nodes"),
  setting("advertise-client", "advertiseClient", TEXT, "what clients are told, if different"),
  setting("advertise-peer", "advertisePeer", TEXT, "what other nodes are told, if different"),
  setting("initial-cluster", "initialCluster", NODES, "the founding nodes, this one among them"),
  setting(
    "initial-cluster-state",
    "initialClusterState",
    CLUSTER_STATE,
    "existing: this node was added with flotctl member add, and joins at its first start",
  ),
  setting("cluster-token", "clusterToken", TEXT, "tells clusters with equal names apart"),
  KEYSPACES,
  setting("heartbeat-interval", "heartbeatMs", DURATION, "between heartbeats of a leader"),
  setting("election-timeout-min", "electionTimeoutMinMs", DURATION, "least election timeout"),
  setting("election-timeout-max", "electionTimeoutMaxMs", DURATION, "greatest election timeout"),
  setting("leader-lease", "leaderLeaseMs", DURATION, "length of a leader's lease; 0 for none"),
  setting("quiesce-after", "quiesceAfterMs", DURATION, "idle shards rest after this; 0 for never"),
  setting("max-request-bytes", "requestSizeBytesMax", SIZE, "largest request"),
  setting("labels", "labels", LABELS, "where the node is, for placing replicas apart"),
  setting("quota-bytes", "quotaBytes", QUOTA, "what the default keyspace may take; -1 for all"),
  setting("memory", "memtablesBytesMax", SIZE, "memory for writes that are not in tables yet"),
  setting("block-cache", "blockCacheBytes", SIZE, "memory for blocks of tables"),
  setting("entry-cache", "entryCacheBytes", SIZE, "memory for log entries that followers may lack"),
  setting("log-segment-bytes", "segmentSizeBytes", SIZE, "size of a file of the log"),
  setting("reserved-disk", "reservedBytes", SIZE, "with less disk free, writes are refused"),
  setting("scrub-rate", "scrubBytesPerSecond", SIZE, "read a second to look for rot; 0 for none"),
  setting("log-level", "logLevel", LEVEL, "of the diagnostics: debug, info, warn, error"),
];

/** A sentence about fields of the configuration, with the flags that set them. */
export function namingFlags(sentence: string): string {
  let text = sentence.replace(/Ms must be at least \d+$/, "$&ms");
  for (const { field, flag } of NODE_SETTINGS) {
    // "name" is a word of sentences too, and names a setting only where one begins.
    const pattern = /[A-Z]/.test(field) ? `\\b${field}\\b` : `^${field}\\b`;
    text = text.replace(new RegExp(pattern, "g"), `--${flag}`);
  }
  return text;
}
