/**
 * The gateway's backend by the SDK: a client of the node's own, which goes to whoever serves a key.
 * etcd's clients see the default keyspace (etcd-keyspace.ts).
 */
import { must } from "../base/assert.js";
import { FIRST_KEY } from "../base/key-range.js";
import type { Admin } from "../client/admin.js";
import type { ReadOptions } from "../client/client-types.js";
import type { ClientEnv } from "../client/node-link.js";
import type { Timers } from "../env/timers.js";
import type {
  Backend,
  BackendWatch,
  Consistency,
  DeleteAnswer,
  HashAnswer,
  Member,
  MemberAlarm,
  NodeStatus,
  Origin,
  PutAnswer,
  RangeAnswer,
  TransactionAnswer,
  WatchOptions,
} from "../gateway/backend.js";
import { isEmptyRange } from "../gateway/kv-requests.js";
import { placementReplicas } from "../placement/members.js";
import type { ClusterMap, NodeDescriptor } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import type {
  DeleteOperation,
  PutOperation,
  RangeOperation,
  Transaction,
} from "../protocol/operations.js";
import { allAlarms, disarm, raiseAlarm, shownAlarms } from "./etcd-alarms.js";
import { ClientSource } from "./etcd-client-source.js";
import type { BackendNode } from "./etcd-client-source.js";
import { defaultShards, hashRefused, shownReplicas } from "./etcd-keyspace.js";
import { SdkLeases } from "./etcd-leases.js";
import { SdkLines } from "./etcd-lines.js";
import { LINEARIZABLE, LocalReads } from "./etcd-local-reads.js";
import { WatchStart } from "./etcd-watch-start.js";
import { SdkWatch } from "./etcd-watch.js";

const NAME_LENGTH_MAX = 64;
/** Of what reads or writes all there is. */
const LONG_TIMEOUT_MS: number = 10 * 60 * 1000;

export class SdkBackend implements Backend {
  readonly leases: SdkLeases;
  readonly lines: SdkLines;
  readonly #timers: Timers;
  readonly #node: BackendNode;
  readonly #source: ClientSource;
  readonly #localReads: LocalReads = new LocalReads();
  readonly #watchStart: WatchStart;
  /** Of the compactions that were answered here. */
  #compactedRevision = 0;

  constructor(env: ClientEnv, node: BackendNode) {
    this.#timers = env.timers;
    this.#node = node;
    this.#source = new ClientSource(env, node);
    this.#watchStart = new WatchStart(env.timers, this.#source);
    this.leases = new SdkLeases(this.#source);
    this.lines = new SdkLines(this.#source);
  }

  get origin(): Origin {
    return this.#source.origin;
  }

  get isLearner(): boolean {
    return this.#node.isLearner();
  }

  range(operation: RangeOperation, consistency: Consistency): Promise<RangeAnswer> {
    if (consistency === "linearizable") return this.#range(operation, LINEARIZABLE);
    return this.#localReads.read((read) => this.#range(operation, read));
  }

  async #range(operation: RangeOperation, read: ReadOptions): Promise<RangeAnswer> {
    const client = this.#source.connected ?? (await this.#source.client());
    const { key, rangeEnd, revision, keysOnly, countOnly } = operation;
    const isEmpty = isEmptyRange(key, rangeEnd);
    if (isEmpty || (rangeEnd === undefined && !isBounded(operation))) {
      const { header, kv } = await client.get(key, { ...read, revision, keysOnly, views: true });
      const found = kv === undefined || isEmpty ? [] : [kv];
      const kvs = countOnly ? [] : found;
      return { revision: this.#source.noted(header), kvs, more: false, count: found.length };
    }
    const { header, kvs, more, count } = await client.range({
      ...operation,
      ...read,
      fanOut: true,
    });
    return { revision: this.#source.noted(header), kvs, more, count };
  }

  async *scan(operation: RangeOperation, consistency: Consistency): AsyncGenerator<KeyValue, void> {
    const client = await this.#source.client();
    if (isEmptyRange(operation.key, operation.rangeEnd)) return;
    const level = consistency === "linearizable" ? "linearizable" : "stale";
    yield* client.scan({ ...operation, level });
  }

  async put(operation: PutOperation): Promise<PutAnswer> {
    const client = this.#source.connected ?? (await this.#source.client());
    const { header, prevKv } = await client.put(operation.key, operation.value, operation);
    return { revision: this.#wrote(header), prevKv };
  }

  async delete(operation: DeleteOperation): Promise<DeleteAnswer> {
    const client = this.#source.connected ?? (await this.#source.client());
    const { rangeEnd, prevKv } = operation;
    const answer = await client.delete(operation.key, { rangeEnd, prevKv });
    const { header, deleted, prevKvs } = answer;
    return { revision: this.#wrote(header), deleted, prevKvs };
  }

  txn(transaction: Transaction, consistency: Consistency): Promise<TransactionAnswer> {
    if (consistency === "linearizable") return this.#txn(transaction, LINEARIZABLE);
    return this.#localReads.read((read) => this.#txn(transaction, read));
  }

  async #txn(transaction: Transaction, read: ReadOptions): Promise<TransactionAnswer> {
    const client = this.#source.connected ?? (await this.#source.client());
    const { header, succeeded, results } = await client.txn(transaction, read);
    const revision = read.level === "stale" ? this.#source.noted(header) : this.#wrote(header);
    return { revision, succeeded, results };
  }

  async compact(revision: number, physical: boolean): Promise<number> {
    const client = this.#source.connected ?? (await this.#source.client());
    const { header } = await client.compact(revision, { physical });
    this.#compactedRevision = Math.max(this.#compactedRevision, revision);
    return this.#source.noted(header);
  }

  watch(options: WatchOptions): BackendWatch {
    if (options.startRevision < this.#compactedRevision) {
      return new SdkWatch(this.#behind(options.startRevision));
    }
    return new SdkWatch(
      this.#source.client().then((client) => client.watch({ ...options, fanOut: true })),
    );
  }

  /**
   * This node's replica may have yet to apply the compaction that was answered here; or it has
   * applied a later one, that another node was asked for.
   */
  async #behind(revision: number): Promise<never> {
    const client = await this.#source.client();
    const probe = client.get(FIRST_KEY, { level: "stale", revision, keysOnly: true });
    const bound = await probe.then(() => 0, compactedBound);
    throw behind(Math.max(bound, this.#compactedRevision));
  }

  watchRevision(): Promise<number> {
    return this.#watchStart.revision();
  }

  async members(consistency: Consistency): Promise<readonly Member[]> {
    // The header of what is answered with them comes from no shard.
    if (this.origin.raftTerm === 0) await this.status().catch(() => undefined);
    const { admin } = await this.#source.client();
    if (consistency === "serializable") return this.#membersKnown(admin);
    return membersOf(await admin.confirmedMap());
  }

  /** Of a node that has not heard of any member yet, not even of itself, that is no answer. */
  async #membersKnown(admin: Pick<Admin, "mapAt">): Promise<readonly Member[]> {
    const { clusterMap } = await admin.mapAt(this.#node.address);
    if (clusterMap.nodes.length > 0) return membersOf(clusterMap);
    throw notApplied("unavailable", "the cluster is being founded");
  }

  async addMember(peerAddress: string, learner: boolean): Promise<NodeDescriptor> {
    const client = await this.#source.client();
    const name = `member-${peerAddress.replace(/[^a-zA-Z0-9._-]/g, "-")}`;
    return client.admin.addMember({ name: name.slice(0, NAME_LENGTH_MAX), peerAddress, learner });
  }

  async removeMember(nodeId: number): Promise<void> {
    await (await this.#source.client()).admin.removeMember(nodeId);
  }

  async promoteMember(nodeId: number): Promise<void> {
    await (await this.#source.client()).admin.promoteMember(nodeId);
  }

  async updateMember(nodeId: number, peerAddress: string): Promise<void> {
    await (await this.#source.client()).admin.updateMember({ nodeId, peerAddress });
  }

  async status(): Promise<NodeStatus> {
    const { admin } = await this.#source.client();
    const { address } = this.#node;
    // Others may be out of reach, and what is asked for is what this one knows.
    const [status, map] = await Promise.all([admin.status(address), admin.mapAt(address)]);
    const shown = shownReplicas(status, map);
    this.#source.noteTerm(shown.term);
    return {
      ...shown,
      quotaBytes: status.quotaBytes ?? -1,
      logSyncs: status.logSyncs,
      storeCommits: status.storeCommits,
      storage: status.storage,
      eventLoopBusyMs: performance.eventLoopUtilization().active,
      residentBytes: process.memoryUsage.rss(),
      alarms: shownAlarms(this.origin.memberId, status, map.clusterMap),
    };
  }

  async alarms(): Promise<readonly MemberAlarm[]> {
    return allAlarms((await this.#source.client()).admin);
  }

  async raiseAlarm(alarm: MemberAlarm): Promise<void> {
    await raiseAlarm((await this.#source.client()).admin, alarm);
  }

  async disarm(alarm: MemberAlarm): Promise<boolean> {
    return disarm((await this.#source.client()).admin, alarm);
  }

  async defragment(): Promise<void> {
    const { admin } = await this.#source.client();
    await admin.defragment(this.#node.address, LONG_TIMEOUT_MS);
  }

  async hash(revision: number): Promise<HashAnswer> {
    const { admin } = await this.#source.client();
    const { clusterMap } = await admin.mapAt(this.#node.address);
    const [shardId = 0, ...others] = defaultShards(clusterMap);
    if (others.length > 0) throw hashRefused();
    const request = { shardId, revision };
    const answer = await admin.hash(this.#node.address, request, LONG_TIMEOUT_MS);
    const { appliedRevision, hash, compactedRevision } = answer;
    return { revision: appliedRevision, hash, hashRevision: answer.revision, compactedRevision };
  }

  async moveLeader(nodeId: number): Promise<void> {
    const { admin } = await this.#source.client();
    const { clusterMap } = await admin.map();
    await admin.moveLeader(must(defaultShards(clusterMap)[0]), nodeId);
  }

  /** Who waits in a line has to be told before. */
  async close(): Promise<void> {
    await this.lines.settled(this.#timers);
    this.#watchStart.close();
    await this.#source.close();
  }

  #wrote(header: ResponseHeader): number {
    this.#localReads.wrote(header.revision);
    return this.#source.noted(header);
  }
}

function behind(bound: number): KvError {
  return notApplied("compacted", `everything before revision ${bound} was compacted`, { bound });
}

function compactedBound(error: unknown): number {
  const { code, details } = KvError.from(error);
  return code === "compacted" ? (details.bound ?? 0) : 0;
}

function isBounded(operation: RangeOperation): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = operation;
  return minModRevision + maxModRevision + minCreateRevision + maxCreateRevision > 0;
}

/** Only who founded the cluster holds a replica of its placement group before it has started. */
function membersOf(map: ClusterMap): readonly Member[] {
  const founders = new Set(placementReplicas(map).map(({ nodeId }) => nodeId));
  return map.nodes.map((node) =>
    node.incarnation === "" && founders.has(node.nodeId) ? { ...node, isNamed: true } : node,
  );
}
