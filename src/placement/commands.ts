/**
 * What placement can be asked to change, as functions from its state to the records to write. They
 * decide and do nothing: the placement leader writes the records in transactions that hold only if
 * nothing was decided in between.
 *
 * A decision of many records takes several transactions, its steps. Each but the last writes shards
 * whose ids are not yet behind the counters, which nobody sees (records.ts); the last moves the
 * counters. So all of it becomes visible at once, and what a crash leaves of earlier steps is
 * written over by the next decision that takes the same ids.
 */
import { compareBytes } from "../base/bytes.js";
import { KEYSPACE_SHARDS_MAX, KEY_SIZE_BYTES_MAX, MAP_SIZE_BYTES_MAX } from "../base/limits.js";
import type { KeyRange } from "../base/key-range.js";
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { DEFAULT_KEYSPACE_NAME, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  NodeDescriptor,
  ReplicaDescriptor,
  ShardDescriptor,
} from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { arcBoundaries, keyspaceRange, storedKey } from "../route/stored-key.js";
import { NOTHING, refuse, write } from "./decision.js";
import type { PlacementDecision, PlacementStep } from "./decision.js";
import { haveMostCome, isExpected, mayHoldVoters } from "./members.js";
import { clusterRecord, countersRecord, keyspaceRecord } from "./records.js";
import { nodeRecord, shardRecord } from "./records.js";
import type { PlacementRecord, PlacementState } from "./records.js";

/** Within what one transaction may hold, with room for the records of the last step. */
const STEP_RECORDS_MAX = 100;
const STEP_SIZE_BYTES_MAX: number = 1024 * 1024;
const DEFAULT_REPLICATION_FACTOR = 3;
/** What a shard takes of the map beside the keys of its range; generous. */
const SHARD_SIZE_BYTES = 512;

/**
 * Founds the cluster, once; `placement` is the placement group as its founders know it. They are
 * members from then on, also those that have not come yet.
 */
export function foundCluster(
  state: PlacementState,
  clusterId: string,
  placement: ShardDescriptor,
  founders: readonly NodeDescriptor[],
): PlacementDecision {
  if (state.map === undefined) {
    const cluster = clusterRecord(clusterId, placement.replicas.length);
    return write(state, [cluster, shardRecord(placement), ...founders.map(nodeRecord)]);
  }
  if (state.map.clusterId === clusterId) {
    // A cluster that was founded before its placement group had a place on the map.
    const isKnown = state.map.shards.some((shard) => shard.shardId === placement.shardId);
    return isKnown ? NOTHING : write(state, [shardRecord(placement)]);
  }
  const text = `this placement group belongs to cluster ${state.map.clusterId}, not ${clusterId}`;
  return refuse(notApplied("wrongCluster", text));
}

/** Makes a keyspace and its shards, spread over the nodes. */
export function createKeyspace(
  state: PlacementState,
  request: KeyspaceCreateRequest,
): PlacementDecision {
  const { map, counters } = state;
  if (map === undefined) return refuse(notApplied("unavailable", "the cluster is being founded"));
  const fault = faultOf(state, request);
  if (fault !== undefined) return refuse(fault);
  const { keyspaceId } = counters;
  const replicationFactor = request.replicationFactor || factorByDefault(state, request.name);
  const nodes = nodesFor(state.map!, replicationFactor);
  const replicaCount = replicaCountOn(nodes.length, replicationFactor);
  const keyspace: KeyspaceDescriptor = {
    keyspaceId,
    name: request.name,
    kind: request.kind,
    dense: shardCountOf(request) === 1,
    replicationFactor,
  };
  const ranges = rangesOf(keyspace, request);
  const tooLarge = mapFault(map.shards, ranges);
  if (tooLarge !== undefined) return refuse(tooLarge);
  const offset = map.shards.filter((each) => each.keyspaceId !== SYSTEM_KEYSPACE_ID).length;
  const shards = ranges.map((range, i): ShardDescriptor => {
    const placed = spread(nodes, offset + i, replicaCount);
    return {
      shardId: counters.shardId + i,
      keyspaceId,
      range,
      epoch: { configuration: 1, range: 1 },
      generation: 1,
      replicas: placed,
      preferredNodeId: placed[0]!.nodeId,
    };
  });
  const next = {
    ...counters,
    shardId: counters.shardId + shards.length,
    keyspaceId: keyspaceId + 1,
  };
  const last = [keyspaceRecord(keyspace), countersRecord(next)];
  return { kind: "write", steps: inSteps(shards.map(shardRecord), countersRecord(counters), last) };
}

/** Says where a shard's leader should be from now on. */
export function preferLeader(
  state: PlacementState,
  shardId: number,
  nodeId: number,
): PlacementDecision {
  const shard = state.map?.shards.find((each) => each.shardId === shardId);
  if (shard === undefined) {
    return refuse(notApplied("shardNotFound", `there is no shard ${shardId}`));
  }
  if (!shard.replicas.some((replica) => replica.nodeId === nodeId && replica.role === "voter")) {
    const text = `node ${nodeId} holds no voting replica of shard ${shardId}`;
    return refuse(notApplied("invalidArgument", text));
  }
  if (shard.preferredNodeId === nodeId) return NOTHING;
  return write(state, [shardRecord({ ...shard, preferredNodeId: nodeId })]);
}

/** Cuts records into steps; each is ended by `between`, but the last by `last`. */
function inSteps(
  records: readonly PlacementRecord[],
  between: PlacementRecord,
  last: readonly PlacementRecord[],
): PlacementStep[] {
  const steps: PlacementStep[] = [];
  let step: PlacementRecord[] = [];
  let sizeBytes = 0;
  for (const record of records) {
    const isFull = step.length === STEP_RECORDS_MAX || sizeBytes > STEP_SIZE_BYTES_MAX;
    if (isFull) {
      steps.push([...step, between]);
      step = [];
      sizeBytes = 0;
    }
    step.push(record);
    sizeBytes += record.value.length;
  }
  return [...steps, [...step, ...last]];
}

function faultOf(state: PlacementState, request: KeyspaceCreateRequest): KvError | undefined {
  const mistyped = typeFault(request);
  if (mistyped !== undefined) return mistyped;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$/.test(request.name)) {
    return notApplied(
      "invalidArgument",
      "a keyspace name is 1 to 128 letters, digits, dots, dashes and underscores",
    );
  }
  if (state.map!.keyspaces.some((each) => each.name === request.name)) {
    return notApplied("keyspaceExists", `keyspace ${request.name} exists already`);
  }
  if (request.kind === "hash" && request.splitPoints.length > 0) {
    return notApplied(
      "invalidArgument",
      "a hash keyspace takes a number of shards, no split points",
    );
  }
  const shardCount = shardCountOf(request);
  if (!Number.isInteger(shardCount) || shardCount < 1 || shardCount > KEYSPACE_SHARDS_MAX) {
    const text = `a keyspace has 1 to ${KEYSPACE_SHARDS_MAX} shards`;
    return notApplied("invalidArgument", text, { bound: KEYSPACE_SHARDS_MAX });
  }
  return splitFault(request.splitPoints) ?? replicationFault(state.map!, request.replicationFactor);
}

/** The request came as a plain object from a client: nothing about its fields is certain. */
function typeFault(request: {
  readonly [Field in keyof KeyspaceCreateRequest]: unknown;
}): KvError | undefined {
  const { name, kind, splitPoints, shardCount, replicationFactor } = request;
  const wrong = (field: string, wanted: string): KvError =>
    notApplied("invalidArgument", `${field} of a keyspace must be ${wanted}`);
  if (typeof name !== "string") return wrong("name", "a text");
  if (kind !== "range" && kind !== "hash") return wrong("kind", '"range" or "hash"');
  const isPoints =
    Array.isArray(splitPoints) && splitPoints.every((point) => point instanceof Uint8Array);
  if (!isPoints) return wrong("splitPoints", "a list of keys");
  if (!Number.isInteger(shardCount)) return wrong("shardCount", "a whole number");
  if (!Number.isInteger(replicationFactor)) return wrong("replicationFactor", "a whole number");
  return undefined;
}

/** Nodes and clients take the map whole: it must not outgrow a message. */
function mapFault(
  shards: readonly ShardDescriptor[],
  ranges: readonly KeyRange[],
): KvError | undefined {
  let sizeBytes = 0;
  for (const { range } of shards) sizeBytes += rangeSize(range);
  for (const range of ranges) sizeBytes += rangeSize(range);
  if (sizeBytes <= MAP_SIZE_BYTES_MAX) return undefined;
  const text = `the cluster map would exceed ${MAP_SIZE_BYTES_MAX} bytes`;
  return notApplied("requestTooLarge", text, { bound: MAP_SIZE_BYTES_MAX });
}

function rangeSize({ start, end }: KeyRange): number {
  return SHARD_SIZE_BYTES + start.length + (end?.length ?? 0);
}

function splitFault(points: readonly Uint8Array[]): KvError | undefined {
  for (let i = 0; i < points.length; i++) {
    const point = points[i]!;
    if (point.length === 0 || point.length > KEY_SIZE_BYTES_MAX) {
      return notApplied("invalidArgument", `a split point has 1 to ${KEY_SIZE_BYTES_MAX} bytes`);
    }
    if (i > 0 && compareBytes(points[i - 1]!, point) >= 0) {
      return notApplied("invalidArgument", "split points must ascend");
    }
  }
  return undefined;
}

function replicationFault(map: ClusterMap, factor: number): KvError | undefined {
  // Whoever acknowledged the keyspace before could forget it with a disk of which nobody knows.
  if (!haveMostCome(map)) return notApplied("unavailable", "the cluster is being founded");
  const nodeCount = nodesFor(map, factor).length;
  if (nodeCount === 0) return notApplied("unavailable", "no node can hold its replicas");
  if (factor === 0) return undefined;
  if (![1, 3, 5, 7].includes(factor)) {
    return notApplied("invalidArgument", "the replication factor is 1, 3, 5 or 7");
  }
  if (factor <= nodeCount) return undefined;
  const text = `replication factor ${factor} needs as many nodes; there are ${nodeCount}`;
  return notApplied("invalidArgument", text, { bound: nodeCount });
}

/**
 * Nodes that replicas of a new shard may lie on, in ascending order. Where these are too few, so
 * may founders that have not come yet: as many as leave every shard a majority that has.
 */
function nodesFor(map: ClusterMap, factor: number): number[] {
  const started = map.nodes.filter(mayHoldVoters);
  const expected = map.nodes.filter((node) => isExpected(map, node));
  const wanted = replicaCountOn(started.length + expected.length, factor);
  const missing = started.length > factor / 2 ? Math.max(0, wanted - started.length) : 0;
  const nodes = [...started, ...expected.slice(0, missing)];
  return nodes.map((node) => node.nodeId).sort((a, b) => a - b);
}

function shardCountOf(request: KeyspaceCreateRequest): number {
  if (request.kind === "range") return request.splitPoints.length + 1;
  return request.shardCount === 0 ? 1 : request.shardCount;
}

function rangesOf(keyspace: KeyspaceDescriptor, request: KeyspaceCreateRequest): KeyRange[] {
  const { keyspaceId } = keyspace;
  const whole = keyspaceRange(keyspaceId);
  const bounds =
    request.kind === "range"
      ? request.splitPoints.map((point) => storedKey(keyspace, point))
      : arcBoundaries(keyspaceId, shardCountOf(request));
  const starts = [whole.start, ...bounds];
  return starts.map((start, i) => ({ start, end: starts[i + 1] ?? whole.end }));
}

/**
 * The default keyspace bears the loss of as many nodes as the placement group does, as in etcd,
 * where every founder has all keys; and it grows with a cluster that one node has founded.
 */
function factorByDefault(state: PlacementState, name: string): number {
  if (name !== DEFAULT_KEYSPACE_NAME) return DEFAULT_REPLICATION_FACTOR;
  return Math.max(state.placementReplicas, DEFAULT_REPLICATION_FACTOR);
}

/** What is wanted and not yet possible comes as nodes are added; until then an odd number. */
export function replicaCountOn(nodeCount: number, replicationFactor: number): number {
  const odd = nodeCount % 2 === 0 ? nodeCount - 1 : nodeCount;
  return Math.min(replicationFactor, odd);
}

/** `factor` nodes in a row, each shard starting one further, so that first places go around. */
export function spread(nodes: readonly number[], at: number, factor: number): ReplicaDescriptor[] {
  const replicas: ReplicaDescriptor[] = [];
  for (let i = 0; i < factor; i++) {
    replicas.push({ replicaId: i + 1, nodeId: nodes[(at + i) % nodes.length]!, role: "voter" });
  }
  return replicas;
}
