/** The sheet of a shard's replicas: from the map and what the nodes say to cells. */
import type { ReplicaStatus, StatusResponse } from "../protocol/admin-messages.js";
import type { ClusterMap, ReplicaDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import type { Cell, Sheet } from "./printer.js";

interface Row {
  readonly node: string;
  readonly replica: number;
  readonly role: string;
  /** What the leader knows it has; -1 where nobody leads. */
  readonly matchIndex: number;
  /** What it says it has applied; -1 where it does not answer. */
  readonly appliedIndex: number;
  readonly state: string;
}

const UNKNOWN = -1;

export function replicaSheet(
  map: ClusterMap,
  shard: ShardDescriptor,
  statuses: readonly StatusResponse[],
): Sheet {
  const said = saidOf(shard, statuses);
  const leader = [...said.values()].find((status) => status.role === "leader");
  const planned = (shard.target ?? []).filter(
    ({ replicaId }) => !shard.replicas.some((each) => each.replicaId === replicaId),
  );
  const rows = [...shard.replicas, ...planned].map((replica): Row => {
    const own = said.get(replica.replicaId);
    const progress = leader?.followers?.find((each) => each.replicaId === replica.replicaId);
    const leads = own !== undefined && own === leader;
    return {
      node: nameOf(map, replica.nodeId),
      replica: replica.replicaId,
      role: replica.role,
      matchIndex: progress?.matchIndex ?? UNKNOWN,
      appliedIndex: own?.appliedIndex ?? UNKNOWN,
      state: leads ? "leader" : stateOf(replica, own, progress?.state),
    };
  });
  return {
    columns: ["Node", "Replica", "Role", "Match index", "Applied index", "State"],
    rows: rows.map(cellsOf),
    json: rows,
  };
}

/** By replica: what its node says of it. */
function saidOf(
  { shardId }: ShardDescriptor,
  statuses: readonly StatusResponse[],
): ReadonlyMap<number, ReplicaStatus> {
  const all = statuses.flatMap((status) => status.replicas);
  const own = all.filter((each) => each.shardId === shardId);
  return new Map(own.map((each) => [each.replicaId, each]));
}

function stateOf(
  replica: ReplicaDescriptor,
  own: ReplicaStatus | undefined,
  progress: string | undefined,
): string {
  if (own === undefined) return "unreachable";
  return replica.leaving === true ? "leaving" : (progress ?? "unknown");
}

function cellsOf(row: Row): readonly Cell[] {
  const index = (value: number): Cell => (value === UNKNOWN ? "-" : value);
  const { matchIndex, appliedIndex } = row;
  return [row.node, row.replica, row.role, index(matchIndex), index(appliedIndex), row.state];
}

function nameOf(map: ClusterMap, nodeId: number): string {
  return map.nodes.find((node) => node.nodeId === nodeId)?.name ?? String(nodeId);
}
