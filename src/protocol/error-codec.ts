/**
 * Errors and the shard descriptors they carry.
 *
 *   error: u16 code | u8 outcome (0 notApplied, 1 unknown) | text message | u8 which details
 *     (1 leader, 2 bound, 4 shards) | [u53 leaderNodeId] | [u53 bound] | [u32 count, descriptors]
 *   descriptor: u32 shardId | u32 keyspaceId | blob start | u8 hasEnd | [blob end]
 *     | u32 configuration | u32 range | u53 generation | u53 preferredNodeId
 *     | u32 count, each u53 replicaId, u53 nodeId, u8 role (0 voter, 1 learner)
 */
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { ReplicaDescriptor, ShardDescriptor } from "./cluster.js";
import { ERROR_CODES, KvError } from "./errors.js";
import type { ErrorCode, ErrorDetails } from "./errors.js";

const HAS_LEADER = 1;
const HAS_BOUND = 2;
const HAS_SHARDS = 4;

const CODE_BY_NUMBER: ReadonlyMap<number, ErrorCode> = new Map(
  (Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [ERROR_CODES[code], code]),
);

export function encodeError(out: ByteWriter, error: KvError): void {
  const { leaderNodeId, bound, shards } = error.details;
  out.u16(ERROR_CODES[error.code]);
  out.u8(error.outcome === "notApplied" ? 0 : 1);
  out.text(error.message);
  out.u8(
    (leaderNodeId === undefined ? 0 : HAS_LEADER) |
      (bound === undefined ? 0 : HAS_BOUND) |
      (shards === undefined ? 0 : HAS_SHARDS),
  );
  if (leaderNodeId !== undefined) out.u53(leaderNodeId);
  if (bound !== undefined) out.u53(bound);
  if (shards === undefined) return;
  out.u32(shards.length);
  for (const shard of shards) encodeShardDescriptor(out, shard);
}

/** A code of a later version reads as `internal`; its outcome is kept. */
export function decodeError(reader: ByteReader): KvError {
  const code = CODE_BY_NUMBER.get(reader.u16()) ?? "internal";
  const outcome = reader.u8() === 0 ? "notApplied" : "unknown";
  const message = reader.text();
  return new KvError(code, message, outcome, decodeDetails(reader));
}

export function encodeShardDescriptor(out: ByteWriter, shard: ShardDescriptor): void {
  out.u32(shard.shardId);
  out.u32(shard.keyspaceId);
  out.blob(shard.range.start);
  out.u8(shard.range.end === undefined ? 0 : 1);
  if (shard.range.end !== undefined) out.blob(shard.range.end);
  out.u32(shard.epoch.configuration);
  out.u32(shard.epoch.range);
  out.u53(shard.generation);
  out.u53(shard.preferredNodeId);
  out.u32(shard.replicas.length);
  for (const replica of shard.replicas) {
    out.u53(replica.replicaId);
    out.u53(replica.nodeId);
    out.u8(replica.role === "voter" ? 0 : 1);
  }
}

export function decodeShardDescriptor(reader: ByteReader): ShardDescriptor {
  const shardId = reader.u32();
  const keyspaceId = reader.u32();
  const start = reader.blobCopy();
  const end = reader.u8() === 0 ? undefined : reader.blobCopy();
  const epoch = { configuration: reader.u32(), range: reader.u32() };
  const generation = reader.u53();
  const preferredNodeId = reader.u53();
  const replicas: ReplicaDescriptor[] = [];
  for (let left = reader.u32(); left > 0; left--) replicas.push(decodeReplica(reader));
  const range = { start, end };
  return { shardId, keyspaceId, range, epoch, generation, replicas, preferredNodeId };
}

function decodeReplica(reader: ByteReader): ReplicaDescriptor {
  const replicaId = reader.u53();
  const nodeId = reader.u53();
  const role = reader.u8();
  if (role > 1) throw new DecodeError("an unknown role of a replica");
  return { replicaId, nodeId, role: role === 0 ? "voter" : "learner" };
}

function decodeDetails(reader: ByteReader): ErrorDetails {
  const which = reader.u8();
  const leaderNodeId = (which & HAS_LEADER) === 0 ? undefined : reader.u53();
  const bound = (which & HAS_BOUND) === 0 ? undefined : reader.u53();
  if ((which & HAS_SHARDS) === 0) return { leaderNodeId, bound };
  const shards: ShardDescriptor[] = [];
  for (let left = reader.u32(); left > 0; left--) shards.push(decodeShardDescriptor(reader));
  return { leaderNodeId, bound, shards };
}
