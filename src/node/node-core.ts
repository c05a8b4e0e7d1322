/**
 * The wired node: replicas, peers, clients, placement and sequencer, and who calls whom between
 * them. Policy lives in the parts; this file only joins them.
 */
import { must } from "../base/assert.js";
import { ByteReader } from "../base/coding.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { isHeard, strangerFault, wipedFault } from "../placement/members.js";
import type { PlacementState } from "../placement/records.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { NodeDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { ConnectionKind, Hello } from "../protocol/hello-codec.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import type { RoutedHeader } from "../protocol/routed-header.js";
import { decodeMessage } from "../raft/message-codec.js";
import type { RaftEvent } from "../raft/types.js";
import { keyPrefixLength } from "../route/stored-key.js";
import type { FrameConnection, FrameHandler } from "../rpc/frame-connection.js";
import { ReplicaHost } from "../shard/replica-host.js";
import type { ReplicaObserver } from "../shard/replica-host.js";
import type { ReplicaSettings } from "../shard/open-replica.js";
import type { Replica } from "../shard/replica.js";
import type { OpenedStore, Store } from "../store/store.js";
import { serveAdmin } from "./admin-service.js";
import { BackupSource } from "./backup-source.js";
import { ClientSession } from "./client-session.js";
import type { AdminRequest, SessionHost } from "./client-session.js";
import { ClusterView } from "./cluster-view.js";
import type { NodeConfig } from "./config.js";
import { foundingKeyspaces } from "./default-keyspace.js";
import { founderDescriptors, placementDescriptor } from "./identity.js";
import type { Identity } from "./identity.js";
import { Heartbeats } from "./heartbeats.js";
import { LeaderTransfers } from "./leader-transfers.js";
import type { NodeParts } from "./node-parts.js";
import { Peers } from "./peers.js";
import type { PeerRequest, PeerService } from "./peers.js";
import { command, servePeer } from "./peer-requests.js";
import { PlacementService } from "./placement-service.js";
import { FREES, Quota } from "./quota.js";
import { ReplicaOpener, SYSTEM_PREFIX_BYTES } from "./replica-opener.js";
import { RevisionClient } from "./revision-client.js";
import { RoomGuard } from "./room-guard.js";
import { Sequencer } from "./sequencer.js";
import { Tombstones } from "./tombstones.js";
import { failWatches } from "./watch-stream.js";

/** A connection to a node is given up when it says nothing for this many election time-outs. */
const SILENT_ELECTIONS = 2;
/** How long the map waits to be written to a disk that was full. */
const SAVE_RETRY_MS = 1000;

/** Connections of clients at once; each takes a file descriptor. */
const CLIENT_SESSIONS_MAX = 10_000;
/** How long leaderships that leave a full disk are waited for. */
const HAND_OVER_MS = 3000;

export class NodeCore implements NodeParts, SessionHost, PeerService, ReplicaObserver {
  readonly env: Env;
  readonly config: NodeConfig;
  readonly identity: Identity;
  readonly store: Store;
  readonly view: ClusterView;
  readonly peers: Peers;
  readonly host: ReplicaHost;
  readonly sequencer: Sequencer;
  readonly revisions: RevisionClient;
  readonly heartbeats: Heartbeats;
  readonly transfers: LeaderTransfers;
  readonly backups: BackupSource;
  readonly startedMs: number;
  readonly room: RoomGuard;
  placement: PlacementService | undefined;
  readonly #quota: Quota;
  #isRaising = false;
  readonly #sessions: Set<ClientSession> = new Set();
  readonly #reader = new ByteReader();
  readonly #refused: (error: KvError) => void;
  #dirty: ClientSession[] = [];
  #opener: ReplicaOpener | undefined;
  #saveTimer: Timer | undefined;
  #descriptor: NodeDescriptor | undefined;
  #closed = false;
  #ledPlacement = false;

  constructor(
    env: Env,
    config: NodeConfig,
    parts: {
      readonly identity: Identity;
      readonly store: Store;
      /** Others do not let this node in: it must stop. */
      readonly refused: (error: KvError) => void;
    },
  ) {
    this.#refused = parts.refused;
    this.env = env;
    this.config = config;
    this.identity = parts.identity;
    this.store = parts.store;
    this.startedMs = env.clock.monotonicMs();
    this.view = new ClusterView(env.disk, config.dataDirectory, parts.identity.clusterId);
    const { storeId, run } = parts.store;
    const silentMs = SILENT_ELECTIONS * config.electionTimeoutMaxMs;
    this.peers = new Peers(env, { ...parts.identity, incarnation: storeId, run, silentMs }, this);
    this.host = new ReplicaHost(env, parts.store, settingsOf(config, parts.identity.nodeId), {
      transport: this.peers,
      observer: this,
    });
    this.sequencer = new Sequencer(env, {
      placementReplica: () => this.host.replica(PLACEMENT_SHARD_ID),
      reservedTo: (keyspaceId) => this.placement?.reservedTo(keyspaceId) ?? 0,
      reserve: async (keyspaceId, upTo) => {
        if (this.placement === undefined) throw notApplied("unavailable", "no placement here");
        await this.placement.reserve(keyspaceId, upTo);
      },
    });
    const { sequencer, peers } = this;
    const placementLeader = (): number => this.placementLeader();
    this.revisions = new RevisionClient(env, this.nodeId, { sequencer, peers }, placementLeader);
    this.heartbeats = new Heartbeats(this);
    this.transfers = new LeaderTransfers(env, this.host);
    this.#quota = new Quota(config.quotaBytes, {
      isRaised: (kind) => this.view.isRaised(kind),
      heldBytes: () => this.#defaultKeyspaceBytes(),
      exceeded: () => this.#raiseNoSpace(),
    });
    this.backups = new BackupSource(env, { store: parts.store, host: this.host });
    // Who cannot take writes does not lead, where somebody else can.
    this.room = new RoomGuard(env, parts.store, config, () => this.#leaveUnfitDisk());
  }

  get nodeId(): number {
    return this.identity.nodeId;
  }

  get descriptor(): NodeDescriptor | undefined {
    return this.#descriptor;
  }

  /** Opens the replicas and begins to take part. */
  start(descriptor: NodeDescriptor, opened: Omit<OpenedStore, "store">): void {
    this.#descriptor = descriptor;
    const founding = placementDescriptor(this.config);
    const founds = founding.replicas.some((replica) => replica.nodeId === this.nodeId);
    const { store, host, view, revisions } = this;
    const whenOpened = (replica: Replica): void => {
      if (replica.raft.isStateLost) this.replicaDamaged(replica);
      else this.replicaRefilled(replica);
    };
    const tombstones = new Tombstones(this.env.disk, this.config.dataDirectory);
    const isAdmitted = (): boolean => this.#isAdmitted();
    const parts = { store, host, view, revisions, tombstones, isAdmitted, opened: whenOpened };
    this.#opener = new ReplicaOpener(this.env, parts, opened, founds ? founding : undefined);
    this.#mapTaken();
    this.heartbeats.start();
  }

  hello(kind: ConnectionKind): Hello {
    return kind === "client"
      ? { ...this.peers.hello("control"), kind }
      : this.peers.hello("control");
  }

  acceptClient(connection: FrameConnection, { features }: Hello): FrameHandler {
    const session = new ClientSession(this, connection, features);
    this.#sessions.add(session);
    if (this.#sessions.size > CLIENT_SESSIONS_MAX) connection.destroy();
    return session;
  }

  acceptPeer(connection: FrameConnection, hello: Hello): FrameHandler {
    return this.peers.accept(connection, hello);
  }

  get requestSizeBytesMax(): number {
    return this.config.requestSizeBytesMax;
  }

  resolve(header: RoutedHeader): Replica | KvError {
    const replica = this.host.replica(header.shardId);
    if (replica === undefined) return this.#notHere(header);
    if (replica.raft.isStateLost) return replica.notLeading();
    const { epoch, keyspaceId } = replica.descriptor;
    if (
      epoch.configuration === header.configuration &&
      epoch.range === header.range &&
      keyspaceId === header.keyspaceId &&
      keyspaceId !== SYSTEM_KEYSPACE_ID
    ) {
      return replica;
    }
    if (keyspaceId === SYSTEM_KEYSPACE_ID) {
      return notApplied("invalidArgument", "the system keyspace is not open to clients");
    }
    const details = { shards: [replica.descriptor], leaderNodeId: replica.leaderNodeId };
    return notApplied("staleEpoch", "the request was made from another map of the shards", details);
  }

  prefixLengthOf(replica: Replica): number {
    const keyspace = this.view.keyspace(replica.keyspaceId);
    return keyspace === undefined ? SYSTEM_PREFIX_BYTES : keyPrefixLength(keyspace);
  }

  writeRefusal(): KvError | undefined {
    return this.room.refusal;
  }

  refusalOf(replica: Replica, bytes: number): KvError | undefined {
    const refusal = bytes === FREES ? undefined : this.room.refusal;
    if (refusal !== undefined || !this.view.isDefaultKeyspace(replica.keyspaceId)) return refusal;
    return this.#quota.refusal(replica, bytes);
  }

  get quotaBytes(): number {
    return this.#quota.quotaBytes;
  }

  #defaultKeyspaceBytes(): number {
    let bytes = 0;
    for (const { keyspaceId, tree } of this.host.replicas) {
      if (this.view.isDefaultKeyspace(keyspaceId)) bytes += tree.heldBytes();
    }
    return bytes;
  }

  get isStalled(): boolean {
    return this.host.diskStalls || this.room.isStuck;
  }

  admin(request: AdminRequest): void {
    serveAdmin(this, request);
  }

  sessionDirty(session: ClientSession): void {
    session.dirty = true;
    this.#dirty.push(session);
  }

  sessionClosed(session: ClientSession): void {
    this.#sessions.delete(session);
  }

  raft(nodeId: number, bytes: Uint8Array, offset: number, end: number): void {
    const reader = this.#reader;
    reader.open(bytes, offset, end);
    const replica = this.host.replica(reader.u32());
    if (replica === undefined) return;
    const isPlacement = replica.shardId === PLACEMENT_SHARD_ID;
    if (isPlacement && !isHeard(this.view.map, nodeId)) return;
    const message = decodeMessage(reader);
    if (message.to !== replica.replicaId || replica.nodeOf(message.from) !== nodeId) return;
    // A full disk takes no entries; the leader hears nothing and tries again later.
    if (message.kind === "append") {
      const isNewLeader = replica.raft.lastTerm < message.term;
      if (!this.room.takes(message.runs, isNewLeader)) return;
    }
    replica.step(message);
  }

  request(request: PeerRequest): void {
    servePeer(this, request);
  }

  nodeLost(nodeId: number): void {
    if (this.#closed) return;
    this.placement?.lost(nodeId);
    this.host.nodeLost(nodeId);
  }

  nodeSilent(nodeId: number): void {
    if (!this.#closed) this.host.nodeSilent(nodeId);
  }

  nodeUp(): void {
    if (!this.#closed) this.host.nodeUp();
  }

  refuseNode(hello: Hello): KvError | undefined {
    const { map } = this.view;
    if (map.removedNodes?.includes(hello.nodeId) === true) {
      return strangerFault(map, hello.nodeId, hello.nodeId.toString(16));
    }
    const known = this.view.node(hello.nodeId);
    if (known === undefined || known.incarnation === "") return undefined;
    return known.incarnation === hello.incarnation ? undefined : wipedFault(known);
  }

  refusedBy(nodeId: number, error: KvError): void {
    const by = this.view.node(nodeId)?.name ?? nodeId;
    this.env.tracer.trace("error", "this node is refused", { by, reason: error.message });
    this.#refused(error);
  }

  roleChanged(replica: Replica): void {
    const nodeId = replica.leaderNodeId;
    const { shardId } = replica;
    if (nodeId !== 0 && shardId === PLACEMENT_SHARD_ID) this.heartbeats.soon();
    if (nodeId !== 0) this.view.noteLeader({ shardId, nodeId, term: replica.raft.term });
    this.transfers.roleChanged(replica);
    if (replica.raft.role === "leader") this.heartbeats.soon();
    this.env.tracer.trace("info", "raft role", {
      shardId,
      role: replica.raft.role,
      term: replica.raft.term,
      leader: this.view.node(nodeId)?.name ?? nodeId,
    });
  }

  replicaDamaged(replica: Replica): void {
    const isPlacement = replica.shardId === PLACEMENT_SHARD_ID;
    const reason = "this replica's data is damaged; another one has to serve";
    if (!isPlacement || replica.raft.isStateLost) this.#replicaClosed(replica, reason);
    else failWatches(replica, notApplied("unavailable", reason));
  }

  replicaRemoved(replica: Replica): void {
    this.#replicaClosed(replica, "this replica has left the node; another one has to serve");
  }

  replicaRefilled(replica: Replica): void {
    const isPlacement = replica.shardId === PLACEMENT_SHARD_ID;
    if (isPlacement && this.placement === undefined) this.#servePlacement(replica);
  }

  applied(replica: Replica): void {
    // Whoever wanted the change is told at once, so that the next one can follow.
    if (replica.descriptor.target !== undefined && replica.leads && replica.targetReached) {
      this.heartbeats.soon();
    }
    if (replica.shardId !== PLACEMENT_SHARD_ID || this.placement === undefined) return;
    const led = this.#ledPlacement;
    this.#ledPlacement = replica.leads;
    this.placement.applied();
    if (!led && replica.leads) this.placement.kick();
  }

  raftEvent(replica: Replica, event: RaftEvent): void {
    this.env.tracer.trace("debug", "raft event", { shardId: replica.shardId, ...event });
  }

  /** The placement leader is told at once, lest it moves leaderships here. */
  diskStallChanged(): void {
    this.heartbeats.soon();
  }

  turnEnded(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const session of dirty) {
      session.dirty = false;
      session.connection.flush();
    }
  }

  /** The node that leads the placement group, 0 where unknown. */
  placementLeader(): number {
    const own = this.host.replica(PLACEMENT_SHARD_ID);
    const leader = own?.leaderNodeId ?? 0;
    if (leader !== 0) return leader;
    const known = this.view.leaderOf(PLACEMENT_SHARD_ID);
    // Its own replica has led, and does not know who does now: others may.
    return known === this.nodeId ? 0 : known;
  }

  /** A newer map has come, from the placement leader. */
  mapHeard(map: ClusterView["map"]): void {
    if (this.#closed || !this.view.update(map)) return;
    this.#saveMap();
    this.#mapTaken();
  }

  status(): object {
    return {
      nodeId: this.nodeId,
      replicas: [...this.host.replicas].map((each) => each.describe()),
    };
  }

  /**
   * While its disk is full, or finishes nothing any more, fit nodes lead. Raft itself gives up only
   * what others have committed without this disk; a shard at rest would keep a leader that can
   * neither write nor refill anybody.
   */
  #leaveUnfitDisk(): void {
    if (!this.room.full && !this.isStalled) return;
    this.heartbeats.soon();
    const isFit = (nodeId: number): boolean =>
      this.view.fit.has(nodeId) && this.peers.isConnected(nodeId);
    void this.transfers.handOverAll(HAND_OVER_MS, isFit);
  }

  /** What cannot be raised now is raised by a later write. */
  #raiseNoSpace(): void {
    if (this.#isRaising) return;
    this.#isRaising = true;
    const { nodeId } = this;
    command(this, { kind: "changeAlarm", request: { nodeId, kind: "noSpace", raised: true } })
      .then(
        () => this.env.tracer.trace("error", "the default keyspace has exceeded its quota"),
        (error: unknown) => {
          const { code, message } = KvError.from(error);
          this.env.tracer.trace("warn", "the alarm was not raised", { code, reason: message });
        },
      )
      .finally(() => (this.#isRaising = false));
  }

  /** Transfers leaderships away; resolves when none is left here or the time is up. */
  async handOver(timeoutMs: number): Promise<void> {
    await this.transfers.handOverAll(timeoutMs, (nodeId) => this.peers.isConnected(nodeId));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.heartbeats.close();
    this.placement?.close();
    this.backups.close();
    this.#opener?.close();
    this.#saveTimer?.cancel();
    this.room.close();
    this.host.close();
    for (const session of this.#sessions) session.connection.close();
    this.peers.close();
  }

  #replicaClosed(replica: Replica, reason: string): void {
    failWatches(replica, notApplied("unavailable", reason));
    if (replica.shardId !== PLACEMENT_SHARD_ID) return;
    this.placement?.close();
    this.placement = undefined;
  }

  #servePlacement(replica: Replica): void {
    const { config } = this;
    const founds = this.identity.joined !== true;
    this.placement = new PlacementService(this.env, {
      replica,
      self: must(this.#descriptor, "what the node says of itself"),
      clusterId: this.identity.clusterId,
      founding: placementDescriptor(config),
      founders: founderDescriptors(config),
      initialKeyspaces: founds ? foundingKeyspaces(config.initialKeyspaces) : [],
      mapChanged: (state: PlacementState) => {
        if (state.map === undefined) return;
        this.mapHeard(state.map);
        if (replica.leads) this.peers.tellAll(MESSAGE_TYPES.mapNews);
      },
      transfer: (step, at) => this.transfers.ask(this.peers, step, at),
    });
  }

  /** Whether the cluster knows that this is its data directory. */
  #isAdmitted(): boolean {
    return this.view.node(this.nodeId)?.incarnation === this.store.storeId;
  }

  #mapTaken(): void {
    const { map } = this.view;
    this.peers.forget(map.removedNodes ?? []);
    this.peers.knowAll(map.nodes);
    this.peers.checkAll();
    this.#opener?.follow();
  }

  /** The map is in memory whatever becomes of its file, which only makes the next start faster. */
  #saveMap(): void {
    this.#saveTimer?.cancel();
    const fault = this.view.save();
    if (fault === undefined) return;
    this.env.tracer.trace("warn", "the map was not written", { reason: fault.message });
    this.#saveTimer = this.env.timers.after(SAVE_RETRY_MS, () => this.#saveMap());
  }

  #notHere(header: RoutedHeader): KvError {
    const shard = this.view.shard(header.shardId);
    if (shard === undefined) {
      return notApplied("shardNotFound", `there is no shard ${header.shardId} in this node's map`);
    }
    const known = this.view.leaderOf(shard.shardId);
    // Of a replica that is closed here it may still be said that it leads.
    const details = { shards: [shard], leaderNodeId: known === this.nodeId ? 0 : known };
    return notApplied("notLeader", "this node holds no replica of the shard", details);
  }
}

function settingsOf(config: NodeConfig, nodeId: number): ReplicaSettings {
  return {
    nodeId,
    electionTimeoutMs: { min: config.electionTimeoutMinMs, max: config.electionTimeoutMaxMs },
    heartbeatMs: config.heartbeatMs,
    leaseMs: config.leaderLeaseMs,
    quiesceAfterMs: config.quiesceAfterMs,
    clockDriftRatio: 0.01,
    tickMs: Math.max(5, Math.floor(config.heartbeatMs / 2)),
    campaignRankMs: 20,
    flow: config.flow,
    entryCacheBytes: config.entryCacheBytes,
  };
}
