/**
 * Streams a tree to a replica that lags behind the log: its files as they are, in chunks, over the
 * connection for bulk data, so that no heartbeat waits behind them. One transfer a shard and target
 * at a time; the core asks again after a failure, and the next try leaves out what has arrived.
 */
import { SNAPSHOT_CHUNK_SIZE_BYTES } from "../base/limits.js";
import type { ByteWriter } from "../base/coding.js";
import { decodeConfiguration } from "../raft/configuration-codec.js";
import type { TreeCheckpoint } from "../store/tree-checkpoint.js";
import { encodeSnapshotChunk } from "./snapshot-messages.js";
import type { SnapshotAnswer, SnapshotBegin, SnapshotEnd } from "./snapshot-messages.js";

/** Requests on the bulk connection to a node. */
export interface BulkTransport {
  snapshotBegin(nodeId: number, begin: SnapshotBegin): Promise<SnapshotAnswer>;
  snapshotChunk(nodeId: number, encode: (out: ByteWriter) => void): Promise<SnapshotAnswer>;
  snapshotEnd(nodeId: number, end: SnapshotEnd): Promise<SnapshotAnswer>;
}

/** The files to send, as they are. */
export type SnapshotSource = Pick<TreeCheckpoint, "state" | "files" | "readChunk">;

export interface SnapshotTarget {
  readonly shardId: number;
  readonly nodeId: number;
  readonly fromReplica: number;
  readonly toReplica: number;
  readonly term: number;
}

/** Chunks of a transfer that are on their way at once: the next one is read meanwhile. */
const CHUNKS_IN_FLIGHT = 8;

interface ChunkPlace {
  readonly fileIndex: number;
  readonly offset: number;
}

/** Sends one snapshot; resolves when it is taken in whole, rejects when it is not. */
export async function sendSnapshot(
  source: SnapshotSource,
  bulk: BulkTransport,
  target: SnapshotTarget,
  transfer: number,
): Promise<void> {
  const { shardId, nodeId, fromReplica, toReplica, term } = target;
  const { state, files } = source;
  const begin = { shardId, transfer, fromReplica, toReplica, term, state, files };
  const { received } = accepted(await bulk.snapshotBegin(nodeId, begin));
  const places = placesOf(files, received);
  const send = async (): Promise<void> => {
    // Leaving the loop by an error ends the generator, so that all others end with it.
    for (const { fileIndex, offset } of places) {
      const bytes = source.readChunk(fileIndex, offset, SNAPSHOT_CHUNK_SIZE_BYTES);
      const chunk = { shardId, transfer, fileIndex, offset, bytes };
      accepted(await bulk.snapshotChunk(nodeId, (out) => encodeSnapshotChunk(out, chunk)));
    }
  };
  await Promise.all(Array.from({ length: CHUNKS_IN_FLIGHT }, send));
  accepted(await bulk.snapshotEnd(nodeId, { shardId, transfer }));
}

/** Where the chunks of all files begin, but for those that an earlier try has brought. */
function* placesOf(
  files: SnapshotSource["files"],
  received: readonly number[] | undefined,
): Generator<ChunkPlace> {
  for (const [fileIndex, { file }] of files.entries()) {
    for (
      let offset = received?.[fileIndex] ?? 0;
      offset < file.sizeBytes;
      offset += SNAPSHOT_CHUNK_SIZE_BYTES
    ) {
      yield { fileIndex, offset };
    }
  }
}

/** The configuration inside a checkpoint's state, as the core's message carries it. */
export function configurationOf(state: {
  readonly configuration: Uint8Array;
}): ReturnType<typeof decodeConfiguration> {
  return decodeConfiguration(state.configuration);
}

function accepted(answer: SnapshotAnswer): SnapshotAnswer {
  if (answer.refused !== undefined) throw new Error(`snapshot refused: ${answer.refused}`);
  return answer;
}
