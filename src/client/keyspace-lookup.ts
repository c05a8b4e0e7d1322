/**
 * Finding a keyspace that the client's map does not have. Any node's map will do to find it; that
 * it is not there is said by the placement group alone, since every other node may be behind, or
 * cut off. Before the cluster was founded it is waited for.
 */
import type { ByteWriter } from "../base/coding.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import type { MapRequest, MapResponse } from "../protocol/admin-messages.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { askPlacement } from "./any-node.js";
import { closedError } from "./session.js";
import type { Session } from "./session.js";

const POLL_MS = 50;
/** Into so many parts a call's time is cut, after each of which everybody is asked again. */
const CONFIRMATIONS = 3;
const CONFIRMED: MapRequest = { confirmed: true };

export async function findKeyspace(session: Session, name: string): Promise<KeyspaceDescriptor> {
  const { clock, timers } = session.env;
  const { requestTimeoutMs } = session.options;
  const endMs = clock.monotonicMs() + requestTimeoutMs;
  const shareMs = Math.ceil(requestTimeoutMs / CONFIRMATIONS);
  for (;;) {
    await session.refresh();
    const fault =
      session.map.keyspace(name) === undefined ? await confirmMap(session, shareMs) : undefined;
    const found = session.map.keyspace(name);
    if (found !== undefined) return found;
    if (session.closed) throw closedError();
    const isFounded = session.map.clusterMap.keyspaces.length > 0;
    if (fault === undefined && isFounded) {
      throw notApplied("keyspaceNotFound", `there is no keyspace named ${name}`);
    }
    if (clock.monotonicMs() > endMs) throw notServed(name, fault);
    await new Promise<void>((resolve) => timers.after(POLL_MS, resolve));
  }
}

/** Fetches the map as it is now; gives what kept the placement group from saying it. */
export async function confirmMap(
  session: Session,
  timeoutMs: number,
): Promise<KvError | undefined> {
  const request = {
    type: MESSAGE_TYPES.map,
    isRead: true,
    encode: (out: ByteWriter) => encodePlain(out, CONFIRMED),
    decode: decodePlain<MapResponse>,
  };
  try {
    await session.confirmations.join(async () => {
      session.take(await askPlacement(session, request, timeoutMs));
    });
    return undefined;
  } catch (error) {
    return KvError.from(error);
  }
}

function notServed(name: string, fault: KvError | undefined): KvError {
  if (fault === undefined) {
    return notApplied("unavailable", "the cluster has no keyspaces: it is not founded yet");
  }
  const text = `whether there is a keyspace named ${name} is not known: ${fault.message}`;
  return notApplied("unavailable", text);
}
