/**
 * Moves leaderships to where the map wants them, which is an even spread: from the map, who leads,
 * and which nodes are fit to lead, to a few transfers. A step is bound to the descriptor's
 * generation. A shard whose replicas are being changed is left alone, and so is the placement
 * group: where it is led does not matter, and each move makes all sequenced keyspaces wait.
 */
import { PLACEMENT_SHARD_ID } from "../../protocol/cluster.js";
import type { ClusterMap, LeaderHint } from "../../protocol/cluster.js";

export interface TransferStep {
  readonly shardId: number;
  readonly generation: number;
  readonly fromNodeId: number;
  readonly toNodeId: number;
}

/** At most `stepsMax` transfers, those of the lowest shard ids first. */
export function balanceLeaders(
  map: ClusterMap,
  leaders: ReadonlyMap<number, LeaderHint>,
  fit: ReadonlySet<number>,
  stepsMax: number,
): readonly TransferStep[] {
  const steps: TransferStep[] = [];
  for (const shard of map.shards) {
    if (steps.length >= stepsMax) break;
    if (shard.target !== undefined || shard.shardId === PLACEMENT_SHARD_ID) continue;
    const fromNodeId = leaders.get(shard.shardId)?.nodeId;
    const toNodeId = shard.preferredNodeId;
    if (fromNodeId === undefined || fromNodeId === toNodeId) continue;
    if (!fit.has(fromNodeId) || !fit.has(toNodeId)) continue;
    steps.push({ shardId: shard.shardId, generation: shard.generation, fromNodeId, toNodeId });
  }
  return steps;
}
