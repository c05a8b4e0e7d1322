/**
 * Makes the replicas on this node those that the map wants: what has left is dropped, for ever;
 * what is missing is opened, from what the disk holds or as a new one. A
 * few milliseconds of it a turn, so that a keyspace of many shards holds nothing up. What meets a
 * full disk is tried again until there is room. What nobody can refill stays closed as long as
 * the node runs, and what the log held at the start is used once: later it is not what was
 * acknowledged.
 */
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import type { RecoveredShard } from "../log/log-types.js";
import { PLACEMENT_SHARD_ID } from "../protocol/cluster.js";
import type { ShardDescriptor } from "../protocol/cluster.js";
import { keyPrefixLength } from "../route/stored-key.js";
import { closedReasonOf, makeTrees, replicaOn } from "../shard/open-replica.js";
import type { ReplicaHost } from "../shard/replica-host.js";
import type { Replica } from "../shard/replica.js";
import type { OpenedStore, Store } from "../store/store.js";
import type { ClusterView } from "./cluster-view.js";
import type { RevisionClient } from "./revision-client.js";
import type { Tombstones } from "./tombstones.js";

const SLICE_MS = 4;
const RETRY_MS = 500;
/** Trees that are made by one edit of the manifest. */
const TREES_AT_ONCE = 64;
/** The prefix of keys in the system keyspace, which has no descriptor. */
export const SYSTEM_PREFIX_BYTES = 4;

export interface ReplicaOpenerParts {
  readonly store: Store;
  readonly host: ReplicaHost;
  readonly view: ClusterView;
  readonly revisions: RevisionClient;
  readonly tombstones: Tombstones;
  /** Whether a majority knows this data directory: another one would be refused from now on. */
  readonly isAdmitted: () => boolean;
  readonly opened: (replica: Replica) => void;
}

export class ReplicaOpener {
  readonly #env: Env;
  readonly #parts: ReplicaOpenerParts;
  /** The placement group, where this node founds it: known before there is a map. */
  readonly #founding: ShardDescriptor | undefined;
  readonly #recovered: Map<number, RecoveredShard>;
  readonly #missingFiles: Map<number, string>;
  /** By shard: the replica that this node holds, open or not. */
  readonly #held: Map<number, number> = new Map();
  readonly #logsLost: ReadonlySet<number>;
  #timer: Timer | undefined;
  /** What is to be opened, and how far that has come. */
  #waiting: readonly ShardDescriptor[] = [];
  #at = 0;
  #untilMs = 0;
  #refused = false;
  #closed = false;

  constructor(
    env: Env,
    parts: ReplicaOpenerParts,
    found: Omit<OpenedStore, "store">,
    founding: ShardDescriptor | undefined,
  ) {
    this.#env = env;
    this.#parts = parts;
    this.#founding = founding;
    this.#recovered = new Map(found.recovered);
    for (const [shardId, { replicaId }] of found.recovered) this.#held.set(shardId, replicaId);
    this.#logsLost = found.logsLost;
    this.#missingFiles = new Map([...found.damaged].map(([id, { message }]) => [id, message]));
  }

  /** The map is new: drops and opens what it says, now or in later turns. */
  follow(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#untilMs = this.#env.clock.monotonicMs() + SLICE_MS;
    const dropped = this.#dropLeft();
    if (dropped === "unfinished") return this.#later(0, () => this.follow());
    this.#describe();
    this.#waiting = this.#wanted().filter(({ shardId }) => !this.#isSettled(shardId));
    this.#at = 0;
    this.#openWaiting(dropped === "refused");
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** Opens what waits, as much of it as fits into this turn. */
  #openWaiting(refusedBefore: boolean): void {
    let refused = refusedBefore;
    for (; this.#at < this.#waiting.length; this.#at++) {
      if (this.#isLate) return this.#later(0, () => this.#openWaiting(refused));
      if (this.#at % TREES_AT_ONCE === 0) this.#makeTrees();
      // The node is stopping, and nothing can be made durable any more.
      if (this.#parts.store.failed) return;
      if (!this.#open(this.#waiting[this.#at]!)) refused = true;
    }
    this.#waiting = [];
    this.#refused = refused;
    if (refused) this.#later(RETRY_MS, () => this.follow());
  }

  /** Those of the shards that come next. Where there is no room for all, each is tried alone. */
  #makeTrees(): void {
    const { host, store } = this.#parts;
    const next = this.#waiting.slice(this.#at, this.#at + TREES_AT_ONCE);
    const sound = next.filter((shard) => this.#closedReason(shard) === undefined);
    try {
      makeTrees(store, host.nodeId, sound);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
    }
  }

  get #isLate(): boolean {
    return this.#env.clock.monotonicMs() > this.#untilMs;
  }

  #later(delayMs: number, run: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#env.timers.after(delayMs, () => {
      this.#untilMs = this.#env.clock.monotonicMs() + SLICE_MS;
      run();
    });
  }

  /** Drops replicas that the map does not know any more; refused where the disk is full. */
  #dropLeft(): "done" | "refused" | "unfinished" {
    let outcome: "done" | "refused" = "done";
    for (const [shardId, replicaId] of this.#held) {
      if (!this.#hasLeft(shardId, replicaId)) continue;
      if (this.#isLate) return "unfinished";
      try {
        this.#parts.tombstones.add(shardId, replicaId);
        this.#parts.host.remove(shardId);
      } catch (error) {
        if (!(error instanceof DiskError)) throw error;
        this.#traceRefusal(shardId, error);
        outcome = "refused";
        continue;
      }
      this.#held.delete(shardId);
      this.#recovered.delete(shardId);
      this.#env.tracer.trace("info", "a replica has left this node", { shardId, replicaId });
    }
    return outcome;
  }

  /** A map that is older than the replica does not say so by not naming it. */
  #hasLeft(shardId: number, replicaId: number): boolean {
    const { host, tombstones, view } = this.#parts;
    if (tombstones.has(shardId, replicaId)) return true;
    const shard = view.shard(shardId);
    if (shard === undefined || replicaId >= (view.map.nextReplicaId ?? 0)) return false;
    return replicaOn(shard, host.nodeId)?.replicaId !== replicaId;
  }

  #describe(): void {
    const { host, view } = this.#parts;
    for (const shard of view.map.shards) {
      const replica = host.replica(shard.shardId);
      const own = replicaOn(shard, host.nodeId);
      if (replica === undefined || replica.replicaId !== own?.replicaId) continue;
      replica.descriptor = shard;
      if (shard.target !== undefined) host.schedule(replica);
    }
  }

  #wanted(): ShardDescriptor[] {
    const { host, view, tombstones, isAdmitted } = this.#parts;
    const all = [...view.map.shards];
    // Before there is a map of it, the founders know the placement group from their settings.
    if (this.#founding !== undefined && view.shard(this.#founding.shardId) === undefined) {
      all.unshift(this.#founding);
    }
    const admitted = isAdmitted();
    return all.filter((shard) => {
      // What it acknowledged before could be forgotten with its disk, and nobody would know.
      if (!admitted && shard.shardId !== PLACEMENT_SHARD_ID) return false;
      const own = replicaOn(shard, host.nodeId);
      if (own === undefined || tombstones.has(shard.shardId, own.replicaId)) return false;
      // What is left of an earlier replica here is dropped first.
      return (this.#held.get(shard.shardId) ?? own.replicaId) === own.replicaId;
    });
  }

  #isSettled(shardId: number): boolean {
    const { host } = this.#parts;
    return host.replica(shardId) !== undefined || host.damagedShards.has(shardId);
  }

  /** False where the disk has no room for it now. */
  #open(shard: ShardDescriptor): boolean {
    const { shardId } = shard;
    const { host } = this.#parts;
    const recovered = this.#recovered.get(shardId);
    const reason = this.#closedReason(shard);
    if (reason !== undefined) {
      host.keepClosed(shardId, reason);
      return true;
    }
    let replica: Replica;
    try {
      replica = this.#openHere(shard, recovered);
    } catch (error) {
      // After any other trouble of the disk the store has failed, and the node is stopping.
      if (!(error instanceof DiskError)) throw error;
      this.#traceRefusal(shardId, error);
      return false;
    }
    this.#recovered.delete(shardId);
    this.#missingFiles.delete(shardId);
    this.#held.set(shardId, replica.replicaId);
    // The first leader of a new shard is the one the map prefers, without waiting for a time-out.
    const fresh = replica.raft.term === 0 && shard.preferredNodeId === host.nodeId;
    // A replica that only learns does not stand for election, whatever it is asked.
    if (fresh) replica.raft.campaign(this.#env.clock.monotonicMs());
    this.#parts.opened(replica);
    return true;
  }

  #closedReason({ shardId }: ShardDescriptor): string | undefined {
    const tree = this.#parts.store.tree(shardId);
    return closedReasonOf(tree, this.#recovered.get(shardId), this.#logsLost.has(shardId));
  }

  #openHere(shard: ShardDescriptor, recovered: RecoveredShard | undefined): Replica {
    const { host, view, revisions } = this.#parts;
    const keyspace = view.keyspace(shard.keyspaceId);
    const prefix = keyspace === undefined ? SYSTEM_PREFIX_BYTES : keyPrefixLength(keyspace);
    const sequenced = keyspace !== undefined && !keyspace.dense;
    const found = { recovered, missingFile: this.#missingFiles.get(shard.shardId) };
    return host.open(shard, found, sequenced ? revisions : undefined, prefix);
  }

  /** Told once, not at every try. */
  #traceRefusal(shardId: number, error: DiskError): void {
    if (this.#refused) return;
    this.#refused = true;
    const reason = error.message;
    this.#env.tracer.trace("error", "a replica waits for room on the disk", { shardId, reason });
  }
}
