/**
 * What passes between two nodes when a lagging replica is given a Raft snapshot: a begin that
 * describes the files, chunks, and an end that installs. The answer to each is a plain object. A
 * try that broke off is gone on with: the answer to the next begin says what is there already.
 *
 *   chunk = u32 shardId | u32 transfer | u32 fileIndex | u53 offset | u32 crc | bytes
 */
import { crc32 } from "../base/checksum.js";
import { DecodeError } from "../base/coding.js";
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { FlushedState } from "../lsm/entry.js";
import type { Message } from "../raft/message.js";
import type { CheckpointFile } from "../store/tree-checkpoint.js";
import type { TreeInstall } from "../store/tree-install.js";

export interface SnapshotBegin {
  readonly shardId: number;
  /** Chosen by the sender, so that chunks of an older try are told apart. */
  readonly transfer: number;
  readonly fromReplica: number;
  readonly toReplica: number;
  readonly term: number;
  readonly state: FlushedState;
  readonly files: readonly CheckpointFile[];
}

export interface SnapshotEnd {
  readonly shardId: number;
  readonly transfer: number;
}

/** Whether two tries send the same bytes: files never change, and their numbers are used once. */
export function isSameSnapshot(a: SnapshotBegin, b: SnapshotBegin): boolean {
  return (
    a.fromReplica === b.fromReplica &&
    a.toReplica === b.toReplica &&
    a.state.index === b.state.index &&
    a.state.term === b.state.term &&
    a.files.length === b.files.length &&
    a.files.every(({ file }, i) => isSameFile(file, b.files[i]!.file))
  );
}

function isSameFile(a: CheckpointFile["file"], b: CheckpointFile["file"]): boolean {
  return a.fileNumber === b.fileNumber && a.sizeBytes === b.sizeBytes && a.checksum === b.checksum;
}

/** A snapshot that lies whole on this disk and is not yet the tree. */
export interface StagedSnapshot {
  readonly message: Message;
  readonly state: FlushedState;
  readonly files: readonly CheckpointFile[];
  readonly install: TreeInstall;
}

/** `refused` says why the receiver does not want it. */
export interface SnapshotAnswer {
  readonly refused?: string | undefined;
  /** To a begin: how many bytes of each file an earlier try has brought, from its beginning on. */
  readonly received?: readonly number[] | undefined;
}

export interface SnapshotChunk {
  readonly shardId: number;
  readonly transfer: number;
  readonly fileIndex: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export function encodeSnapshotChunk(out: ByteWriter, chunk: SnapshotChunk): void {
  out.u32(chunk.shardId);
  out.u32(chunk.transfer);
  out.u32(chunk.fileIndex);
  out.u53(chunk.offset);
  out.u32(crc32(chunk.bytes));
  out.raw(chunk.bytes);
}

/** `bytes` of the result is a view. Throws DecodeError where the checksum does not hold. */
export function decodeSnapshotChunk(reader: ByteReader): SnapshotChunk {
  const shardId = reader.u32();
  const transfer = reader.u32();
  const fileIndex = reader.u32();
  const offset = reader.u53();
  const checksum = reader.u32();
  const bytes = reader.rawView(reader.remaining);
  if (crc32(bytes) !== checksum) throw new DecodeError("a snapshot chunk was damaged on its way");
  return { shardId, transfer, fileIndex, offset, bytes };
}
