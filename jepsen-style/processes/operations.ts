/**
 * What the harness orders of a cluster as an operator does, step by step, until it is done or its
 * time is up. What the cluster does not take for now is asked for again; what nobody answered may
 * have been done, so each step looks at the map first.
 */
import type { ReplicaAction } from "../../src/protocol/admin-messages.js";
import type { ClusterMap, NodeDescriptor } from "../../src/protocol/cluster.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Cluster } from "./cluster.js";

export const POLL_MS = 250;

/** An order that the cluster did not take, or of which nobody heard: it changes nothing here. */
export function refused(error: unknown): undefined {
  if (!(error instanceof KvError)) throw error;
  return undefined;
}

/** Until it says so; false where that takes too long. */
export async function until(
  isDone: () => Promise<boolean> | boolean,
  patienceMs: number,
): Promise<boolean> {
  const end = performance.now() + patienceMs;
  while (!(await isDone())) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return true;
}

export async function mapNow({ observer }: Cluster): Promise<ClusterMap | undefined> {
  return (await observer.admin.map().catch(refused))?.clusterMap;
}

/** Who can be given replicas that vote. */
export function isSettled({ incarnation, state, learner }: NodeDescriptor): boolean {
  return incarnation !== "" && state === undefined && learner !== true;
}

/** The node is known as started, to whomever is asked. */
export function untilStarted(cluster: Cluster, name: string, patienceMs: number): Promise<boolean> {
  return until(async () => {
    const found = (await mapNow(cluster))?.nodes.find((each) => each.name === name);
    return found !== undefined && found.incarnation !== "" && found.clientAddress !== "";
  }, patienceMs);
}

/** Lets a node leave, and waits until it is gone from the map. */
export function untilGone(cluster: Cluster, nodeId: number, patienceMs: number): Promise<boolean> {
  return until(async () => {
    const map = await mapNow(cluster);
    const member = map?.nodes.find((each) => each.nodeId === nodeId);
    if (map !== undefined && member === undefined) return true;
    if (member?.state === undefined)
      await cluster.observer.admin.removeMember(nodeId).catch(refused);
    return false;
  }, patienceMs);
}

/** Adds a node; gives its id. */
export async function untilAdded(
  cluster: Cluster,
  member: { readonly name: string; readonly learner: boolean },
  patienceMs: number,
): Promise<number | undefined> {
  const { name } = member;
  const peerAddress = cluster.advertised(name).peer;
  let nodeId: number | undefined;
  await until(async () => {
    const map = await mapNow(cluster);
    nodeId = map?.nodes.find((each) => each.name === name)?.nodeId;
    if (nodeId !== undefined) return true;
    const added = await cluster.observer.admin.addMember({ ...member, peerAddress }).catch(refused);
    nodeId = added?.nodeId;
    return nodeId !== undefined;
  }, patienceMs);
  return nodeId;
}

export interface Move {
  readonly shardId: number;
  /** Whose voter goes; undefined: nobody's. */
  readonly from: number | undefined;
  readonly to: number;
}

/** "void": one of the nodes or the shard is not there any more. */
export type Moved = "done" | "void" | "late";

/** Adds a learner, promotes it, and removes a voter, by hand. */
export async function moveReplica(
  cluster: Cluster,
  move: Move,
  patienceMs: number,
): Promise<Moved> {
  let step = "wait" as NextChange;
  await until(async () => {
    const map = await mapNow(cluster);
    step = map === undefined ? "wait" : nextChange(map, move);
    if (step === "done" || step === "void") return true;
    if (step === "wait") return false;
    const nodeId = step === "remove" ? move.from : move.to;
    const request = { shardId: move.shardId, action: step, nodeId: nodeId ?? move.to };
    await cluster.observer.admin.changeReplica(request).catch(refused);
    return false;
  }, patienceMs);
  return step === "done" || step === "void" ? step : "late";
}

type NextChange = ReplicaAction | "done" | "void" | "wait";

export function nextChange(map: ClusterMap, { shardId, from, to }: Move): NextChange {
  const shard = map.shards.find((each) => each.shardId === shardId);
  const taker = map.nodes.find(({ nodeId }) => nodeId === to);
  if (shard === undefined || taker === undefined || !isSettled(taker)) return "void";
  if (shard.target !== undefined) return "wait";
  const taken = shard.replicas.find(({ nodeId }) => nodeId === to);
  if (taken === undefined) return "add";
  if (taken.leaving === true) return "wait";
  if (taken.role === "learner") return "promote";
  const given = shard.replicas.find(({ nodeId }) => nodeId === from);
  if (given === undefined) return "done";
  return given.leaving === true ? "wait" : "remove";
}
