/**
 * How the placement group keeps the cluster map: as ordinary keys of the system keyspace, with JSON
 * values, so that they can be read by eye and gain fields.
 *
 *   counters              {"shardId","keyspaceId","replicaId","memberSerial"}: the next ids, or
 *                         what they are made from; ids are never used again
 *   cluster               {"clusterId","replicas"}: the replicas wanted of the placement group
 *   alarms                {"strays"}: alarms of members that there are not
 *   node/<id>             a node; that of a removed one stays, so that its id is never given again
 *   keyspace/<id>         a keyspace
 *   shard/<id>            a shard; keys of its range in hexadecimal
 *   sequencer/<keyspace>  {"reservedTo"}: no revision above this was ever handed out
 *
 * Ids are padded to sixteen digits so that they sort as numbers. A shard counts once the counters
 * are past its id: shards of a keyspace that is still being written, or never was to its end, are
 * not part of the state.
 */
import { hex, utf8, utf8Text } from "../base/bytes.js";
import { REPLICATION_FACTOR_MAX } from "../base/limits.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  NodeDescriptor,
  ShardDescriptor,
  StrayAlarm,
} from "../protocol/cluster.js";
import { DecodeError } from "../base/coding.js";

export interface PlacementRecord {
  /** A user key of the system keyspace. */
  readonly key: string;
  readonly value: Uint8Array;
}

export interface Counters {
  readonly shardId: number;
  readonly keyspaceId: number;
  /** Of replicas that are added to a shard; those it was made with count from 1. */
  readonly replicaId: number;
  /** What the ids of added nodes are made from. */
  readonly memberSerial: number;
}

/** What placement decides from: the map, and what only it needs. */
export interface PlacementState {
  /** undefined until the cluster was founded. */
  readonly map: ClusterMap | undefined;
  readonly counters: Counters;
  /** By keyspace: no revision above this was handed out. */
  readonly reserved: ReadonlyMap<number, number>;
  /** How many replicas the placement group itself should have. */
  readonly placementReplicas: number;
}

export const COUNTERS_KEY = "counters";
export const CLUSTER_KEY = "cluster";
export const ALARMS_KEY = "alarms";
/** Shard 1 is the placement group, keyspace 0 the system's. */
export const FIRST_COUNTERS: Counters = {
  shardId: 2,
  keyspaceId: 1,
  replicaId: REPLICATION_FACTOR_MAX + 1,
  memberSerial: 1,
};

/** Where the founders did not say. */
const PLACEMENT_REPLICAS = 3;

const NODE = "node/";
const KEYSPACE = "keyspace/";
const SHARD = "shard/";
const SEQUENCER = "sequencer/";

export function countersRecord(counters: Counters): PlacementRecord {
  return json(COUNTERS_KEY, counters);
}

export function clusterRecord(clusterId: string, replicas: number): PlacementRecord {
  return json(CLUSTER_KEY, { clusterId, replicas });
}

/** Members of earlier versions pass over it. */
export function strayAlarmsRecord(strays: readonly StrayAlarm[]): PlacementRecord {
  return json(ALARMS_KEY, { strays });
}

export function nodeRecord(node: NodeDescriptor): PlacementRecord {
  return json(NODE + padded(node.nodeId), node);
}

export function keyspaceRecord(keyspace: KeyspaceDescriptor): PlacementRecord {
  return json(KEYSPACE + padded(keyspace.keyspaceId), keyspace);
}

export function shardRecord(shard: ShardDescriptor): PlacementRecord {
  const { start, end } = shard.range;
  const range = { start: hex(start), end: end === undefined ? null : hex(end) };
  return json(SHARD + padded(shard.shardId), { ...shard, range });
}

export function reservedRecord(keyspaceId: number, reservedTo: number): PlacementRecord {
  return json(SEQUENCER + padded(keyspaceId), { reservedTo });
}

/** Builds the state from all records in key order; `version` is the revision they were read at. */
export function decodeState(records: readonly PlacementRecord[], version: number): PlacementState {
  const nodes: NodeDescriptor[] = [];
  const keyspaces: KeyspaceDescriptor[] = [];
  const shards: ShardDescriptor[] = [];
  const reserved = new Map<number, number>();
  let counters = FIRST_COUNTERS;
  let cluster: StoredCluster | undefined;
  let strayAlarms: readonly StrayAlarm[] = [];
  for (const { key, value } of records) {
    const data = parse(key, value);
    if (key === COUNTERS_KEY) counters = { ...FIRST_COUNTERS, ...(data as object) };
    else if (key === CLUSTER_KEY) cluster = data as StoredCluster;
    else if (key === ALARMS_KEY) strayAlarms = (data as StoredAlarms).strays;
    else if (key.startsWith(NODE)) nodes.push(data as NodeDescriptor);
    else if (key.startsWith(KEYSPACE)) keyspaces.push(data as KeyspaceDescriptor);
    else if (key.startsWith(SHARD)) shards.push(shardOf(data as StoredShard));
    else if (key.startsWith(SEQUENCER)) {
      reserved.set(Number(key.slice(SEQUENCER.length)), (data as Reserved).reservedTo);
    }
  }
  const known = shards.filter(({ shardId }) => shardId < counters.shardId);
  const placementReplicas = cluster?.replicas ?? PLACEMENT_REPLICAS;
  if (cluster === undefined) return { map: undefined, counters, reserved, placementReplicas };
  const map: ClusterMap = {
    clusterId: cluster.clusterId,
    version,
    nodes: nodes.filter((node) => node.state !== "removed"),
    keyspaces,
    shards: known,
    removedNodes: nodes.filter((node) => node.state === "removed").map((node) => node.nodeId),
    nextReplicaId: counters.replicaId,
    ...(strayAlarms.length > 0 && { strayAlarms }),
  };
  return { map, counters, reserved, placementReplicas };
}

interface StoredCluster {
  readonly clusterId: string;
  readonly replicas?: number;
}

interface StoredAlarms {
  readonly strays: readonly StrayAlarm[];
}

interface Reserved {
  readonly reservedTo: number;
}

interface StoredShard extends Omit<ShardDescriptor, "range"> {
  readonly range: { readonly start: string; readonly end: string | null };
}

function shardOf(stored: StoredShard): ShardDescriptor {
  const { start, end } = stored.range;
  const range = { start: fromHex(start), end: end === null ? undefined : fromHex(end) };
  return { ...stored, range };
}

function json(key: string, data: object): PlacementRecord {
  return { key, value: utf8(JSON.stringify(data)) };
}

function parse(key: string, value: Uint8Array): unknown {
  try {
    return JSON.parse(utf8Text(value));
  } catch (error) {
    throw new DecodeError(`placement record ${key} is not JSON: ${String(error)}`);
  }
}

function padded(id: number): string {
  return String(id).padStart(16, "0");
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++)
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
