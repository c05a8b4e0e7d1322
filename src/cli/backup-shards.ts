/**
 * Which node is asked for which shards, some at a time: their leaders, as far as known. Where a
 * leader has moved or does not answer, the shards wait for the next round; where no shard comes for
 * long enough, it fails with the last reason.
 */
import { BACKUP_SHARDS_MAX } from "../node/backup-source.js";
import type { ClusterMap, ShardDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";

const PAUSE_MS = 200;
const GIVE_UP_MS = 30_000;

export interface NodeAnswer {
  /** Shards that the node does not lead, and who does; 0 where nobody is known to. */
  readonly elsewhere: readonly { readonly shardId: number; readonly leaderNodeId: number }[];
}

export interface ShardsWish {
  readonly map: ClusterMap;
  readonly leaders: Map<number, number>;
  readonly shards: readonly ShardDescriptor[];
  /** Fetches shards from the node at an address. What it rejects with may pass. */
  readonly fetch: (address: string, shards: readonly ShardDescriptor[]) => Promise<NodeAnswer>;
}

interface Round {
  readonly left: readonly ShardDescriptor[];
  /** The last of those that may pass. */
  readonly failure: KvError | undefined;
}

/** Resolves when all shards were fetched. */
export async function fetchShards(wish: ShardsWish): Promise<void> {
  let waiting = wish.shards;
  let failure = notApplied("unavailable", "some shards have no leader");
  let lastMs = performance.now();
  for (let at = 0; waiting.length > 0; at++) {
    const round = await roundOf(wish, waiting, at);
    if (round.left.length < waiting.length) lastMs = performance.now();
    else if (performance.now() - lastMs > GIVE_UP_MS) throw round.failure ?? failure;
    failure = round.failure ?? failure;
    waiting = round.left;
    if (waiting.length > 0) await new Promise<void>((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function roundOf(
  wish: ShardsWish,
  waiting: readonly ShardDescriptor[],
  at: number,
): Promise<Round> {
  const left: ShardDescriptor[] = [];
  let failure: KvError | undefined;
  for (const [address, shards] of batches(wish, waiting, at)) {
    const outcome = await attempt(wish, address, shards);
    if (outcome instanceof KvError) {
      failure = outcome;
      left.push(...shards);
      for (const { shardId } of shards) wish.leaders.delete(shardId);
    } else {
      const missing = new Set(outcome.elsewhere.map(({ shardId }) => shardId));
      left.push(...shards.filter(({ shardId }) => missing.has(shardId)));
      noteLeaders(wish.leaders, outcome);
    }
  }
  return { left, failure };
}

/** What is not worth another try is thrown. */
async function attempt(
  { fetch }: ShardsWish,
  address: string,
  shards: readonly ShardDescriptor[],
): Promise<NodeAnswer | KvError> {
  try {
    return await fetch(address, shards);
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    const { code } = error;
    const passes = ["unavailable", "timeout", "notLeader", "overloaded", "closed"].includes(code);
    if (passes) return error;
    throw error;
  }
}

function noteLeaders(leaders: Map<number, number>, { elsewhere }: NodeAnswer): void {
  for (const { shardId, leaderNodeId } of elsewhere) {
    if (leaderNodeId === 0) leaders.delete(shardId);
    else leaders.set(shardId, leaderNodeId);
  }
}

/** By address; whose leader nobody knows is asked of its replicas in turn. */
function batches(
  { map, leaders }: ShardsWish,
  shards: readonly ShardDescriptor[],
  at: number,
): (readonly [string, readonly ShardDescriptor[]])[] {
  const byNode = new Map<number, ShardDescriptor[]>();
  for (const shard of shards) {
    const { replicas, shardId } = shard;
    const nodeId = leaders.get(shardId) ?? replicas[at % replicas.length]?.nodeId ?? 0;
    byNode.set(nodeId, [...(byNode.get(nodeId) ?? []), shard]);
  }
  const found: (readonly [string, readonly ShardDescriptor[]])[] = [];
  for (const [nodeId, own] of byNode) {
    const address = map.nodes.find((node) => node.nodeId === nodeId)?.clientAddress ?? "";
    for (let from = 0; from < own.length; from += BACKUP_SHARDS_MAX) {
      found.push([address, own.slice(from, from + BACKUP_SHARDS_MAX)]);
    }
  }
  return found;
}
