/**
 * The placement group at work, on every node that holds a replica of it. Every such node keeps the
 * map up to date from what its replica applied; the leader also founds the cluster, admits nodes,
 * runs commands one at a time, moves leaderships to where the map wants them, and takes the small
 * steps by which replicas move.
 *
 * What is under way lies in the map, so another leader goes on from there.
 */
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { createKeyspace, foundCluster, preferLeader } from "../placement/commands.js";
import { changeAlarm } from "../placement/alarms.js";
import type { PlacementDecision } from "../placement/decision.js";
import {
  addMember,
  forgetLeft,
  haveMostCome,
  joinMember,
  promoteMember,
  registerNode,
  removeMember,
  updateMember,
} from "../placement/members.js";
import {
  abandonTarget,
  beginStep,
  changeReplica,
  confirms,
  confirmTarget,
} from "../placement/replicas.js";
import { reservedRecord } from "../placement/records.js";
import type { PlacementState } from "../placement/records.js";
import { balanceLeaders } from "../placement/schedulers/balance-leader.js";
import { planRepairs } from "../placement/schedulers/repair.js";
import type { AlarmChangeRequest, KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import type { ClusterMap, KeyspaceDescriptor } from "../protocol/cluster.js";
import type { NodeDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { Replica } from "../shard/replica.js";
import { ALIVE_MS, HealthBook } from "./cluster-health.js";
import { confirmedRevision } from "./internal-requests.js";
import { MapSpread } from "./map-spread.js";
import { PlacementData } from "./placement-data.js";
import type {
  JoinAnswer,
  JoinRequest,
  NodeHeartbeat,
  NodeHeartbeatAnswer,
  PlacementCommand,
} from "./placement-messages.js";

const SCHEDULE_INTERVAL_MS = 250;
/** Founders that come later than this are not waited for. */
const FOUNDING_WAIT_MS = 2000;
const TRANSFERS_MAX = 4;
const STEPS_MAX = 16;
/** A transfer that did not show within this is asked for again. */
const TRANSFER_RETRY_MS = 3000;

export interface PlacementHost {
  readonly replica: Replica;
  /** What this node says of itself. */
  readonly self: NodeDescriptor;
  readonly clusterId: string;
  /** The placement group as this node's settings have it: what the cluster is founded with. */
  readonly founding: ShardDescriptor;
  readonly founders: readonly NodeDescriptor[];
  readonly initialKeyspaces: readonly KeyspaceCreateRequest[];
  /** The map has changed. */
  mapChanged(state: PlacementState): void;
  transfer(step: { readonly shardId: number; readonly toNodeId: number }, at: number): void;
}

/** Commands that change members or replicas, and are answered by the map. */
export type MembershipCommand = Exclude<
  PlacementCommand,
  {
    readonly kind:
      | "createKeyspace"
      | "confirmMap"
      | "moveLeader"
      | "transfer"
      | "join"
      | "changeAlarm";
  }
>;

export class PlacementService {
  readonly #env: Env;
  readonly #host: PlacementHost;
  readonly #data: PlacementData;
  readonly #health: HealthBook;
  readonly #spread: MapSpread;
  readonly #transferred: Map<number, number> = new Map();
  #timer: Timer | undefined;
  /** Since when this node leads; undefined while it does not. */
  #leadsSinceMs: number | undefined;
  #working = false;
  #closed = false;

  constructor(env: Env, host: PlacementHost) {
    this.#env = env;
    this.#host = host;
    this.#health = new HealthBook(env.clock);
    this.#spread = new MapSpread(env.timers, this.#health);
    this.#data = new PlacementData(host.replica, (state) => host.mapChanged(state));
    this.applied();
    this.#schedule();
  }

  get leads(): boolean {
    return this.#host.replica.leads;
  }

  /** Called after the placement replica applied something. */
  applied(): void {
    this.#data.applied();
  }

  /** The leader answers a node's sign of life. */
  async heartbeat(beat: NodeHeartbeat): Promise<NodeHeartbeatAnswer> {
    if (!this.leads) throw this.#host.replica.notLeading();
    if (this.#data.state.map !== undefined) {
      await this.#registerSelf();
      const decision = registerNode(this.#data.state, beat.node);
      if (decision.kind === "refused") throw decision.error;
      if (decision.kind === "write") {
        await this.#data.change((state) => registerNode(state, beat.node));
        this.kick();
      }
    }
    this.#health.heard(beat);
    this.#spread.heard();
    if (beat.reports.some((report) => this.#isConfirmed(report.shardId))) this.kick();
    const { map } = this.#data.state;
    return {
      map: map === undefined || map.version === beat.mapVersion ? undefined : map,
      leaders: [...this.#health.leaders.values()],
      fit: [...this.#health.now().fit],
    };
  }

  /** The connection to a node broke: until it is heard again it is not counted on. */
  lost(nodeId: number): void {
    this.#health.lost(nodeId);
  }

  /** Something changed: acts now instead of at the next interval. */
  kick(): void {
    if (this.#closed || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#act();
  }

  async createKeyspace(request: KeyspaceCreateRequest): Promise<KeyspaceDescriptor> {
    await this.#data.change((state) => createKeyspace(state, request));
    const { map } = this.#data.state;
    const made = map?.keyspaces.find((each) => each.name === request.name);
    if (made === undefined) throw notApplied("internal", "the keyspace was not made");
    return made;
  }

  /** The map with everything in it that was written before this was asked. */
  async confirmedMap(): Promise<ClusterMap> {
    await confirmedRevision(this.#host.replica);
    this.applied();
    return this.#map();
  }

  /** Remembers where a shard's leader should be, and moves it there. */
  async moveLeader(shardId: number, nodeId: number): Promise<void> {
    await this.#data.change((state) => preferLeader(state, shardId, nodeId));
    const leader = this.#health.leaders.get(shardId)?.nodeId;
    if (leader === nodeId) return;
    if (leader === undefined) throw notApplied("unavailable", "the shard has no leader now");
    this.#transferred.set(shardId, this.#env.clock.monotonicMs());
    this.#host.transfer({ shardId, toNodeId: nodeId }, leader);
  }

  /**
   * Changes the members, or a shard's replicas; gives the map as it is then. Of members the nodes
   * that live have heard by then: any of them may be asked next who there is.
   */
  async changeMembership(command: MembershipCommand): Promise<ClusterMap> {
    if (!this.#knowsEnough()) {
      throw notApplied("unavailable", "the placement leader is new; try again");
    }
    await this.#data.change((state) => this.#decide(state, command));
    this.kick();
    if (command.kind !== "changeReplica") await this.#spread.until(this.#map().version);
    return this.#map();
  }

  /** Resolves when all nodes that live have heard of it. */
  async changeAlarm(request: AlarmChangeRequest): Promise<ClusterMap> {
    await this.#data.change((state) => changeAlarm(state, request));
    await this.#spread.until(this.#map().version);
    return this.#map();
  }

  /** Tells a node that starts for the first time who it is. */
  async join(request: JoinRequest): Promise<JoinAnswer> {
    await this.#registerSelf();
    await this.#data.change((state) => joinMember(state, request));
    const clusterMap = this.#map();
    const node = clusterMap.nodes.find((each) => each.incarnation === request.incarnation);
    if (node === undefined) throw notApplied("internal", "the member was not made");
    return { nodeId: node.nodeId, clusterMap };
  }

  /** Makes durable that revisions up to `upTo` may have been handed out. */
  async reserve(keyspaceId: number, upTo: number): Promise<void> {
    await this.#data.change((state) => {
      if ((state.reserved.get(keyspaceId) ?? 0) >= upTo) return { kind: "nothing" };
      return { kind: "write", steps: [[reservedRecord(keyspaceId, upTo)]] };
    });
  }

  reservedTo(keyspaceId: number): number {
    return this.#data.state.reserved.get(keyspaceId) ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /**
   * Before anybody else: once most are registered they hear nobody who is not, and would lose the
   * leader who has just let them in.
   */
  async #registerSelf(): Promise<void> {
    const { self } = this.#host;
    const known = this.#data.state.map?.nodes.find(({ nodeId }) => nodeId === self.nodeId);
    if (known?.incarnation !== "") return;
    await this.#data.change((state) => registerNode(state, self));
    this.kick();
  }

  #map(): ClusterMap {
    const { map } = this.#data.state;
    if (map === undefined) throw notApplied("unavailable", "the cluster is being founded");
    return map;
  }

  #decide(state: PlacementState, command: MembershipCommand): PlacementDecision {
    switch (command.kind) {
      case "addMember":
        return addMember(state, command.request);
      case "removeMember":
        return removeMember(state, command.request.nodeId, this.#health.now());
      case "promoteMember":
        return promoteMember(state, command.request.nodeId);
      case "updateMember":
        return updateMember(state, command.request);
      case "changeReplica":
        return changeReplica(state, command.request, this.#health.now());
    }
  }

  #schedule(): void {
    this.#timer = this.#env.timers.after(SCHEDULE_INTERVAL_MS, () => this.#act());
  }

  #act(): void {
    if (this.#closed) return;
    if (this.leads) {
      this.#leadsSinceMs ??= this.#env.clock.monotonicMs();
      this.#lead();
    } else {
      this.#leadsSinceMs = undefined;
      this.#health.forget();
    }
    this.#schedule();
  }

  #lead(): void {
    this.#found();
    const { map } = this.#data.state;
    if (map === undefined) return;
    this.#moveLeaders(map);
    if (!this.#working) this.#background(this.#moveReplicas());
  }

  #moveLeaders(map: ClusterMap): void {
    const nowMs = this.#env.clock.monotonicMs();
    const { leaders } = this.#health;
    for (const step of balanceLeaders(map, leaders, this.#health.now().fit, TRANSFERS_MAX)) {
      const last = this.#transferred.get(step.shardId) ?? Number.NEGATIVE_INFINITY;
      if (nowMs - last < TRANSFER_RETRY_MS) continue;
      this.#transferred.set(step.shardId, nowMs);
      this.#host.transfer(step, step.fromNodeId);
    }
  }

  /** Confirms what was reached, plans what comes next, lets go of nodes that are empty. */
  async #moveReplicas(): Promise<boolean> {
    const { version } = this.#map();
    for (const shard of this.#map().shards) {
      const report = this.#health.now().reports.get(shard.shardId);
      if (shard.target === undefined || report === undefined) continue;
      await this.#data.change((state) => confirmTarget(state, report));
    }
    if (this.#knowsEnough()) {
      for (const { shardId, target } of this.#map().shards) {
        if (target === undefined) continue;
        await this.#data.change((state) => abandonTarget(state, shardId, this.#health.now()));
      }
      for (const step of planRepairs(this.#data.state, this.#health.now(), STEPS_MAX)) {
        await this.#data.change((state) => beginStep(state, step));
      }
    }
    await this.#data.change(forgetLeft);
    return this.#map().version !== version;
  }

  #isConfirmed(shardId: number): boolean {
    const shard = this.#data.state.map?.shards.find((each) => each.shardId === shardId);
    const report = this.#health.now().reports.get(shardId);
    return shard !== undefined && report !== undefined && confirms(shard, report);
  }

  /** A new leader first hears who lives, and how changes stand: from all, or for long enough. */
  #knowsEnough(): boolean {
    const sinceMs = this.#leadsSinceMs;
    if (sinceMs === undefined) return false;
    const started = this.#map().nodes.filter((node) => node.incarnation !== "");
    if (this.#health.heardAll(started, sinceMs)) return true;
    return this.#env.clock.monotonicMs() - sinceMs > ALIVE_MS;
  }

  /** Makes the cluster, and once the founders have come, or most of them, its first keyspaces. */
  #found(): void {
    const { map } = this.#data.state;
    const { clusterId, founding, founders, initialKeyspaces } = this.#host;
    if (this.#working) return;
    if (map?.shards.some((shard) => shard.shardId === PLACEMENT_SHARD_ID) !== true) {
      this.#background(
        this.#data
          .change((state) => foundCluster(state, clusterId, founding, founders))
          .then(() => true),
      );
      return;
    }
    if (!this.#haveCome(map)) return;
    const wanted = initialKeyspaces.find(
      (keyspace) => !map.keyspaces.some((each) => each.name === keyspace.name),
    );
    if (wanted === undefined) return;
    this.#background(this.#data.change((state) => createKeyspace(state, wanted)).then(() => true));
  }

  #haveCome(map: ClusterMap): boolean {
    const { nodes, removedNodes = [] } = map;
    const isThere = ({ nodeId }: { readonly nodeId: number }): boolean =>
      removedNodes.includes(nodeId) ||
      nodes.some((node) => node.nodeId === nodeId && node.incarnation !== "");
    if (this.#host.founding.replicas.every(isThere)) return true;
    const waitedMs = this.#env.clock.monotonicMs() - (this.#leadsSinceMs ?? Infinity);
    return waitedMs >= FOUNDING_WAIT_MS && haveMostCome(map);
  }

  /** One piece of work at a time; where it changed something, what comes next follows at once. */
  #background(work: Promise<boolean>): void {
    this.#working = true;
    work.then(
      (changed) => {
        this.#working = false;
        if (changed) this.kick();
      },
      (error: unknown) => {
        this.#working = false;
        const { code, message } = KvError.from(error);
        this.#env.tracer.trace("warn", "placement could not act", { code, reason: message });
      },
    );
  }
}
