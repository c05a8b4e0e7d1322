/** The cluster as an operator sees it, and the few things he may ask of it. */
import type { ByteWriter } from "../base/coding.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import type {
  AlarmChangeRequest,
  BackupOpenRequest,
  BackupOpenResponse,
  BackupReadRequest,
  BackupReadResponse,
  BackupReleaseRequest,
  HashRequest,
  HashResponse,
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
  AlarmKind,
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
  ShardDescriptor,
  StrayAlarm,
} from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { keyspaceRange, storedKey } from "../route/stored-key.js";
import { askAddress, askPlacement, askRevision } from "./any-node.js";
import type { BytesLike, KeyspaceOptions } from "./client-types.js";
import { bytesFrom, checkedKey } from "./key-span.js";
import { confirmMap } from "./keyspace-lookup.js";
import { routedCall } from "./routed-call.js";
import type { CallKind } from "./routed-call.js";
import type { Session } from "./session.js";

const POLL_MS = 20;

export interface NodeAlarm {
  readonly node: NodeDescriptor;
  readonly kind: AlarmKind;
  /** It stays until it is disarmed; otherwise it ends by itself. */
  readonly raised: boolean;
}

export interface AlarmReport {
  readonly alarms: readonly NodeAlarm[];
  /** Raised for members that there are not. */
  readonly strays: readonly StrayAlarm[];
  /** Nodes that do not answer: of them only what was raised is known. */
  readonly silent: readonly NodeDescriptor[];
}

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
    return this.#known();
  }

  /**
   * As the node at this address has it, without asking others, or as this client has learnt since:
   * what it changed itself, for one.
   */
  async mapAt(endpoint: string): Promise<MapResponse> {
    this.#session.take(await this.#askNode<MapResponse>(endpoint, MESSAGE_TYPES.map));
    return this.#known();
  }

  #known(): MapResponse {
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

  /** That of this view, looked for anew where the map does not know it. */
  keyspace(): Promise<KeyspaceDescriptor> {
    return this.#keyspace();
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

  /**
   * A hash of what the replica of a shard at this address means at a revision (0: the newest
   * there). It reads everything: `timeoutMs` is its own.
   */
  hash(endpoint: string, request: HashRequest, timeoutMs: number): Promise<HashResponse> {
    return this.#askLong(endpoint, MESSAGE_TYPES.hash, request, timeoutMs);
  }

  /** The node at this address flushes, and merges what is due; others are served meanwhile. */
  async defragment(endpoint: string, timeoutMs: number): Promise<void> {
    await this.#askLong(endpoint, MESSAGE_TYPES.defragment, {}, timeoutMs);
  }

  /** Of all nodes: what was raised for them, and what holds now by itself. */
  async alarms(): Promise<AlarmReport> {
    const { nodes, strayAlarms: strays = [] } = (await this.map()).clusterMap;
    const silent: NodeDescriptor[] = [];
    const found = nodes.map(async (node): Promise<readonly NodeAlarm[]> => {
      const { alarms: raised = [], clientAddress } = node;
      const known = raised.map((kind) => ({ node, kind, raised: true }));
      if (clientAddress === "") return known;
      const status = await this.status(clientAddress).catch(() => undefined);
      if (status === undefined) silent.push(node);
      const held = (status?.alarms ?? []).filter((kind) => !raised.includes(kind));
      return [...known, ...held.map((kind) => ({ node, kind, raised: false }))];
    });
    return { alarms: (await Promise.all(found)).flat(), strays, silent };
  }

  /** Resolves when all nodes that live know of it. */
  async changeAlarm(request: AlarmChangeRequest): Promise<void> {
    await this.#change(MESSAGE_TYPES.alarmChange, request);
  }

  /** The map as the placement group has it now. */
  async confirmedMap(): Promise<ClusterMap> {
    const fault = await confirmMap(this.#session, this.#session.options.requestTimeoutMs);
    if (fault !== undefined) throw fault;
    return this.#session.map.clusterMap;
  }

  /** The newest revision of a keyspace over all its shards. */
  revision(keyspaceId: number): Promise<number> {
    return askRevision(this.#session, keyspaceId);
  }

  /** The node at this address pins tables of shards that it leads; see BackupOpenRequest. */
  backupOpen(
    endpoint: string,
    request: BackupOpenRequest,
    timeoutMs: number,
  ): Promise<BackupOpenResponse> {
    return this.#askLong(endpoint, MESSAGE_TYPES.backupOpen, request, timeoutMs);
  }

  backupRead(
    endpoint: string,
    request: BackupReadRequest,
    timeoutMs: number,
  ): Promise<BackupReadResponse> {
    return this.#askLong(endpoint, MESSAGE_TYPES.backupRead, request, timeoutMs);
  }

  async backupRelease(
    endpoint: string,
    request: BackupReleaseRequest,
    timeoutMs: number,
  ): Promise<void> {
    await this.#askLong(endpoint, MESSAGE_TYPES.backupRelease, request, timeoutMs);
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

  /** Lets a node leave: its replicas begin to move away. */
  async removeMember(nodeId: number): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberRemove, { nodeId });
  }

  /** How many replicas a node that leaves still holds: 0 once it is gone, or when time is up. */
  async untilLeft(nodeId: number): Promise<number> {
    let held = 0;
    await this.#until((map) => {
      const isMember = map.nodes.some((node) => node.nodeId === nodeId);
      const holding = map.shards.filter(({ replicas }) =>
        replicas.some((replica) => replica.nodeId === nodeId),
      );
      held = isMember ? Math.max(1, holding.length) : 0;
      return !isMember;
    });
    return held;
  }

  /** Lets a node that was added as a learner hold voting replicas. */
  async promoteMember(nodeId: number): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberPromote, { nodeId });
  }

  async updateMember(request: MemberUpdateRequest): Promise<void> {
    await this.#change(MESSAGE_TYPES.memberUpdate, request);
  }

  /** Changes a shard's replicas by hand; resolves when that is done. */
  async changeReplica(request: ReplicaChangeRequest): Promise<void> {
    const { shardId, action, nodeId } = request;
    await this.#change(MESSAGE_TYPES.replicaChange, request);
    const done = await this.#until((map) => {
      const shard = map.shards.find((each) => each.shardId === shardId);
      const held = shard?.replicas.find((replica) => replica.nodeId === nodeId);
      if (action === "remove") return held === undefined;
      return action === "add" ? held !== undefined : held?.role === "voter";
    });
    if (done) return;
    const text = `the replicas of shard ${shardId} are being changed, and not there yet`;
    throw new KvError("timeout", text, "unknown");
  }

  /**
   * Whether a map showed it within the time of a request. What is waited for was asked for and
   * taken: that no map comes for now does not make it undone.
   */
  async #until(isShown: (map: ClusterMap) => boolean): Promise<boolean> {
    const { env, options } = this.#session;
    const endMs = env.clock.monotonicMs() + options.requestTimeoutMs;
    for (;;) {
      const fault = await this.#session.refresh().catch((error: unknown) => KvError.from(error));
      if (this.#session.closed) throw new KvError("closed", "the client is closed", "unknown");
      if (fault === undefined && isShown(this.#session.map.clusterMap)) return true;
      if (env.clock.monotonicMs() > endMs) return false;
      await new Promise<void>((resolve) => env.timers.after(POLL_MS, resolve));
    }
  }

  async #change(type: number, request: object): Promise<ClusterMap> {
    const { clusterMap } = await askPlacement(this.#session, {
      type,
      isRead: false,
      encode: (out) => encodePlain(out, request),
      decode: decodePlain<MembershipResponse>,
    });
    this.#session.take({ clusterMap, leaders: [] });
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

  /** What may take longer than a read does. */
  #askLong<Answer extends object>(
    endpoint: string,
    type: number,
    request: object,
    timeoutMs: number,
  ): Promise<Answer> {
    const encode = (out: ByteWriter): void => encodePlain(out, request);
    const decode = decodePlain<Answer>;
    return askAddress(this.#session, endpoint, { type, isRead: false, encode, decode }, timeoutMs);
  }

  async #untilRouted(keyspace: KeyspaceDescriptor, shardCount: number): Promise<void> {
    const range = keyspaceRange(keyspace.keyspaceId);
    if (await this.#until(() => this.#session.map.routesOf(range).length >= shardCount)) return;
    const text = `keyspace ${keyspace.name} was created, but its shards are not on the map yet`;
    throw new KvError("timeout", text, "unknown");
  }
}
