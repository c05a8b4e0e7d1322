/**
 * Opens the replicas that the map wants on this node, from what the disk holds or as new ones. A
 * few milliseconds of it a turn, so that a keyspace of many shards holds nothing up. What meets a
 * full disk is tried again until there is room. What nobody can refill stays closed as long as
 * the node runs, and what the log held at the start is used once: later it is not what was
 * acknowledged.
 */
import { DiskError } from "../env/disk.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import type { RecoveredShard } from "../log/log-types.js";
import type { ShardDescriptor } from "../protocol/cluster.js";
import { keyPrefixLength } from "../route/stored-key.js";
import { closedReasonOf } from "../shard/open-replica.js";
import type { ReplicaHost } from "../shard/replica-host.js";
import type { Replica } from "../shard/replica.js";
import type { OpenedStore, Store } from "../store/store.js";
import type { ClusterView } from "./cluster-view.js";
import type { RevisionClient } from "./revision-client.js";

const SLICE_MS = 4;
const RETRY_MS = 500;
/** The prefix of keys in the system keyspace, which has no descriptor. */
export const SYSTEM_PREFIX_BYTES = 4;

export interface ReplicaOpenerParts {
  readonly store: Store;
  readonly host: ReplicaHost;
  readonly view: ClusterView;
  readonly revisions: RevisionClient;
  readonly opened: (replica: Replica) => void;
}

export class ReplicaOpener {
  readonly #env: Env;
  readonly #parts: ReplicaOpenerParts;
  /** The placement group, where this node founds it: known before there is a map. */
  readonly #founding: ShardDescriptor | undefined;
  readonly #recovered: Map<number, RecoveredShard>;
  readonly #missingFiles: Map<number, string>;
  readonly #shardsMayBeMissing: boolean;
  #timer: Timer | undefined;
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
    this.#shardsMayBeMissing = found.shardsMayBeMissing;
    this.#missingFiles = new Map([...found.damaged].map(([id, { message }]) => [id, message]));
  }

  /** Opens what is missing, now or in later turns. */
  openMissing(): void {
    if (this.#closed) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    const { clock } = this.#env;
    const untilMs = clock.monotonicMs() + SLICE_MS;
    let refused = false;
    for (const shard of this.#wanted()) {
      if (this.#isSettled(shard.shardId)) continue;
      if (clock.monotonicMs() > untilMs) return this.#again(0);
      if (!this.#open(shard)) refused = true;
    }
    this.#refused = refused;
    if (refused) this.#again(RETRY_MS);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #again(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#env.timers.after(delayMs, () => this.openMissing());
  }

  #wanted(): ShardDescriptor[] {
    const { host, view } = this.#parts;
    const wanted = view.map.shards.filter((shard) =>
      shard.replicas.some((each) => each.nodeId === host.nodeId),
    );
    return this.#founding === undefined ? wanted : [this.#founding, ...wanted];
  }

  #isSettled(shardId: number): boolean {
    const { host } = this.#parts;
    return host.replica(shardId) !== undefined || host.damagedShards.has(shardId);
  }

  /** False where the disk has no room for it now. */
  #open(shard: ShardDescriptor): boolean {
    const { shardId } = shard;
    const { host, store } = this.#parts;
    const recovered = this.#recovered.get(shardId);
    const reason = closedReasonOf(store.tree(shardId), recovered, this.#shardsMayBeMissing);
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
    // The first leader of a new shard is the one the map prefers, without waiting for a time-out.
    const fresh = replica.raft.term === 0 && shard.preferredNodeId === host.nodeId;
    if (fresh) replica.raft.campaign(this.#env.clock.monotonicMs());
    this.#parts.opened(replica);
    return true;
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
