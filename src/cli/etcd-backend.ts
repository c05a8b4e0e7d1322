/**
 * The gateway's backend by the SDK: a client of the node's own, which goes to whoever serves a key.
 * etcd's clients see the default keyspace (etcd-keyspace.ts).
 */
import { must } from "../base/assert.js";
import { FIRST_KEY } from "../base/key-range.js";
import { connectBy } from "../client/client.js";
import type { ReadOptions } from "../client/client-types.js";
import type { Client } from "../client/client.js";
import type { ClientEnv } from "../client/node-link.js";
import type { Watch } from "../client/watch.js";
import type {
  Backend,
  BackendWatch,
  Consistency,
  DeleteAnswer,
  HashAnswer,
  MemberAlarm,
  NodeStatus,
  Origin,
  PutAnswer,
  RangeAnswer,
  TransactionAnswer,
  WatchItem,
  WatchOptions,
} from "../gateway/backend.js";
import { isEmptyRange } from "../gateway/kv-requests.js";
import type { StatusResponse } from "../protocol/admin-messages.js";
import type { AlarmKind, ClusterMap, NodeDescriptor, StrayAlarm } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import type {
  DeleteOperation,
  PutOperation,
  RangeOperation,
  Transaction,
} from "../protocol/operations.js";
import { defaultShards, hashRefused, shownReplicas } from "./etcd-keyspace.js";
import { SdkLeases } from "./etcd-leases.js";
import type { ClientSource } from "./etcd-leases.js";
import { SdkLines } from "./etcd-lines.js";

export interface BackendNode {
  /** Where this node serves clients. */
  readonly address: string;
  readonly nodeId: number;
  readonly clusterId: bigint;
  readonly requestSizeBytesMax: number;
  /** Whether it is a member that learns, as far as it knows. */
  isLearner(): boolean;
}

const NAME_LENGTH_MAX = 64;
const LINEARIZABLE: ReadOptions = { level: "linearizable" };
/** How long a watch waits for the newest revision, before it begins at what its node has. */
const CONFIRM_MS = 100;
/** Of what reads or writes all there is. */
const LONG_TIMEOUT_MS: number = 10 * 60 * 1000;
export class SdkBackend implements Backend {
  origin: Origin;
  readonly leases: SdkLeases;
  readonly lines: SdkLines;
  readonly #env: ClientEnv;
  readonly #node: BackendNode;
  /** Of all that answers have told. */
  #newestRevision = 0;
  /** Of the writes that were answered here. */
  #writtenRevision = 0;
  /** The newest revision was not confirmed when it was asked for last. */
  #isUnconfirmed = false;
  #isProbing = false;
  /** Of the compactions that were answered here. */
  #compactedRevision = 0;
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;

  constructor(env: ClientEnv, node: BackendNode) {
    this.#env = env;
    this.#node = node;
    const { clusterId, nodeId } = node;
    this.origin = { clusterId, memberId: BigInt(nodeId), raftTerm: 0 };
    const source: ClientSource = {
      client: () => this.#connected(),
      noted: (header) => this.#noted(header),
    };
    this.leases = new SdkLeases(source);
    this.lines = new SdkLines(source);
  }

  get isLearner(): boolean {
    return this.#node.isLearner();
  }

  range(operation: RangeOperation, consistency: Consistency): Promise<RangeAnswer> {
    if (consistency === "linearizable") return this.#range(operation, LINEARIZABLE);
    return this.#readLocally((read) => this.#range(operation, read));
  }

  async #range(operation: RangeOperation, read: ReadOptions): Promise<RangeAnswer> {
    const client = this.#client ?? (await this.#connected());
    const { key, rangeEnd, revision, keysOnly, countOnly } = operation;
    const isEmpty = isEmptyRange(key, rangeEnd);
    if (isEmpty || (rangeEnd === undefined && !isBounded(operation))) {
      const { header, kv } = await client.get(key, { ...read, revision, keysOnly, views: true });
      const found = kv === undefined || isEmpty ? [] : [kv];
      const kvs = countOnly ? [] : found;
      return { revision: this.#noted(header), kvs, more: false, count: found.length };
    }
    const { header, kvs, more, count } = await client.range({
      ...operation,
      ...read,
      fanOut: true,
    });
    return { revision: this.#noted(header), kvs, more, count };
  }

  async *scan(operation: RangeOperation, consistency: Consistency): AsyncGenerator<KeyValue, void> {
    const client = await this.#connected();
    if (isEmptyRange(operation.key, operation.rangeEnd)) return;
    const level = consistency === "linearizable" ? "linearizable" : "stale";
    yield* client.scan({ ...operation, level });
  }

  async put(operation: PutOperation): Promise<PutAnswer> {
    const client = this.#client ?? (await this.#connected());
    const { header, prevKv } = await client.put(operation.key, operation.value, operation);
    return { revision: this.#wrote(header), prevKv };
  }

  async delete(operation: DeleteOperation): Promise<DeleteAnswer> {
    const client = this.#client ?? (await this.#connected());
    const { rangeEnd, prevKv } = operation;
    const answer = await client.delete(operation.key, { rangeEnd, prevKv });
    const { header, deleted, prevKvs } = answer;
    return { revision: this.#wrote(header), deleted, prevKvs };
  }

  txn(transaction: Transaction, consistency: Consistency): Promise<TransactionAnswer> {
    if (consistency === "linearizable") return this.#txn(transaction, LINEARIZABLE);
    return this.#readLocally((read) => this.#txn(transaction, read));
  }

  async #txn(transaction: Transaction, read: ReadOptions): Promise<TransactionAnswer> {
    const client = this.#client ?? (await this.#connected());
    const { header, succeeded, results } = await client.txn(transaction, read);
    const revision = read.level === "stale" ? this.#noted(header) : this.#wrote(header);
    return { revision, succeeded, results };
  }

  /**
   * By this node's replica, which has what was written by this node before: so it is in etcd, where
   * the member that is asked has applied a write when it answers.
   */
  async #readLocally<Answer>(read: (options: ReadOptions) => Promise<Answer>): Promise<Answer> {
    const minRevision = this.#writtenRevision;
    try {
      return await read({ level: "stale", minRevision });
    } catch (error) {
      const { code } = KvError.from(error);
      // A replica that lags cannot tell what is to come from what it has not heard of yet, and who
      // reads at a revision that another node told him of means the latter: the leader knows.
      if (code === "futureRevision") return read(LINEARIZABLE);
      if (minRevision === 0 || (code !== "unavailable" && code !== "timeout")) throw error;
      // It is cut off and will not hear of that write: what it has is what was asked for.
      if (this.#writtenRevision === minRevision) this.#writtenRevision = 0;
      return read({ level: "stale" });
    }
  }

  async compact(revision: number, physical: boolean): Promise<number> {
    const client = this.#client ?? (await this.#connected());
    const { header } = await client.compact(revision, { physical });
    this.#compactedRevision = Math.max(this.#compactedRevision, revision);
    return this.#noted(header);
  }

  watch(options: WatchOptions): BackendWatch {
    // This node's replica may have yet to apply what was answered here.
    const compacted = this.#compactedRevision;
    if (options.startRevision < compacted) return new SdkWatch(Promise.reject(behind(compacted)));
    return new SdkWatch(
      this.#connected().then((client) => client.watch({ ...options, fanOut: true })),
    );
  }

  async watchRevision(): Promise<number> {
    const client = this.#client ?? (await this.#connected());
    const { keyspaceId, dense } = await client.admin.keyspace();
    // Of many shards no node knows how far all of them are.
    if (!dense) return client.admin.revision(keyspaceId);
    if (await this.#confirmedSoon(client)) return this.#newestRevision;
    // Any key will do. Who was told of a write by the leader may be ahead of this node's replica.
    this.#noted((await client.get(FIRST_KEY, { level: "stale", keysOnly: true })).header);
    return this.#newestRevision;
  }

  /**
   * Whether the newest revision was confirmed just now, so that a watch begins behind what was
   * answered by any node. While nobody confirms anything only the first one waits for that.
   */
  async #confirmedSoon(client: Client): Promise<boolean> {
    if (this.#isUnconfirmed) {
      this.#probe(client);
      return false;
    }
    const tooLate = new Promise<boolean>((resolve) => {
      this.#env.timers.after(CONFIRM_MS, () => resolve(false));
    });
    const isConfirmed = await Promise.race([this.#confirm(client), tooLate]);
    this.#isUnconfirmed ||= !isConfirmed;
    return isConfirmed;
  }

  #probe(client: Client): void {
    if (this.#isProbing) return;
    this.#isProbing = true;
    void this.#confirm(client).then(() => (this.#isProbing = false));
  }

  async #confirm(client: Client): Promise<boolean> {
    try {
      this.#noted((await client.get(FIRST_KEY, { keysOnly: true })).header);
      this.#isUnconfirmed = false;
      return true;
    } catch {
      return false;
    }
  }

  async members(consistency: Consistency): Promise<readonly NodeDescriptor[]> {
    // The header of what is answered with them comes from no shard.
    if (this.origin.raftTerm === 0) await this.status().catch(() => undefined);
    const { admin } = await this.#connected();
    if (consistency === "serializable") {
      return (await admin.mapAt(this.#node.address)).clusterMap.nodes;
    }
    return (await admin.confirmedMap()).nodes;
  }

  async addMember(peerAddress: string, learner: boolean): Promise<NodeDescriptor> {
    const client = await this.#connected();
    const name = `member-${peerAddress.replace(/[^a-zA-Z0-9._-]/g, "-")}`;
    return client.admin.addMember({ name: name.slice(0, NAME_LENGTH_MAX), peerAddress, learner });
  }

  async removeMember(nodeId: number): Promise<void> {
    await (await this.#connected()).admin.removeMember(nodeId);
  }

  async promoteMember(nodeId: number): Promise<void> {
    await (await this.#connected()).admin.promoteMember(nodeId);
  }

  async updateMember(nodeId: number, peerAddress: string): Promise<void> {
    await (await this.#connected()).admin.updateMember({ nodeId, peerAddress });
  }

  async status(): Promise<NodeStatus> {
    const { admin } = await this.#connected();
    const { address } = this.#node;
    // Others may be out of reach, and what is asked for is what this one knows.
    const [status, map] = await Promise.all([admin.status(address), admin.mapAt(address)]);
    const shown = shownReplicas(status, map);
    this.#noteTerm(shown.term);
    return {
      ...shown,
      quotaBytes: status.quotaBytes ?? -1,
      logSyncs: status.logSyncs,
      storeCommits: status.storeCommits,
      residentBytes: process.memoryUsage.rss(),
      alarms: this.#alarmsOf(status, map.clusterMap),
    };
  }

  async alarms(): Promise<readonly MemberAlarm[]> {
    const { alarms, strays } = await (await this.#connected()).admin.alarms();
    const known = alarms.map(({ node, kind }) => ({ memberId: BigInt(node.nodeId), kind }));
    return [...known, ...strays.map(memberAlarm)];
  }

  async raiseAlarm({ memberId, kind }: MemberAlarm): Promise<void> {
    const { admin } = await this.#connected();
    const known = (await admin.members()).find(({ nodeId }) => BigInt(nodeId) === memberId);
    const named =
      known === undefined ? { nodeId: 0, memberId: String(memberId) } : { nodeId: known.nodeId };
    await admin.changeAlarm({ ...named, kind, raised: true });
  }

  async disarm({ memberId, kind }: MemberAlarm): Promise<boolean> {
    const { admin } = await this.#connected();
    const { nodes, strayAlarms = [] } = (await admin.map()).clusterMap;
    const node = nodes.find(({ nodeId }) => BigInt(nodeId) === memberId);
    const isOfNode = node?.alarms?.includes(kind) === true;
    if (isOfNode) await admin.changeAlarm({ nodeId: node.nodeId, kind, raised: false });
    // A member may have come to an alarm of its number.
    const stray = strayAlarms.find((one) => BigInt(one.memberId) === memberId && one.kind === kind);
    if (stray === undefined) return isOfNode;
    await admin.changeAlarm({ nodeId: 0, ...stray, raised: false });
    return true;
  }

  async defragment(): Promise<void> {
    const { admin } = await this.#connected();
    await admin.defragment(this.#node.address, LONG_TIMEOUT_MS);
  }

  async hash(revision: number): Promise<HashAnswer> {
    const { admin } = await this.#connected();
    const { clusterMap } = await admin.mapAt(this.#node.address);
    const [shardId = 0, ...others] = defaultShards(clusterMap);
    if (others.length > 0) throw hashRefused();
    const request = { shardId, revision };
    const answer = await admin.hash(this.#node.address, request, LONG_TIMEOUT_MS);
    const { appliedRevision, hash, compactedRevision } = answer;
    return { revision: appliedRevision, hash, hashRevision: answer.revision, compactedRevision };
  }

  async moveLeader(nodeId: number): Promise<void> {
    const { admin } = await this.#connected();
    const { clusterMap } = await admin.map();
    await admin.moveLeader(must(defaultShards(clusterMap)[0]), nodeId);
  }

  /** Who waits in a line has to be told before. */
  async close(): Promise<void> {
    await this.lines.settled(this.#env.timers);
    const client = await this.#connecting?.catch(() => undefined);
    await client?.close();
  }

  /** As etcd shows them: those raised for others too. */
  #alarmsOf(status: StatusResponse, map: ClusterMap): readonly MemberAlarm[] {
    const ofNodes = map.nodes.flatMap(({ nodeId, alarms = [] }) => {
      return alarms.map((kind) => ({ memberId: BigInt(nodeId), kind }));
    });
    const raised = [...ofNodes, ...(map.strayAlarms ?? []).map(memberAlarm)];
    const { memberId } = this.origin;
    const isNew = (kind: AlarmKind): boolean =>
      !raised.some((alarm) => alarm.memberId === memberId && alarm.kind === kind);
    const own = (status.alarms ?? []).filter(isNew);
    return [...raised, ...own.map((kind) => ({ memberId, kind }))];
  }

  /** The client, which is connected when it is first wanted. */
  #connected(): Promise<Client> {
    this.#connecting ??= connectBy(this.#env, {
      endpoints: [this.#node.address],
      nearNodeId: this.#node.nodeId,
      requestSizeBytesMax: this.#node.requestSizeBytesMax,
    }).then(
      (client) => (this.#client = client),
      (error: unknown) => {
        this.#connecting = undefined;
        throw error;
      },
    );
    return this.#connecting;
  }

  #wrote(header: ResponseHeader): number {
    this.#writtenRevision = Math.max(this.#writtenRevision, header.revision);
    return this.#noted(header);
  }

  #noted(header: ResponseHeader): number {
    this.#noteTerm(header.raftTerm);
    if (header.revision > this.#newestRevision) this.#newestRevision = header.revision;
    return header.revision;
  }

  #noteTerm(raftTerm: number): void {
    if (raftTerm > this.origin.raftTerm) this.origin = { ...this.origin, raftTerm };
  }
}

class SdkWatch implements BackendWatch {
  readonly #opening: Promise<Watch>;
  #watch: Watch | undefined;
  #isCancelled = false;

  constructor(opening: Promise<Watch>) {
    this.#opening = opening;
    // Who draws from it hears of a failure.
    opening.then(
      (watch) => {
        this.#watch = watch;
        if (this.#isCancelled) watch.cancel();
      },
      () => undefined,
    );
  }

  async next(): Promise<WatchItem | undefined> {
    const watch = this.#watch ?? (await this.#opening);
    const result = await watch.next();
    return result.done === true ? undefined : result.value;
  }

  take(): WatchItem | undefined {
    return this.#watch?.take();
  }

  askProgress(revision: number): void {
    if (this.#watch !== undefined) return this.#watch.askProgress(revision);
    // Who draws from it hears of a failure.
    this.#opening.then((watch) => watch.askProgress(revision)).catch(() => undefined);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#watch?.cancel();
  }
}

function behind(bound: number): KvError {
  return notApplied("compacted", `everything before revision ${bound} was compacted`, { bound });
}

function memberAlarm({ memberId, kind }: StrayAlarm): MemberAlarm {
  return { memberId: BigInt(memberId), kind };
}

function isBounded(operation: RangeOperation): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = operation;
  return minModRevision + maxModRevision + minCreateRevision + maxCreateRevision > 0;
}
