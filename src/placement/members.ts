/**
 * The nodes of the cluster: who is one, who may become one, who leaves. A node is added before it
 * starts and gets its id here; the id is never used again, also not for a node of the same name.
 *
 *   added, restored or a founder (no incarnation) → started → leaving (its replicas move away)
 *   → removed
 *
 * A node counts by its id and its incarnation: a wiped disk is another node under an old name, and
 * is refused until it was removed and added again. Nobody can tell a wiped disk from the first one
 * of a node that has not been registered; so what such a node promises is not counted on.
 */
import { utf8 } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import type { ClusterMap, NodeDescriptor, ReplicaDescriptor } from "../protocol/cluster.js";
import type { MemberAddRequest, MemberUpdateRequest } from "../protocol/admin-messages.js";
import { notApplied } from "../protocol/errors.js";
import type { KvError } from "../protocol/errors.js";
import { NOTHING, refuse, write } from "./decision.js";
import type { PlacementDecision } from "./decision.js";
import { nodeRecord } from "./records.js";
import type { PlacementState } from "./records.js";
import { hasQuorum, removalFault, votersOf } from "./quorum.js";
import type { ClusterHealth } from "./quorum.js";

/** A member whose first sign of life has yet to say which data directory it has. */
export function notStarted({
  nodeId,
  name,
  peerAddress,
}: Pick<NodeDescriptor, "nodeId" | "name" | "peerAddress">): NodeDescriptor {
  return { nodeId, name, clientAddress: "", peerAddress, incarnation: "", labels: {} };
}

/** Whether replicas of new shards, and voters of others, may be put on this node. */
export function mayHoldVoters(node: NodeDescriptor): boolean {
  return node.incarnation !== "" && node.state === undefined && node.learner !== true;
}

/** A founder that has not come yet, or a node of a restored cluster. */
export function isExpected(
  map: ClusterMap,
  { nodeId, incarnation, state }: NodeDescriptor,
): boolean {
  if (incarnation !== "" || state !== undefined) return false;
  return placementVoters(map).some((voter) => voter.nodeId === nodeId);
}

/**
 * Whether the placement group hears this node. Once a majority of the group is registered, it does
 * not hear others before they are: what one of them had acknowledged, or whom it had elected, could
 * be forgotten with a disk of which nobody knows. So each later registration, and the first
 * keyspace, which waits for that, is held by a majority of which the disks are known.
 */
export function isHeard(map: ClusterMap, nodeId: number): boolean {
  const node = map.nodes.find((each) => each.nodeId === nodeId);
  return node?.incarnation !== "" || !haveMostCome(map);
}

/** Whether a majority of the placement group is registered. */
export function haveMostCome(map: ClusterMap): boolean {
  const started = map.nodes.filter(({ incarnation }) => incarnation !== "");
  const ids = new Set(started.map(({ nodeId }) => nodeId));
  return hasQuorum(placementVoters(map), ids);
}

/** Admits a founding node, or notes what a node says anew of itself. */
export function registerNode(state: PlacementState, said: NodeDescriptor): PlacementDecision {
  if (!isNode(said)) {
    return refuse(notApplied("invalidArgument", "a node's description lacks something"));
  }
  const known = nodeOf(state, said.nodeId);
  if (known === undefined) {
    const fault = strangerFault(state.map, said.nodeId, said.name);
    return fault === undefined ? write(state, [nodeRecord(said)]) : refuse(fault);
  }
  // Founders, and nodes of a restored cluster, have their ids before, and say here who they are.
  const isNew = known.incarnation === "";
  if (!isNew && known.incarnation !== said.incarnation) return refuse(wipedFault(known));
  if (!isNew && saysNothingNew(known, said)) return NOTHING;
  return write(state, [nodeRecord(merged(known, said))]);
}

/** Registers a node that will start later, under an id of its own. */
export function addMember(state: PlacementState, request: MemberAddRequest): PlacementDecision {
  const { map, counters } = state;
  if (map === undefined) return refuse(notApplied("unavailable", "the cluster is being founded"));
  const fault = additionFault(map, request);
  if (fault !== undefined) return refuse(fault);
  const { name, peerAddress, learner } = request;
  let serial = counters.memberSerial;
  while (isTaken(map, memberIdOf(map.clusterId, serial))) serial++;
  const node = notStarted({ nodeId: memberIdOf(map.clusterId, serial), name, peerAddress });
  const added = learner === true ? { ...node, learner } : node;
  return write(state, [nodeRecord(added)], { memberSerial: serial + 1 });
}

/** A node that was added starts for the first time: from now on it is this data directory. */
export function joinMember(
  state: PlacementState,
  join: { readonly name: string; readonly incarnation: string },
): PlacementDecision {
  const known = state.map?.nodes.find((node) => node.name === join.name);
  if (known === undefined) return refuse(unregistered(join.name));
  if (known.incarnation === join.incarnation) return NOTHING;
  if (known.incarnation !== "") return refuse(wipedFault(known));
  return write(state, [nodeRecord({ ...known, incarnation: join.incarnation })]);
}

/** Lets a node leave; it is gone once it holds no replica any more. */
export function removeMember(
  state: PlacementState,
  nodeId: number,
  health: ClusterHealth,
): PlacementDecision {
  const known = nodeOf(state, nodeId);
  if (known === undefined) return refuse(noMember(nodeId));
  if (known.state === "leaving") return NOTHING;
  const fault = removalFault(state, known, health);
  if (fault !== undefined) return refuse(fault);
  return write(state, [nodeRecord({ ...known, state: "leaving" })]);
}

/** Lets a node that was added as a learner hold voting replicas. */
export function promoteMember(state: PlacementState, nodeId: number): PlacementDecision {
  const known = nodeOf(state, nodeId);
  if (known === undefined) return refuse(noMember(nodeId));
  if (known.learner !== true) {
    return refuse(notApplied("invalidArgument", "can only promote a learner member"));
  }
  if (known.incarnation === "") {
    return refuse(notApplied("invalidArgument", `member ${known.name} has not started yet`));
  }
  return write(state, [nodeRecord({ ...known, learner: undefined })]);
}

/** Tells others where a node will be found; what the node itself says later goes over it. */
export function updateMember(
  state: PlacementState,
  { nodeId, peerAddress }: MemberUpdateRequest,
): PlacementDecision {
  const known = nodeOf(state, nodeId);
  if (known === undefined) return refuse(noMember(nodeId));
  if (!isAddress(peerAddress)) return refuse(badAddress(peerAddress));
  const other = state.map?.nodes.find((node) => node.peerAddress === peerAddress);
  if (other !== undefined && other.nodeId !== nodeId) return refuse(addressTaken(peerAddress));
  if (known.peerAddress === peerAddress) return NOTHING;
  const saidPeerAddress = known.saidPeerAddress ?? known.peerAddress;
  return write(state, [nodeRecord({ ...known, peerAddress, saidPeerAddress })]);
}

/** Nodes that were told to leave and hold no replica any more are gone, for ever. */
export function forgetLeft(state: PlacementState): PlacementDecision {
  const { map } = state;
  const left = (map?.nodes ?? []).filter(
    (node) => node.state === "leaving" && !holdsReplicas(map!, node.nodeId),
  );
  if (left.length === 0) return NOTHING;
  return write(
    state,
    left.map((node) => nodeRecord({ ...node, state: "removed" })),
  );
}

export function holdsReplicas(map: ClusterMap, nodeId: number): boolean {
  return map.shards.some((shard) =>
    [...shard.replicas, ...(shard.target ?? [])].some((replica) => replica.nodeId === nodeId),
  );
}

/** Why a node that is no member may not take part; undefined for a founder on its way. */
export function strangerFault(
  map: ClusterMap | undefined,
  nodeId: number,
  name: string,
): KvError | undefined {
  if (map?.removedNodes?.includes(nodeId) === true) {
    const text =
      `member ${name} was removed from the cluster; ` +
      "to come back it must be added again and start with an empty data directory";
    return notApplied("nodeRefused", text);
  }
  // Of a cluster that was founded before its founders were members from the beginning.
  const founders = map === undefined ? [] : placementReplicas(map);
  if (founders.some((replica) => replica.nodeId === nodeId)) return undefined;
  return unregistered(name);
}

/** Why this data directory is not the one that the cluster knows by the name. */
export function wipedFault(known: NodeDescriptor): KvError {
  const text =
    `node ${known.name} is registered with another data directory (${known.incarnation}); ` +
    "a node that lost its data must be removed and added again as a new member";
  return notApplied("nodeRefused", text);
}

/** Of the placement group, as the map has them. */
export function placementReplicas({
  shards,
}: Pick<ClusterMap, "shards">): readonly ReplicaDescriptor[] {
  return shards.find(({ shardId }) => shardId === PLACEMENT_SHARD_ID)?.replicas ?? [];
}

function placementVoters(map: ClusterMap): readonly ReplicaDescriptor[] {
  return votersOf(placementReplicas(map));
}

function unregistered(name: string): KvError {
  const text = `no member named ${name} is registered; add it first, with flotctl member add`;
  return notApplied("nodeRefused", text);
}

export function noMember(nodeId: number): KvError {
  return notApplied("nodeNotFound", `member not found: ${Number(nodeId).toString(16)}`);
}

function addressTaken(peerAddress: string): KvError {
  return notApplied("invalidArgument", `another member has the peer address ${peerAddress}`);
}

function badAddress(peerAddress: string): KvError {
  return notApplied("invalidArgument", `a peer address is host:port, not ${peerAddress}`);
}

function isAddress(text: unknown): boolean {
  return typeof text === "string" && /^[^\s:/]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(text);
}

function additionFault(map: ClusterMap, request: MemberAddRequest): KvError | undefined {
  const { name, peerAddress } = request;
  if (typeof name !== "string" || !/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/.test(name)) {
    const text = "a member's name is 1 to 64 letters, digits, dots, dashes and underscores";
    return notApplied("invalidArgument", text);
  }
  if (!isAddress(peerAddress)) return badAddress(peerAddress);
  if (map.nodes.some((node) => node.name === name)) {
    return notApplied("invalidArgument", `there is a member named ${name} already`);
  }
  if (map.nodes.some((node) => node.peerAddress === peerAddress)) return addressTaken(peerAddress);
  return undefined;
}

/** 48 bits, as those of founders; never one that was given before. */
function memberIdOf(clusterId: string, serial: number): number {
  const low = hash32(utf8(`${clusterId}\n${serial}`));
  const high = hash32(utf8(`${serial}\n${clusterId}\nmember`)) & 0xffff;
  return high * 0x1_0000_0000 + low;
}

function isTaken(map: ClusterMap, nodeId: number): boolean {
  const used = map.removedNodes?.includes(nodeId) === true || nodeId === 0;
  return used || map.nodes.some((node) => node.nodeId === nodeId) || holdsReplicas(map, nodeId);
}

export function nodeOf(state: PlacementState, nodeId: number): NodeDescriptor | undefined {
  return state.map?.nodes.find((node) => node.nodeId === nodeId);
}

function saysNothingNew(known: NodeDescriptor, said: NodeDescriptor): boolean {
  return (
    known.name === said.name &&
    known.clientAddress === said.clientAddress &&
    (known.saidPeerAddress ?? known.peerAddress) === said.peerAddress &&
    JSON.stringify(known.labels) === JSON.stringify(said.labels)
  );
}

function merged(known: NodeDescriptor, said: NodeDescriptor): NodeDescriptor {
  const { name, clientAddress, incarnation, labels } = said;
  const own = { ...known, name, clientAddress, incarnation, labels };
  const isSaidAgain = (known.saidPeerAddress ?? known.peerAddress) === said.peerAddress;
  if (isSaidAgain) return own;
  return { ...own, peerAddress: said.peerAddress, saidPeerAddress: undefined };
}

/** Descriptions come from other processes: nothing about them is taken for granted. */
function isNode(node: NodeDescriptor): boolean {
  const texts: unknown[] = [node.name, node.clientAddress, node.peerAddress, node.incarnation];
  return (
    Number.isSafeInteger(node.nodeId) &&
    node.nodeId > 0 &&
    texts.every((text) => typeof text === "string") &&
    node.name !== "" &&
    node.incarnation !== "" &&
    typeof node.labels === "object" &&
    node.labels !== null
  );
}
