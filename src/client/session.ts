/**
 * What all views of one client share: the route map, the links to the nodes, one wheel for all
 * deadlines, and what is learned from refusals. It decides where a call goes; calls decide whether
 * they go again.
 */
import { KvError, notApplied } from "../protocol/errors.js";
import type { ErrorCode } from "../protocol/errors.js";
import { decodePlain } from "../protocol/admin-codec.js";
import type { MapResponse } from "../protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import { READ_LEVELS } from "../protocol/key-value.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { RouteMap } from "../route/route-map.js";
import type { Route } from "../route/route-map.js";
import { DeadlineWheel } from "../rpc/deadline-wheel.js";
import type { RequestClient } from "../rpc/request-client.js";
import { AddressOrder } from "./address-order.js";
import { NodeLink } from "./node-link.js";
import type { ClientEnv } from "./node-link.js";
import { Rounds } from "./rounds.js";
import { staggered } from "./staggered.js";
import { Suspects } from "./suspects.js";

export interface SessionOptions {
  readonly endpoints: readonly string[];
  readonly requestTimeoutMs: number;
  /** 0: none. */
  readonly nearNodeId: number;
  readonly connections: number;
  readonly requestSizeBytesMax: number;
}

/** A watch, as far as the session has to know it. */
export interface ClosedListener {
  closed(): void;
}

/** Time for a connection with its handshake, and for an answer to `map`. */
const CONNECT_TIMEOUT_MS = 1000;
const MAP_TIMEOUT_MS = 1000;
/** Who has given no map in this time is not waited for alone. */
const MAP_PAUSE_MS = 150;
/** While a node is silent others are asked so often who leads. */
const DOUBT_MS = 250;
/** After these a node is not taken for the leader any more. */
const LEADS_NOT: ReadonlySet<ErrorCode> = new Set(["unavailable", "timeout", "notLeader"]);

export class Session {
  readonly env: ClientEnv;
  readonly options: SessionOptions;
  readonly wheel: DeadlineWheel;
  readonly suspects: Suspects<number>;
  readonly order: AddressOrder;
  /** Requests to the placement group for the map that everybody may share who waits. */
  readonly confirmations: Rounds = new Rounds();
  /** Who leads the placement group, as last heard; 0 where unknown. */
  placementLeader = 0;
  readonly #links: Map<string, NodeLink> = new Map();
  readonly #map: RouteMap;
  readonly #watches: Set<ClosedListener> = new Set();
  /** Of the hint that named the placement leader: one who is cut off goes on naming an old one. */
  #placementTerm = 0;
  #refreshing: Promise<void> | undefined;
  #spread = 0;
  #doubtedMs: number = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Fetches the first map; rejects where no endpoint gives one in time. */
  static async open(env: ClientEnv, options: SessionOptions): Promise<Session> {
    const session = new Session(env, options);
    try {
      await session.refresh();
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  private constructor(env: ClientEnv, options: SessionOptions) {
    this.env = env;
    this.options = options;
    this.wheel = new DeadlineWheel(env.clock, env.timers);
    this.suspects = new Suspects(env.clock);
    this.order = new AddressOrder(env.clock);
    this.#map = new RouteMap(EMPTY_MAP, []);
  }

  get map(): RouteMap {
    return this.#map;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The link to a node, undefined where the map does not know it, or not that it has started. */
  linkOf(nodeId: number): NodeLink | undefined {
    const address = this.addressOf(nodeId);
    return address === undefined ? undefined : this.linkTo(address);
  }

  /** Where a node serves clients: one that has not started does nowhere. */
  addressOf(nodeId: number): string | undefined {
    const address = this.#map.node(nodeId)?.clientAddress ?? "";
    return address === "" ? undefined : address;
  }

  linkTo(address: string): NodeLink {
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const link = new NodeLink(this.env, address, {
      clusterId: () => this.#map.clusterMap.clusterId,
      wheel: this.wheel,
      connections: this.options.connections,
      connectTimeoutMs: Math.min(CONNECT_TIMEOUT_MS, this.options.requestTimeoutMs / 2),
    });
    this.#links.set(address, link);
    return link;
  }

  /**
   * The node to ask for a shard: its leader, or by level another; another one each attempt. Who is
   * suspected to be gone is asked where nobody else is left. What may be stale is read nearby: so
   * who reads by one node never sees the past again, and needs no other.
   */
  chooseNode(route: Route, level: number, attempt: number): number {
    const leader = route.leaderNodeId;
    if (level < READ_LEVELS.follower && leader !== 0) return leader;
    const near = level > READ_LEVELS.follower && attempt === 0 ? this.nearNode(route) : 0;
    if (near !== 0) return near;
    const { preferredNodeId } = route.shard;
    const nodeIds = this.votersOf(route);
    if (level < READ_LEVELS.follower) {
      const from = Math.max(0, nodeIds.indexOf(preferredNodeId));
      return this.#pick([...nodeIds.slice(from), ...nodeIds.slice(0, from)], attempt);
    }
    this.#spread = (this.#spread + 1) >>> 0;
    const others = level === READ_LEVELS.follower ? nodeIds.filter((id) => id !== leader) : nodeIds;
    return this.#pick(others.length > 0 ? others : nodeIds, this.#spread + attempt);
  }

  /** The near node if it has a replica that serves; 0 where none is meant, or it has none. */
  nearNode({ shard }: Route): number {
    const { nearNodeId } = this.options;
    if (nearNodeId === 0) return 0;
    const serves = shard.replicas.some((one) => one.nodeId === nearNodeId && one.role === "voter");
    return serves ? nearNodeId : 0;
  }

  /**
   * The nodes of its voters that have started, or all where none is known to have. A learner may
   * have little of the data yet.
   */
  votersOf({ shard }: Route): readonly number[] {
    const voters = shard.replicas.filter((one) => one.role === "voter");
    const nodeIds = voters.map(({ nodeId }) => nodeId);
    const started = nodeIds.filter((nodeId) => this.addressOf(nodeId) !== undefined);
    return started.length > 0 ? started : nodeIds;
  }

  /**
   * One of those that are not suspected, by turns, and of all where there is none. A write that
   * meets silence takes all its time, more than a suspicion may last: so among them who has been
   * silent comes behind who has not, and who was silent last comes last.
   */
  #pick(nodeIds: readonly number[], turn: number): number {
    if (this.suspects.isEmpty) return nodeIds[turn % nodeIds.length] ?? 0;
    const inTouch = nodeIds.filter((nodeId) => !this.suspects.has(nodeId));
    const some = inTouch.length > 0 ? inTouch : [...nodeIds];
    some.sort((a, b) => compare(this.suspects.silentMs(a), this.suspects.silentMs(b)));
    return some[turn % some.length] ?? 0;
  }

  /** Repairs the map by what a node said when it refused, or by its silence. */
  learn(shardId: number, nodeId: number, error: KvError): void {
    const { leaderNodeId, shards } = error.details;
    const { code } = error;
    if (shards !== undefined) for (const shard of shards) this.#map.apply(shard);
    if (code === "timeout" && nodeId !== 0) this.suspects.add(nodeId);
    const route = this.#map.route(shardId);
    if (route?.leaderNodeId === nodeId && LEADS_NOT.has(code)) route.leaderNodeId = 0;
    if (code === "notLeader" && route !== undefined) {
      this.#learnLeader(route, nodeId, leaderNodeId ?? 0);
    }
    const misrouted = code === "staleEpoch" || code === "shardNotFound";
    if (misrouted && (shards === undefined || shards.length === 0)) this.refreshSoon();
  }

  #learnLeader(route: Route, fromNodeId: number, leaderNodeId: number): void {
    if (leaderNodeId === 0 || leaderNodeId === fromNodeId) return;
    route.leaderNodeId = leaderNodeId;
    if (this.#map.node(leaderNodeId) === undefined) this.refreshSoon();
  }

  /**
   * Fetches a map from the first who answers; one fetch at a time. Where it is no news, the next
   * fetch begins with somebody else, so that one who cannot know does not keep it from the others.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#fetchMap().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** Refreshes for those who do not wait: a failure shows when somebody needs the map. */
  refreshSoon(): void {
    this.refresh().catch(() => undefined);
  }

  /**
   * A node has answered nothing for a while: it may lead no more. What it was asked may take all of
   * its time, so whoever asks now has others say who leads.
   */
  doubt(nowMs: number): void {
    if (nowMs - this.#doubtedMs < DOUBT_MS) return;
    this.#doubtedMs = nowMs;
    this.refreshSoon();
  }

  /** Takes a map that a node has sent; false where it is no news. */
  take({ clusterMap, leaders }: MapResponse): boolean {
    const placement = leaders.find((hint) => hint.shardId === PLACEMENT_SHARD_ID);
    if (placement !== undefined && placement.term >= this.#placementTerm) {
      this.placementLeader = placement.nodeId;
      this.#placementTerm = placement.term;
    }
    return this.#map.replace(clusterMap, leaders);
  }

  /** Addresses in the order in which to try them: `first`, open links, nodes, endpoints. */
  addresses(first: number): readonly string[] {
    return this.order.forRequest(this.#known(first));
  }

  #known(first: number): string[] {
    const found = new Set<string>();
    const named = this.addressOf(first);
    if (named !== undefined) found.add(named);
    for (const link of this.#links.values()) {
      if (link.client() !== undefined) found.add(link.address);
    }
    for (const { clientAddress } of this.#map.clusterMap.nodes) {
      // A node that was added and has not started yet has none.
      if (clientAddress !== "") found.add(clientAddress);
    }
    for (const endpoint of this.options.endpoints) found.add(endpoint);
    return [...found];
  }

  /** Has a watch hear of the end, until it is forgotten. */
  trackWatch(watch: ClosedListener): void {
    this.#watches.add(watch);
  }

  forgetWatch(watch: ClosedListener): void {
    this.#watches.delete(watch);
  }

  close(): void {
    this.#closed = true;
    // A watch leaves the set when it hears of it, which a set's iteration allows.
    for (const watch of this.#watches) watch.closed();
    for (const link of this.#links.values()) link.close();
  }

  async #fetchMap(): Promise<void> {
    // The placement group's leader has the newest map; whoever else answers will do.
    const addresses = this.order.forMap(this.#known(this.placementLeader));
    const attempts = addresses.map((address) => () => this.#askForMap(address));
    const refusal = await staggered(this.env.timers, MAP_PAUSE_MS, attempts).catch(
      (error: unknown) => {
        const reason = KvError.from(error).message;
        throw notApplied("unavailable", `no endpoint gives a map of the cluster: ${reason}`);
      },
    );
    if (refusal !== undefined) throw refusal;
  }

  /** Resolves once a map has come, or with what no other could mend; rejects where one might. */
  async #askForMap(address: string): Promise<KvError | undefined> {
    if (this.#closed) return closedError();
    try {
      const client = await this.linkTo(address).connected();
      this.order.gaveMap(address, this.take(await this.#requestMap(client)));
      return undefined;
    } catch (error) {
      const failure = KvError.from(error);
      if (failure.code === "wrongCluster") return failure;
      this.order.helped(address, false);
      throw failure;
    }
  }

  #requestMap(client: RequestClient): Promise<MapResponse> {
    const timeoutMs = Math.min(MAP_TIMEOUT_MS, this.options.requestTimeoutMs / 2);
    const type = MESSAGE_TYPES.map;
    return client.request(type, () => undefined, decodePlain<MapResponse>, timeoutMs);
  }
}

/** Also where both are infinite. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

export function closedError(): KvError {
  return notApplied("closed", "the client is closed");
}

const EMPTY_MAP: MapResponse["clusterMap"] = {
  clusterId: "",
  version: 0,
  nodes: [],
  keyspaces: [],
  shards: [],
};
