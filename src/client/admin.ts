/** The cluster as an operator sees it, and the few things he may ask of it. */
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import type {
  HealthResponse,
  KeyspaceCreateResponse,
  MapResponse,
  MemberAddRequest,
  MemberUpdateRequest,
  MembershipResponse,
  ReplicaChangeRequest,
  StatusResponse,
} from "../protocol/admin-messages.js";
import type {
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
  ShardDescriptor,
} from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { keyspaceRange, storedKey } from "../route/stored-key.js";
import { askAddress, askPlacement } from "./any-node.js";
import type { BytesLike, KeyspaceOptions } from "./client-types.js";
import { bytesFrom, checkedKey } from "./key-span.js";
import { routedCall } from "./routed-call.js";
import type { CallKind } from "./routed-call.js";
import type { Session } from "./session.js";

const NEW_KEYSPACE_POLL_MS = 20;

const MOVE_LEADER_CALL: CallKind<{ readonly shardId: number; readonly nodeId: number }, void> = {
  name: "move-leader",
  type: MESSAGE_TYPES.moveLeader,
  isRead: false,
  encode: (out, _shard, request) => encodePlain(out, request),
  decode: () => undefined,
};

export class Admin {
  readonly #session: Session;
  readonly #keyspace: () => Promise<KeyspaceDescriptor>;

  constructor(session: Session, keyspace: () => Promise<KeyspaceDescriptor>) {
    this.#session = session;
    this.#keyspace = keyspace;
  }

  /** The map as some node has it now, and who leads as far as known. */
  async map(): Promise<MapResponse> {
    await this.#session.refresh();
    const leaders: LeaderHint[] = [];
    for (const route of this.#session.map.routes) {
      if (route.leaderNodeId === 0) continue;
      const { shardId } = route.shard;
      leaders.push({ shardId, nodeId: route.leaderNodeId, term: route.leaderTerm });
    }
    return { clusterMap: this.#session.map.clusterMap, leaders };
  }

  async members(): Promise<readonly NodeDescriptor[]> {
    return (await this.map()).clusterMap.nodes;
  }

  async keyspaces(): Promise<readonly KeyspaceDescriptor[]> {
    return (await this.map()).clusterMap.keyspaces;
  }

  async shards(): Promise<readonly ShardDescriptor[]> {
    return (await this.map()).clusterMap.shards;
  }

  /** What the node at this address says of itself. */
  status(endpoint: string): Promise<StatusResponse> {
    return this.#askNode<StatusResponse>(endpoint, MESSAGE_TYPES.status);
  }

  health(endpoint: string): Promise<HealthResponse> {
    return this.#askNode<HealthResponse>(endpoint, MESSAGE_TYPES.health);
  }

  /** Resolves when the new keyspace can be used by this client. */
  async createKeyspace(options: KeyspaceOptions): Promise<KeyspaceDescriptor> {
    const splitPoints = (options.splitPoints ?? []).map(bytesFrom);
    const request = {
      name: options.name,
      kind: options.kind,
      splitPoints,
      shardCount: options.kind === "hash" ? (options.shards ?? 1) : splitPoints.length + 1,
      replicationFactor: options.replicationFactor ?? 0,
    };
    const { keyspace } = await askPlacement(this.#session, {
      type: MESSAGE_TYPES.keyspaceCreate,
      isRead: false,
      encode: (out) => encodePlain(out, request),
      decode: decodePlain<KeyspaceCreateResponse>,
    });
    await this.#untilRouted(keyspace, request.shardCount);
    return keyspace;
  }

  /** The shard that holds a key of the client's keyspace. */
  async locate(key: BytesLike): Promise<ShardDescriptor> {
    const keyspace = await this.#keyspace();
    await this.#session.refresh();
    const route = this.#session.map.routeOf(storedKey(keyspace, checkedKey(key)));
    if (route === undefined) throw notApplied("shardNotFound", "no shard holds this key");
    return route.shard;
  }

  /** Resolves when the shard's leader has agreed to hand over to the node. */
  async moveLeader(shardId: number, node: string | number): Promise<void> {
    const nodes = await this.members();
    const found = nodes.find((one) => one.nodeId === node || one.name === node);
    if (found === undefined) throw notApplied("nodeNotFound", `there is no node ${node}`);
    const route = this.#session.map.route(shardId);
    if (route === undefined) throw notApplied("shardNotFound", `there is no shard ${shardId}`);
    const target = { key: route.shard.range.start, interval: route.shard.range, level: 0 };
    const request = { shardId, nodeId: found.nodeId };
    await routedCall(this.#session, MOVE_LEADER_CALL, target, request);
  }

  /** Registers a node that will be started; gives what placement calls it. */
  async addMember(request: MemberAddRequest): Promise<NodeDescriptor> {
    const { nodes } = await this.#change(MESSAGE_TYPES.memberAdd, request);
    const added = nodes.find((node) => node.name === request.name);
    if (added === undefined) throw notApplied("internal", "the member is not on the map");
    return added;
  }

  /** Lets a node leave. It is gone when the map does not name it any more. */
  async removeMember(nodeId: number): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberRemove, { nodeId });
  }

  /** Lets a node that was added as a learner hold voting replicas. */
  async promoteMember(nodeId: number): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberPromote, { nodeId });
  }

  async updateMember(request: MemberUpdateRequest): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberUpdate, request);
  }

  /** Begins a change of a shard's replicas: it is done when the map shows it. */
  async changeReplica(request: ReplicaChangeRequest): Promise<ShardDescriptor> {
    const { shards } = await this.#change(MESSAGE_TYPES.replicaChange, request);
    const shard = shards.find((each) => each.shardId === request.shardId);
    if (shard === undefined) throw notApplied("internal", "the shard is not on the map");
    return shard;
  }

  async #change(type: number, request: object): Promise<ClusterMap> {
    const { clusterMap } = await askPlacement(this.#session, {
      type,
      isRead: false,
      encode: (out) => encodePlain(out, request),
      decode: decodePlain<MembershipResponse>,
    });
    return clusterMap;
  }

  #askNode<Answer extends object>(endpoint: string, type: number): Promise<Answer> {
    return askAddress(
      this.#session,
      endpoint,
      { type, isRead: true, encode: () => undefined, decode: decodePlain<Answer> },
      this.#session.options.requestTimeoutMs,
    );
  }

  async #untilRouted(keyspace: KeyspaceDescriptor, shardCount: number): Promise<void> {
    const { env, options, map } = this.#session;
    const endMs = env.clock.monotonicMs() + options.requestTimeoutMs;
    const range = keyspaceRange(keyspace.keyspaceId);
    for (;;) {
      await this.#session.refresh();
      if (map.routesOf(range).length >= shardCount) return;
      if (env.clock.monotonicMs() > endMs) break;
      await new Promise<void>((resolve) => env.timers.after(NEW_KEYSPACE_POLL_MS, resolve));
    }
    const text = `keyspace ${keyspace.name} was created, but its shards are not on the map yet`;
    throw new KvError("timeout", text, "unknown");
  }
}
