/**
 * The second half of a physical compaction: each node that holds the shards, and can be reached, is
 * waited for until its replicas have applied the compaction, and has then what nobody can read any
 * more dropped from its disk.
 */
import type { ShardDescriptor } from "../protocol/cluster.js";
import { KvError } from "../protocol/errors.js";
import type { Admin } from "./admin.js";
import type { Session } from "./session.js";

/** More than a node takes at most. */
const TIMEOUT_MS = 30_000;
const LOOK_INTERVAL_MS = 20;

export interface Compacted {
  readonly shards: readonly ShardDescriptor[];
  readonly revision: number;
}

/** Rejects where no node at all could be reached. */
export async function giveBack(session: Session, admin: Admin, what: Compacted): Promise<void> {
  const nodeIds = new Set(what.shards.flatMap(({ replicas }) => replicas.map((one) => one.nodeId)));
  const addresses = [...nodeIds].flatMap((id) => session.addressOf(id) ?? []);
  const told = await Promise.allSettled(
    addresses.map(async (address) => {
      await untilApplied(session, admin, { ...what, address });
      await admin.defragment(address, TIMEOUT_MS);
    }),
  );
  if (told.some(({ status }) => status === "fulfilled")) return;
  const text = "the history is compacted, but no node was reached that could drop it from disk";
  throw new KvError("unavailable", text, "unknown");
}

/** A replica that lags longer than a request may take is left to itself. */
async function untilApplied(
  session: Session,
  admin: Admin,
  { shards, revision, address }: Compacted & { readonly address: string },
): Promise<void> {
  const { env, options } = session;
  const endMs = env.clock.monotonicMs() + options.requestTimeoutMs;
  const wanted = new Set(shards.map(({ shardId }) => shardId));
  while (env.clock.monotonicMs() < endMs) {
    const { replicas } = await admin.status(address);
    const lags = replicas.some(
      (one) => wanted.has(one.shardId) && one.compactedRevision < revision,
    );
    if (!lags) return;
    await new Promise<void>((resolve) => env.timers.after(LOOK_INTERVAL_MS, resolve));
  }
}
