/**
 * The cluster map as a reader of it sees it: routes sorted by the start of their interval, and a
 * hint for each who leads. It may be wrong at any time; requests carry the epoch, so a wrong route
 * is refused and repaired by what the refusal carries. It never asks anybody: where it has a hole,
 * its owner fetches a map.
 *
 * Of two descriptors that claim a key the later one wins: of one shard, by its epoch; of two, by
 * their generation. What the winner does not cover becomes a hole.
 */
import { compareBytes } from "../base/bytes.js";
import type { KeyRange } from "../base/key-range.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
  ShardDescriptor,
} from "../protocol/cluster.js";

/** A shard and who is believed to lead it. Changed in place; its shard's key range never is. */
export interface Route {
  shard: ShardDescriptor;
  /** 0: nobody known. */
  leaderNodeId: number;
  /** Term of that hint; a map with an older one does not overrule it. */
  leaderTerm: number;
}

export class RouteMap {
  #map: ClusterMap;
  /** Sorted by start, disjoint. */
  #routes: Route[] = [];
  #byShard: Map<number, Route> = new Map();
  #keyspaces: Map<string, KeyspaceDescriptor> = new Map();
  #nodes: Map<number, NodeDescriptor> = new Map();

  constructor(map: ClusterMap, leaders: readonly LeaderHint[]) {
    this.#map = map;
    this.#take(map, leaders);
  }

  get clusterMap(): ClusterMap {
    return this.#map;
  }

  get routes(): readonly Route[] {
    return this.#routes;
  }

  keyspace(name: string): KeyspaceDescriptor | undefined {
    return this.#keyspaces.get(name);
  }

  node(nodeId: number): NodeDescriptor | undefined {
    return this.#nodes.get(nodeId);
  }

  route(shardId: number): Route | undefined {
    return this.#byShard.get(shardId);
  }

  /** The route of a stored key, undefined where the map has a hole. */
  routeOf(key: Uint8Array): Route | undefined {
    const route = this.#routes[this.#lastStartingBy(key)];
    if (route === undefined) return undefined;
    const end = route.shard.range.end;
    return end === undefined || compareBytes(key, end) < 0 ? route : undefined;
  }

  /** The routes that share keys with `range`, in order; there may be holes between them. */
  routesOf(range: KeyRange): readonly Route[] {
    const found: Route[] = [];
    for (let i = Math.max(0, this.#lastStartingBy(range.start)); i < this.#routes.length; i++) {
      const route = this.#routes[i]!;
      const shard = route.shard.range;
      if (range.end !== undefined && compareBytes(shard.start, range.end) >= 0) break;
      if (shard.end === undefined || compareBytes(shard.end, range.start) > 0) found.push(route);
    }
    return found;
  }

  /**
   * Takes a fetched map, unless it is older than what is known; newer single routes stay. False
   * where it is no news.
   */
  replace(map: ClusterMap, leaders: readonly LeaderHint[]): boolean {
    const { clusterId, version } = this.#map;
    if (map.clusterId === clusterId && map.version < version) {
      for (const hint of leaders) this.#hint(hint);
      return false;
    }
    const before = this.#routes;
    this.#map = map;
    this.#take(map, leaders);
    for (const old of before) this.#keepFrom(old);
    return map.clusterId !== clusterId || map.version > version;
  }

  /** Takes a descriptor from a refusal; false where it is no news. */
  apply(shard: ShardDescriptor): boolean {
    const overlapping = this.routesOf(shard.range);
    for (const route of overlapping) if (!supersedes(shard, route.shard)) return false;
    const known = this.#byShard.get(shard.shardId);
    if (known !== undefined && !supersedes(shard, known.shard)) return false;
    if (known !== undefined) this.#remove(known);
    for (const route of overlapping) if (route !== known) this.#remove(route);
    const leaderNodeId = known?.leaderNodeId ?? 0;
    this.#insert({ shard, leaderNodeId, leaderTerm: known?.leaderTerm ?? 0 });
    return true;
  }

  describe(): string {
    const { clusterId, version } = this.#map;
    return `map ${version} of cluster ${clusterId}, ${this.#routes.length} routes`;
  }

  #take(map: ClusterMap, leaders: readonly LeaderHint[]): void {
    this.#keyspaces = new Map(map.keyspaces.map((keyspace) => [keyspace.name, keyspace]));
    this.#nodes = new Map(map.nodes.map((node) => [node.nodeId, node]));
    this.#routes = map.shards.map((shard) => ({ shard, leaderNodeId: 0, leaderTerm: 0 }));
    this.#routes.sort((a, b) => compareBytes(a.shard.range.start, b.shard.range.start));
    this.#byShard = new Map(this.#routes.map((route) => [route.shard.shardId, route]));
    for (const hint of leaders) this.#hint(hint);
  }

  #hint(hint: LeaderHint): void {
    const route = this.#byShard.get(hint.shardId);
    if (route === undefined || hint.term < route.leaderTerm) return;
    route.leaderNodeId = hint.nodeId;
    route.leaderTerm = hint.term;
  }

  /** What a route of the map before knew better: a later epoch, a later term. */
  #keepFrom(old: Route): void {
    const now = this.#byShard.get(old.shard.shardId);
    if (now === undefined) return;
    if (now.leaderNodeId === 0 || now.leaderTerm < old.leaderTerm) {
      now.leaderNodeId = old.leaderNodeId;
      now.leaderTerm = old.leaderTerm;
    }
    if (supersedes(old.shard, now.shard)) this.apply(old.shard);
  }

  #insert(route: Route): void {
    const at = this.#lastStartingBy(route.shard.range.start) + 1;
    this.#routes.splice(at, 0, route);
    this.#byShard.set(route.shard.shardId, route);
  }

  #remove(route: Route): void {
    const at = this.#routes.indexOf(route);
    if (at >= 0) this.#routes.splice(at, 1);
    this.#byShard.delete(route.shard.shardId);
  }

  /** Index of the last route that starts at or before `key`, -1 for none. */
  #lastStartingBy(key: Uint8Array): number {
    const routes = this.#routes;
    let low = 0;
    let high = routes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(routes[middle]!.shard.range.start, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Whether `news` replaces `known`, which may be of the same shard or of one it overlaps. */
function supersedes(news: ShardDescriptor, known: ShardDescriptor): boolean {
  if (news.shardId !== known.shardId) return news.generation > known.generation;
  if (news.epoch.range !== known.epoch.range) return news.epoch.range > known.epoch.range;
  return news.epoch.configuration > known.epoch.configuration;
}
