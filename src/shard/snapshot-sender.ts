/**
 * Streams a tree to a replica that lags behind the log: its files as they are, in chunks, over the
 * connection for bulk data, so that no heartbeat waits behind them. One transfer a shard and target
 * at a time; the core asks again after a failure.
 */
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../base/limits.js";
import type { ByteWriter } from "../base/coding.js";
import { decodeConfiguration } from "../raft/configuration-codec.js";
import type { Store } from "../store/store.js";
import type { TreeCheckpoint } from "../store/tree-checkpoint.js";
import { encodeSnapshotChunk } from "./snapshot-messages.js";
import type { SnapshotAnswer, SnapshotBegin, SnapshotEnd } from "./snapshot-messages.js";

/** Requests on the bulk connection to a node. */
export interface BulkTransport {
  snapshotBegin(nodeId: number, begin: SnapshotBegin): Promise<SnapshotAnswer>;
  snapshotChunk(nodeId: number, encode: (out: ByteWriter) => void): Promise<SnapshotAnswer>;
  snapshotEnd(nodeId: number, end: SnapshotEnd): Promise<SnapshotAnswer>;
}

export interface SnapshotTarget {
  readonly shardId: number;
  readonly nodeId: number;
  readonly fromReplica: number;
  readonly toReplica: number;
  readonly term: number;
}

/** Sends one snapshot; resolves when it is installed, rejects when it is not. */
export async function sendSnapshot(
  store: Store,
  bulk: BulkTransport,
  target: SnapshotTarget,
  transfer: number,
): Promise<void> {
  const checkpoint = await store.checkpointTree(target.shardId);
  try {
    const begin = await bulk.snapshotBegin(target.nodeId, {
      shardId: target.shardId,
      transfer,
      fromReplica: target.fromReplica,
      toReplica: target.toReplica,
      term: target.term,
      state: checkpoint.state,
      files: checkpoint.files,
    });
    accepted(begin);
    for (let i = 0; i < checkpoint.files.length; i++) {
      await sendFile(bulk, target, transfer, { checkpoint, fileIndex: i });
    }
    const { shardId } = target;
    accepted(await bulk.snapshotEnd(target.nodeId, { shardId, transfer }));
  } finally {
    checkpoint.release();
  }
}

async function sendFile(
  bulk: BulkTransport,
  target: SnapshotTarget,
  transfer: number,
  part: { readonly checkpoint: TreeCheckpoint; readonly fileIndex: number },
): Promise<void> {
  const { checkpoint, fileIndex } = part;
  const { sizeBytes } = checkpoint.files[fileIndex]!.file;
  const { shardId } = target;
  for (let offset = 0; offset < sizeBytes; offset += SNAPSHOT_CHUNK_SIZE_BYTES) {
    const bytes = checkpoint.readChunk(fileIndex, offset, SNAPSHOT_CHUNK_SIZE_BYTES);
    const chunk = { shardId, transfer, fileIndex, offset, bytes };
    accepted(await bulk.snapshotChunk(target.nodeId, (out) => encodeSnapshotChunk(out, chunk)));
  }
}

/** The configuration inside a checkpoint's state, as the core's message carries it. */
export function configurationOf(state: {
  readonly configuration: Uint8Array;
}): ReturnType<typeof decodeConfiguration> {
  return decodeConfiguration(state.configuration);
}

function accepted(answer: SnapshotAnswer): void {
  if (answer.refused !== undefined) throw new Error(`snapshot refused: ${answer.refused}`);
}
