/**
 * etcd's Snapshot: the keyspace at its newest revision in the format of
 * `protocol/snapshot-format.ts`, in blobs of 32 KiB and at last its SHA-256. It is read page by
 * page while the client has room, so what it takes of memory is a page and a blob. How much remains
 * is an estimate by the size of the keys so far; 0 is certain.
 *
 * Where no majority answers it is what this side of the cluster has, as it is in etcd, but without
 * the TTLs of leases.
 */
import { KvError } from "../protocol/errors.js";
import { rangeOf } from "../protocol/operations.js";
import { SnapshotWriter } from "../protocol/snapshot-format.js";
import type { Backend, Consistency, RangeAnswer } from "./backend.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import { API_VERSION } from "./maintenance-service.js";
import { encodeMessage } from "./message-codec.js";
import { ETCD } from "./messages.js";
import { addLeases } from "./snapshot-leases.js";

const BLOB_BYTES: number = 32 * 1024;
const FRAME_BYTES: number = BLOB_BYTES + 64;
const RESPONSE = ETCD.message("etcdserverpb.SnapshotResponse");
const OPEN: Uint8Array = new Uint8Array([0]);
const EVERYTHING = rangeOf(OPEN, OPEN);

export async function* snapshotBlobs(backend: Backend): AsyncGenerator<Uint8Array, void> {
  const { consistency, revision, count } = await newest(backend);
  const writer = new SnapshotWriter({ revision, clusterId: backend.origin.clusterId });
  for await (const kv of backend.scan({ ...EVERYTHING, revision }, consistency)) {
    writer.add(kv);
    while (writer.waitingBytes >= BLOB_BYTES) {
      const blob = writer.take(BLOB_BYTES);
      yield frameOf(blob, remaining(writer, count));
    }
  }
  // Who leads nothing cannot say what leases there are.
  if (consistency === "linearizable") {
    const ttlOf = async (id: bigint): Promise<number> =>
      (await backend.leases.timeToLive(id, false)).grantedTtlSeconds;
    await addLeases(writer, ttlOf);
  }
  writer.finish();
  while (writer.waitingBytes > 0) {
    const blob = writer.take(BLOB_BYTES);
    yield frameOf(blob, writer.waitingBytes);
  }
  yield frameOf(writer.trailer(), 0);
}

async function newest(
  backend: Backend,
): Promise<Pick<RangeAnswer, "revision" | "count"> & { consistency: Consistency }> {
  const counting = { ...EVERYTHING, countOnly: true };
  try {
    const consistency = "linearizable";
    return { consistency, ...(await backend.range(counting, consistency)) };
  } catch (error) {
    const { code } = KvError.from(error);
    if (code !== "unavailable" && code !== "timeout") throw error;
    const consistency = "serializable";
    return { consistency, ...(await backend.range(counting, consistency)) };
  }
}

/** At least 1, for there is more to come. */
function remaining({ keys, writtenBytes, waitingBytes }: SnapshotWriter, count: number): number {
  const keysLeft = Math.max(0, count - keys);
  return Math.max(1, waitingBytes + Math.round((keysLeft * writtenBytes) / keys));
}

function frameOf(blob: Uint8Array, remainingBytes: number): Uint8Array {
  const out = beginFrame(FRAME_BYTES);
  encodeMessage(out, RESPONSE, {
    remaining_bytes: BigInt(remainingBytes),
    blob,
    version: API_VERSION,
  });
  return endFrame(out);
}
