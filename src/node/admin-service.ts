/** Answers clients' requests that are not about data: map, status, health, keyspaces, leaders. */
import { must } from "../base/assert.js";
import type { ByteWriter } from "../base/coding.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import type {
  FollowerStatus,
  HashRequest,
  HashResponse,
  HealthResponse,
  KeyspaceCreateRequest,
  MapRequest,
  MapResponse,
  MoveLeaderRequest,
  ReplicaStatus,
  StatusResponse,
} from "../protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { AlarmKind } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import type { StorageStatus } from "../protocol/storage-status.js";
import type { Replica } from "../shard/replica.js";
import type { AdminRequest } from "./client-session.js";
import { defragment } from "./defragment.js";
import { confirmedRevision } from "./internal-requests.js";
import type { NodeParts } from "./node-parts.js";
import { command } from "./peer-requests.js";
import { SOFTWARE_VERSION } from "./software-version.js";
import { storageOf } from "./storage-status.js";

const PLACEMENT_TIMEOUT_MS = 5000;
const MOVE_POLL_MS = 10;

export function serveAdmin(node: NodeParts, request: AdminRequest): void {
  const { reader } = request;
  switch (request.type) {
    case MESSAGE_TYPES.map:
      if (reader.remaining === 0) return plain(request, mapOf(node));
      return reply(request, mapAsked(node, decodePlain<MapRequest>(reader)));
    case MESSAGE_TYPES.status:
      return plain(request, statusOf(node));
    case MESSAGE_TYPES.health:
      return reply(request, healthOf(node));
    case MESSAGE_TYPES.sequence:
      return sequence(node, request, reader.u32());
    case MESSAGE_TYPES.keyspaceCreate: {
      const wanted = decodePlain<KeyspaceCreateRequest>(reader);
      return reply(request, command(node, { kind: "createKeyspace", request: wanted }));
    }
    case MESSAGE_TYPES.memberAdd:
      return reply(request, command(node, { kind: "addMember", request: decodePlain(reader) }));
    case MESSAGE_TYPES.memberRemove:
      return reply(request, command(node, { kind: "removeMember", request: decodePlain(reader) }));
    case MESSAGE_TYPES.memberPromote:
      return reply(request, command(node, { kind: "promoteMember", request: decodePlain(reader) }));
    case MESSAGE_TYPES.memberUpdate:
      return reply(request, command(node, { kind: "updateMember", request: decodePlain(reader) }));
    case MESSAGE_TYPES.replicaChange:
      return reply(request, command(node, { kind: "changeReplica", request: decodePlain(reader) }));
    case MESSAGE_TYPES.alarmChange:
      return reply(request, command(node, { kind: "changeAlarm", request: decodePlain(reader) }));
    case MESSAGE_TYPES.moveLeader:
      return reply(request, moveLeader(node, decodePlain<MoveLeaderRequest>(reader)));
    case MESSAGE_TYPES.hash:
      return hash(node, request, decodePlain<HashRequest>(reader));
    case MESSAGE_TYPES.defragment:
      return reply(request, defragment(node));
    case MESSAGE_TYPES.backupOpen:
      return reply(request, node.backups.open(decodePlain(reader)));
    case MESSAGE_TYPES.backupRead:
      return reply(request, node.backups.read(decodePlain(reader)));
    case MESSAGE_TYPES.backupRelease:
      return plain(request, node.backups.release(decodePlain(reader)));
    default:
      return request.refuse(notApplied("unsupported", `no request of type ${request.type}`));
  }
}

function mapOf(node: NodeParts): MapResponse {
  return { clusterMap: node.view.map, leaders: node.view.leaders };
}

/** Confirmed: the placement leader's own map, after a majority has said that it leads. */
async function mapAsked(node: NodeParts, { confirmed }: MapRequest): Promise<MapResponse> {
  if (confirmed !== true) return mapOf(node);
  const { clusterMap } = await command(node, { kind: "confirmMap" });
  return { clusterMap: must(clusterMap, "the map that was confirmed"), leaders: node.view.leaders };
}

function statusOf(node: NodeParts): StatusResponse {
  const log = node.store.log.stats();
  const store = node.store.stats();
  const replicas = [...node.host.replicas].map(replicaStatus);
  const storage = storageOf(node, { log, store, replicas });
  return {
    clusterId: node.identity.clusterId,
    nodeId: node.nodeId,
    name: node.identity.name,
    version: SOFTWARE_VERSION,
    run: node.store.run,
    uptimeMs: Math.round(node.env.clock.monotonicMs() - node.startedMs),
    storedBytes: store.sizeBytes + log.sizeBytes,
    replicas,
    alarms: alarmsOf(node, storage),
    quotaBytes: node.quotaBytes,
    logSyncs: { micros: log.syncMicros, totalMs: log.syncTotalMs },
    storeCommits: { micros: store.commitMicros, totalMs: store.commitTotalMs },
    storage,
  };
}

function alarmsOf(node: NodeParts, { obstacles }: StorageStatus): readonly AlarmKind[] {
  const alarms: AlarmKind[] = [];
  if (obstacles.diskFull) alarms.push("noSpace");
  if (node.host.damagedShards.size > 0) alarms.push("corrupt");
  return alarms;
}

function replicaStatus(replica: Replica): ReplicaStatus {
  const { raft, machine } = replica;
  return {
    shardId: replica.shardId,
    keyspaceId: replica.keyspaceId,
    replicaId: replica.replicaId,
    role: roleOf(replica),
    leaderNodeId: replica.leaderNodeId,
    term: raft.term,
    commitIndex: raft.commitIndex,
    appliedIndex: raft.appliedIndex,
    revision: machine.revision,
    closedRevision: machine.closedRevision,
    compactedRevision: machine.compactedRevision,
    storedBytes: replica.tree.heldBytes(),
    usedBytes: replica.tree.usedBytes(machine.compactedRevision),
    leaderChanges: replica.leaderChanges,
    writesInFlight: replica.writes.inFlightCount,
    writesFailed: replica.writes.failedCount,
    followers: raft.role === "leader" ? followersOf(replica) : undefined,
  };
}

function roleOf({ raft, replicaId }: Replica): ReplicaStatus["role"] {
  if (raft.role === "preCandidate") return "candidate";
  const learns = raft.role === "follower" && raft.configuration.learners.includes(replicaId);
  return learns ? "learner" : raft.role;
}

function followersOf({ raft, descriptor }: Replica): FollowerStatus[] {
  const ids = [...descriptor.replicas, ...(descriptor.target ?? [])].map((one) => one.replicaId);
  return [...new Set(ids)].flatMap((replicaId) => {
    const progress = raft.progress(replicaId);
    if (progress === undefined) return [];
    return [{ replicaId, matchIndex: progress.matchIndex, state: progress.state }];
  });
}

/** Healthy: all replicas are sound and have leaders, writes are taken, a read is confirmed now. */
async function healthOf(node: NodeParts): Promise<HealthResponse> {
  const reasons: string[] = [];
  for (const replica of node.host.replicas) {
    if (replica.leaderNodeId === 0) reasons.push(`shard ${replica.shardId} has no leader`);
  }
  for (const [shardId, reason] of node.host.damagedShards) {
    reasons.push(`this node's replica of shard ${shardId} is damaged: ${reason}`);
  }
  const refusal = node.writeRefusal();
  if (refusal !== undefined) reasons.push(refusal.message);
  for (const { name, alarms = [] } of node.view.map.nodes) {
    for (const kind of alarms)
      reasons.push(`the alarm ${kind.toUpperCase()} is raised for ${name}`);
  }
  for (const { memberId, kind } of node.view.map.strayAlarms ?? []) {
    reasons.push(`the alarm ${kind.toUpperCase()} is raised for ${memberId}, which is no member`);
  }
  for (const replica of node.host.replicas) {
    if (!replica.leads) continue;
    try {
      await confirmedRevision(replica);
    } catch (error) {
      reasons.push(`shard ${replica.shardId}: ${KvError.from(error).message}`);
    }
  }
  return { healthy: reasons.length === 0, reasons };
}

/** Of this node's replica, that two of them can be compared. */
function hash(node: NodeParts, request: AdminRequest, asked: HashRequest): void {
  const { shardId, revision } = asked;
  if (!Number.isSafeInteger(revision) || revision < 0) {
    return request.refuse(notApplied("malformed", "a revision is a whole number, 0 or more"));
  }
  const replica = node.host.replica(shardId);
  if (replica === undefined) {
    const text = `this node holds no replica of shard ${shardId}`;
    return request.refuse(notApplied("shardNotFound", text));
  }
  replica.hash(revision, (outcome) => {
    if (outcome instanceof KvError) return request.refuse(outcome);
    const answer: HashResponse = {
      hash: outcome.value,
      revision: outcome.revision,
      compactedRevision: outcome.compactedRevision,
      appliedRevision: replica.machine.revision,
    };
    return plain(request, answer);
  });
}

/** The newest revision of a keyspace: of its sequencer, or of its one shard. */
function sequence(node: NodeParts, request: AdminRequest, keyspaceId: number): void {
  const keyspace = node.view.keyspace(keyspaceId);
  if (keyspace === undefined || keyspaceId === SYSTEM_KEYSPACE_ID) {
    return request.refuse(notApplied("keyspaceNotFound", `there is no keyspace ${keyspaceId}`));
  }
  const done = (revision: number | KvError): void => {
    if (revision instanceof KvError) request.refuse(revision);
    else request.answer((out: ByteWriter) => out.u53(revision));
  };
  if (!keyspace.dense) return node.revisions.allocate({ keyspaceId, count: 0 }, done);
  const shard = node.view.map.shards.find((each) => each.keyspaceId === keyspaceId);
  const replica = shard === undefined ? undefined : node.host.replica(shard.shardId);
  if (replica === undefined) {
    const leaderNodeId = shard === undefined ? 0 : node.view.leaderOf(shard.shardId);
    return done(notApplied("notLeader", "the keyspace's shard is elsewhere", { leaderNodeId }));
  }
  confirmedRevision(replica).then(done, (error: unknown) => done(KvError.from(error)));
}

/** Resolves when the shard is led where it was asked to be. */
async function moveLeader(
  node: NodeParts,
  { shardId, nodeId }: MoveLeaderRequest,
): Promise<object> {
  if (shardId === PLACEMENT_SHARD_ID) {
    throw notApplied("invalidArgument", "the placement group's leader is not moved by hand");
  }
  await command(node, { kind: "moveLeader", shardId, nodeId });
  const deadlineMs = node.env.clock.monotonicMs() + PLACEMENT_TIMEOUT_MS;
  while (node.view.leaderOf(shardId) !== nodeId) {
    if (node.env.clock.monotonicMs() > deadlineMs) {
      throw new KvError("timeout", "the leadership did not move in time", "unknown");
    }
    await new Promise<void>((resolve) => {
      node.env.timers.after(MOVE_POLL_MS, resolve);
    });
  }
  return {};
}

function plain(request: AdminRequest, value: object): void {
  request.answer((out) => encodePlain(out, value));
}

function reply(request: AdminRequest, work: Promise<object>): void {
  work.then(
    (value) => plain(request, value),
    (error: unknown) => request.refuse(KvError.from(error)),
  );
}
