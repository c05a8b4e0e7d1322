/** Answers the requests of other nodes: revisions, signs of life, placement commands, snapshots. */
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { decodeSnapshotChunk } from "../shard/snapshot-messages.js";
import type { SnapshotBegin, SnapshotEnd } from "../shard/snapshot-messages.js";
import type { NodeParts } from "./node-parts.js";
import type { PeerRequest } from "./peers.js";
import type {
  NodeHeartbeat,
  NodeHeartbeatAnswer,
  PlacementCommand,
  PlacementCommandAnswer,
} from "./placement-messages.js";
import { decodeAllocations, encodeBases } from "./revision-client.js";

const PLACEMENT_TIMEOUT_MS = 5000;

export function servePeer(node: NodeParts, request: PeerRequest): void {
  const { reader } = request;
  switch (request.type) {
    case MESSAGE_TYPES.sequencerAllocate:
      return node.sequencer.allocate(decodeAllocations(reader), (bases) => {
        if (bases instanceof KvError) request.refuse(bases);
        else request.answer((out) => encodeBases(out, bases));
      });
    case MESSAGE_TYPES.nodeHeartbeat:
      return reply(request, heartbeat(node, request, decodePlain<NodeHeartbeat>(reader)));
    case MESSAGE_TYPES.placement:
      return reply(request, runPlacementCommand(node, decodePlain<PlacementCommand>(reader)));
    case MESSAGE_TYPES.join:
      return reply(request, command(node, { kind: "join", request: decodePlain(reader) }));
    case MESSAGE_TYPES.mapNews:
      node.heartbeats.soon();
      return request.answer(() => undefined);
    case MESSAGE_TYPES.nudge:
      node.host.replica(reader.u32())?.wantClose();
      return request.answer(() => undefined);
    case MESSAGE_TYPES.ping:
      return request.answer(() => undefined);
    case MESSAGE_TYPES.snapshotBegin:
      return answer(request, node.host.snapshots.begin(decodePlain<SnapshotBegin>(reader)));
    case MESSAGE_TYPES.snapshotChunk:
      return answer(request, node.host.snapshots.chunk(decodeSnapshotChunk(reader)));
    case MESSAGE_TYPES.snapshotEnd:
      return answer(request, node.host.snapshots.end(decodePlain<SnapshotEnd>(reader)));
    default:
      return request.refuse(notApplied("unsupported", `no request of type ${request.type}`));
  }
}

/** Runs a command where the placement group is led, or on this node where it is meant for it. */
export async function runPlacementCommand(
  node: NodeParts,
  command: PlacementCommand,
): Promise<PlacementCommandAnswer> {
  if (command.kind === "transfer") {
    node.transfers.begin(command.shardId, command.nodeId);
    return {};
  }
  const { placement } = node;
  if (placement === undefined || !placement.leads) throw notPlacementLeader(node);
  switch (command.kind) {
    case "createKeyspace":
      return { keyspace: await placement.createKeyspace(command.request) };
    case "confirmMap":
      return { clusterMap: await placement.confirmedMap() };
    case "moveLeader":
      await placement.moveLeader(command.shardId, command.nodeId);
      return {};
    case "changeAlarm":
      return { clusterMap: await placement.changeAlarm(command.request) };
    case "join":
      return placement.join(command.request);
    default:
      return { clusterMap: await placement.changeMembership(command) };
  }
}

/** Runs a placement command here or at the node that leads the placement group. */
export async function command(
  node: NodeParts,
  wanted: PlacementCommand,
): Promise<PlacementCommandAnswer> {
  const leader = node.placementLeader();
  if (leader === node.nodeId) return runPlacementCommand(node, wanted);
  if (leader === 0) throw notApplied("unavailable", "the placement group has no leader now");
  return node.peers.ask(leader, MESSAGE_TYPES.placement, wanted, PLACEMENT_TIMEOUT_MS);
}

function notPlacementLeader(node: NodeParts): KvError {
  const leaderNodeId = node.placementLeader();
  return notApplied("notLeader", "this node does not lead the placement group", { leaderNodeId });
}

async function heartbeat(
  node: NodeParts,
  request: PeerRequest,
  beat: NodeHeartbeat,
): Promise<object> {
  if (
    beat.node?.nodeId !== request.fromNodeId ||
    ![beat.leads, beat.reports].every(Array.isArray)
  ) {
    throw notApplied("malformed", "a sign of life must be of the node that sends it");
  }
  if (node.placement?.leads === true) return node.placement.heartbeat(beat);
  return hearsay(node, beat);
}

/** What this node has heard, for one that does not know whom to ask. */
function hearsay(node: NodeParts, beat: NodeHeartbeat): NodeHeartbeatAnswer {
  const { map, leaders } = node.view;
  const isNewer = map.version > beat.mapVersion;
  return { map: isNewer ? map : undefined, leaders, fit: [], hearsay: true };
}

function answer(request: PeerRequest, value: object): void {
  request.answer((out) => encodePlain(out, value));
}

function reply(request: PeerRequest, work: Promise<object>): void {
  work.then(
    (value) => answer(request, value),
    (error: unknown) => request.refuse(KvError.from(error)),
  );
}
