/**
 * etcd's Snapshot: the keyspace at its newest revision as a file of etcd's (snapshot/), in blobs of
 * 32 KiB and at last its SHA-256. It is read while the client has room, and nothing is sent before
 * all of it was read once.
 *
 * Where no majority answers it is what this side of the cluster has, as it is in etcd, but without
 * leases.
 */
import { FIRST_KEY } from "../base/key-range.js";
import { SHA256_BYTES } from "../base/sha256.js";
import type { Timers } from "../env/timers.js";
import { KvError } from "../protocol/errors.js";
import { rangeOf } from "../protocol/operations.js";
import type { Backend, Consistency } from "./backend.js";
import { beginFrame, endFrame } from "./grpc-frames.js";
import type { LeaseBackend } from "./lease-backend.js";
import { API_VERSION } from "./maintenance-service.js";
import { encodeMessage } from "./message-codec.js";
import { ETCD } from "./messages.js";
import type { LeaseSource } from "./snapshot/snapshot-leases.js";
import { SnapshotPlan } from "./snapshot/snapshot-plan.js";

const BLOB_BYTES: number = 32 * 1024;
const FRAME_BYTES: number = BLOB_BYTES + 64;
const RESPONSE = ETCD.message("etcdserverpb.SnapshotResponse");
/** As the end of a range, the first key says that there is none. */
const EVERYTHING = rangeOf(FIRST_KEY, FIRST_KEY);

export async function* snapshotBlobs(
  backend: Backend,
  timers: Timers,
): AsyncGenerator<Uint8Array, void> {
  const { consistency, revision } = await newest(backend);
  const plan = await SnapshotPlan.make({
    revision,
    rows: () => backend.scan({ ...EVERYTHING, revision }, consistency),
    // Who leads nothing cannot say what leases there are.
    leases: consistency === "linearizable" ? leasesOf(backend.leases) : undefined,
    pause: () => new Promise((resolve) => timers.after(0, resolve)),
  });
  let remaining = plan.fileBytes + SHA256_BYTES;
  for await (const blob of plan.pieces(BLOB_BYTES)) {
    remaining -= blob.length;
    yield frameOf(blob, remaining);
  }
}

function leasesOf(backend: LeaseBackend): LeaseSource {
  return {
    ids: () => backend.list().then(({ ids }) => ids, noneWhereUnsupported),
    ttlOf: async (id) => (await backend.timeToLive(id, false)).grantedTtlSeconds,
  };
}

/** A keyspace that cannot have leases has none. */
function noneWhereUnsupported(error: unknown): readonly bigint[] {
  if (KvError.from(error).code === "unsupported") return [];
  throw error;
}

async function newest(
  backend: Backend,
): Promise<{ readonly revision: number; readonly consistency: Consistency }> {
  const counting = { ...EVERYTHING, countOnly: true };
  try {
    const consistency = "linearizable";
    return { consistency, revision: (await backend.range(counting, consistency)).revision };
  } catch (error) {
    const { code } = KvError.from(error);
    if (code !== "unavailable" && code !== "timeout") throw error;
    const consistency = "serializable";
    return { consistency, revision: (await backend.range(counting, consistency)).revision };
  }
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
