/**
 * How a run begins: both sides at the same revision, with nothing stored and all before compacted.
 */
import { must } from "../../../src/base/assert.js";
import type { Message } from "../../../src/gateway/message-codec.js";
import { frameOf } from "../grpc-client.js";
import type { MethodName } from "./requests.js";
import type { GrpcReply, Pair, Side } from "./sides.js";

/** Where requests of a method go. */
export const SERVICES: Readonly<Record<MethodName, readonly [grpc: string, json: string]>> = {
  Range: ["KV/Range", "/kv/range"],
  Put: ["KV/Put", "/kv/put"],
  DeleteRange: ["KV/DeleteRange", "/kv/deleterange"],
  Txn: ["KV/Txn", "/kv/txn"],
  Compaction: ["KV/Compact", "/kv/compaction"],
  LeaseGrant: ["Lease/LeaseGrant", "/lease/grant"],
  LeaseRevoke: ["Lease/LeaseRevoke", "/lease/revoke"],
  LeaseTimeToLive: ["Lease/LeaseTimeToLive", "/lease/timetolive"],
  LeaseLeases: ["Lease/LeaseLeases", "/lease/leases"],
};

const EVERYTHING: Message = { key: Uint8Array.of(0), range_end: Uint8Array.of(0) };
const PADDING: Message = { key: Uint8Array.of(0x70) };
/** Gives the revision at which both sides stand. */
export async function begin({ theirs, ours }: Pair): Promise<bigint> {
  const sides = [theirs, ours];
  await Promise.all(sides.map(endLeases));
  const look = (): Promise<bigint[]> =>
    Promise.all(sides.map((side) => change(side, "DeleteRange", EVERYTHING)));
  let revisions = await look();
  while (revisions[0] !== revisions[1]) {
    const newest = revisions.reduce((a, b) => (a > b ? a : b));
    for (const [i, side] of sides.entries()) {
      for (let at = must(revisions[i]); at <= newest; at++) await change(side, "Put", PADDING);
    }
    revisions = await look();
  }
  const base = must(revisions[0]);
  // It fails where the run before has compacted as much.
  await Promise.all(sides.map((side) => call(side, "Compaction", { revision: base })));
  return base;
}

async function endLeases(side: Side): Promise<void> {
  const { response } = await call(side, "LeaseLeases", {});
  const leases = (must(response)["leases"] ?? []) as readonly Message[];
  for (const { ID } of leases) await call(side, "LeaseRevoke", { ID });
}

/** Gives the revision after it. */
async function change(side: Side, method: MethodName, request: Message): Promise<bigint> {
  const { status, message, response } = await call(side, method, request);
  if (status !== 0) throw new Error(`${side.address}: ${method}: ${status} ${message}`);
  return revisionOf(must(response));
}

export function call(side: Side, method: MethodName, request: Message): Promise<GrpcReply> {
  return side.grpc(SERVICES[method][0], method, frameOf(`${method}Request`, request));
}

/** Of the header. */
export function revisionOf(response: Message): bigint {
  return (response["header"] as { readonly revision: bigint }).revision;
}
