/**
 * The placement group at work, on every node that holds a replica of it. Every such node keeps the
 * map up to date from what its replica applied; the leader also founds the cluster, admits nodes,
 * runs commands one at a time, and moves leaderships to where the map wants them.
 */
import { utf8, utf8Text } from "../base/bytes.js";
import { assert } from "../base/assert.js";
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import { CorruptionError } from "../log/corruption-error.js";
import { createKeyspace, foundCluster, preferLeader } from "../placement/commands.js";
import { registerNode } from "../placement/commands.js";
import type { PlacementDecision, PlacementStep } from "../placement/commands.js";
import { COUNTERS_KEY, decodeState, reservedRecord } from "../placement/records.js";
import type { PlacementRecord, PlacementState } from "../placement/records.js";
import { balanceLeaders } from "../placement/schedulers/balance-leader.js";
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { KeyspaceDescriptor, LeaderHint } from "../protocol/cluster.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type {
  Operation,
  PutOperation,
  RangeOperation,
  RangeResult,
  Transaction,
} from "../protocol/operations.js";
import { keyspaceRange } from "../route/stored-key.js";
import type { Replica } from "../shard/replica.js";
import { readApplied, transact } from "./internal-requests.js";
import type { NodeHeartbeat, NodeHeartbeatAnswer } from "./placement-messages.js";

/** A node silent for longer is not counted on. */
const ALIVE_MS = 1500;
const SCHEDULE_INTERVAL_MS = 250;
const TRANSFERS_MAX = 4;
/** A transfer that did not show within this is asked for again. */
const TRANSFER_RETRY_MS = 3000;
const COMMAND_TRIES = 5;
const PREFIX_BYTES = 4;

export interface PlacementHost {
  readonly replica: Replica;
  readonly clusterId: string;
  readonly founderCount: number;
  readonly initialKeyspaces: readonly KeyspaceCreateRequest[];
  /** The map has changed. */
  mapChanged(state: PlacementState): void;
  transfer(step: { readonly shardId: number; readonly toNodeId: number }, at: number): void;
}

interface Seen {
  readonly atMs: number;
  readonly run: number;
  readonly full: boolean;
}

export class PlacementService {
  readonly #env: Env;
  readonly #host: PlacementHost;
  readonly #seen: Map<number, Seen> = new Map();
  readonly #leaders: Map<number, LeaderHint> = new Map();
  readonly #transferred: Map<number, number> = new Map();
  #state: PlacementState;
  #revision = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #timer: Timer | undefined;
  #founding = false;
  #closed = false;

  constructor(env: Env, host: PlacementHost) {
    this.#env = env;
    this.#host = host;
    this.#state = decodeState([], 0);
    this.applied();
    this.#schedule();
  }

  get state(): PlacementState {
    return this.#state;
  }

  get leads(): boolean {
    return this.#host.replica.leads;
  }

  /** Called after the placement replica applied something. */
  applied(): void {
    const { machine } = this.#host.replica;
    if (machine.revision === this.#revision) return;
    let records: readonly PlacementRecord[];
    try {
      records = this.#readRecords();
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      // The replica knows; until it is refilled what is known stays.
      return;
    }
    this.#revision = machine.revision;
    this.#state = decodeState(records, machine.revision);
    this.#host.mapChanged(this.#state);
  }

  /** The leader answers a node's sign of life. */
  async heartbeat(beat: NodeHeartbeat): Promise<NodeHeartbeatAnswer> {
    if (!this.leads) throw this.#host.replica.notLeading();
    const { nodeId } = beat.node;
    const known = this.#state.map?.nodes.find((node) => node.nodeId === nodeId);
    if (this.#state.map !== undefined && JSON.stringify(known) !== JSON.stringify(beat.node)) {
      await this.#change((state) => registerNode(state, beat.node));
      this.kick();
    }
    this.#seen.set(nodeId, { atMs: this.#env.clock.monotonicMs(), run: beat.run, full: beat.full });
    for (const hint of beat.leads) this.#noteLeader(hint);
    const { map } = this.#state;
    return {
      map: map === undefined || map.version === beat.mapVersion ? undefined : map,
      leaders: [...this.#leaders.values()],
      fit: [...this.#fit()],
    };
  }

  /** Something changed: acts now instead of at the next interval. */
  kick(): void {
    if (this.#closed || this.#timer === undefined) return;
    this.#timer.cancel();
    this.#act();
  }

  async createKeyspace(request: KeyspaceCreateRequest): Promise<KeyspaceDescriptor> {
    await this.#change((state) => createKeyspace(state, request));
    const made = this.#state.map?.keyspaces.find((each) => each.name === request.name);
    if (made === undefined) throw notApplied("internal", "the keyspace was not made");
    return made;
  }

  /** Remembers where a shard's leader should be, and moves it there. */
  async moveLeader(shardId: number, nodeId: number): Promise<void> {
    await this.#change((state) => preferLeader(state, shardId, nodeId));
    const leader = this.#leaders.get(shardId)?.nodeId;
    if (leader === nodeId) return;
    if (leader === undefined) throw notApplied("unavailable", "the shard has no leader now");
    this.#transferred.set(shardId, this.#env.clock.monotonicMs());
    this.#host.transfer({ shardId, toNodeId: nodeId }, leader);
  }

  /** Makes durable that revisions up to `upTo` may have been handed out. */
  async reserve(keyspaceId: number, upTo: number): Promise<void> {
    await this.#change((state) => {
      if ((state.reserved.get(keyspaceId) ?? 0) >= upTo) return { kind: "nothing" };
      return { kind: "write", steps: [[reservedRecord(keyspaceId, upTo)]] };
    });
  }

  reservedTo(keyspaceId: number): number {
    return this.#state.reserved.get(keyspaceId) ?? 0;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  /** All records, page by page; nothing is applied in between. */
  #readRecords(): PlacementRecord[] {
    const { start, end } = keyspaceRange(SYSTEM_KEYSPACE_ID);
    const records: PlacementRecord[] = [];
    let from: Uint8Array | undefined = start;
    while (from !== undefined) {
      const page: RangeResult = this.#read({
        ...RANGE_ALL,
        key: from,
        rangeEnd: end,
        skipCount: true,
      });
      for (const kv of page.kvs) records.push({ key: utf8Text(kv.key), value: kv.value });
      const last = records[records.length - 1];
      from = page.more && last !== undefined ? systemKey(`${last.key}\0`) : undefined;
    }
    return records;
  }

  #read(operation: RangeOperation): RangeResult {
    const transaction = { compares: [], success: [operation], failure: [] };
    const { replica } = this.#host;
    try {
      const first = readApplied(replica, transaction).results[0];
      assert(first?.kind === "range", "a range is answered by a range");
      return first;
    } catch (error) {
      if (error instanceof CorruptionError) replica.damaged(error);
      throw error;
    }
  }

  /** Decides and writes, one command after the other. */
  #change(decide: (state: PlacementState) => PlacementDecision): Promise<void> {
    const run = this.#tail.then(() => this.#decideAndWrite(decide));
    // The next command does not care how this one ended; whoever asked for it does.
    this.#tail = run.catch(() => undefined);
    return run;
  }

  async #decideAndWrite(decide: (state: PlacementState) => PlacementDecision): Promise<void> {
    for (let i = 0; i < COMMAND_TRIES; i++) {
      const { replica } = this.#host;
      if (!replica.leads) throw replica.notLeading();
      this.applied();
      const decision = decide(this.#state);
      if (decision.kind === "nothing") return;
      if (decision.kind === "refused") throw decision.error;
      if (await this.#write(decision.steps)) return;
    }
    throw notApplied("unavailable", "placement is being changed by others; try again");
  }

  /** Writes step after step; false where somebody else decided something before the last. */
  async #write(steps: readonly PlacementStep[]): Promise<boolean> {
    let revision = this.#countersRevision();
    for (const step of steps) {
      const answer = await transact(this.#host.replica, guarded(step, revision));
      this.applied();
      if (!answer.result.succeeded) return false;
      ({ revision } = answer);
    }
    return true;
  }

  /** Mod revision of the record that every decision rewrites; 0 before the first. */
  #countersRevision(): number {
    return this.#read({ ...RANGE_ALL, key: systemKey(COUNTERS_KEY) }).kvs[0]?.modRevision ?? 0;
  }

  #schedule(): void {
    this.#timer = this.#env.timers.after(SCHEDULE_INTERVAL_MS, () => this.#act());
  }

  #act(): void {
    if (this.#closed) return;
    if (this.leads) this.#lead();
    else this.#leaders.clear();
    this.#schedule();
  }

  #lead(): void {
    this.#found();
    const { map } = this.#state;
    if (map === undefined) return;
    const nowMs = this.#env.clock.monotonicMs();
    for (const step of balanceLeaders(map, this.#leaders, this.#fit(), TRANSFERS_MAX)) {
      const last = this.#transferred.get(step.shardId) ?? Number.NEGATIVE_INFINITY;
      if (nowMs - last < TRANSFER_RETRY_MS) continue;
      this.#transferred.set(step.shardId, nowMs);
      this.#host.transfer(step, step.fromNodeId);
    }
  }

  /** Makes the cluster, and once all founders have come its first keyspaces. */
  #found(): void {
    const { map } = this.#state;
    if (this.#founding) return;
    if (map === undefined) {
      this.#background(this.#change((state) => foundCluster(state, this.#host.clusterId)));
      return;
    }
    if (map.nodes.length < this.#host.founderCount) return;
    const wanted = this.#host.initialKeyspaces.find(
      (keyspace) => !map.keyspaces.some((each) => each.name === keyspace.name),
    );
    if (wanted === undefined) return;
    this.#background(this.#change((state) => createKeyspace(state, wanted)));
  }

  #background(work: Promise<unknown>): void {
    this.#founding = true;
    work.then(
      () => {
        this.#founding = false;
        this.kick();
      },
      (error: unknown) => {
        this.#founding = false;
        const { code, message } = KvError.from(error);
        this.#env.tracer.trace("warn", "placement could not act", { code, reason: message });
      },
    );
  }

  /** Nodes that leaderships may be moved to: alive, with room on their disks. */
  #fit(): ReadonlySet<number> {
    return new Set([...this.#alive()].filter((nodeId) => this.#seen.get(nodeId)?.full === false));
  }

  #alive(): ReadonlySet<number> {
    const nowMs = this.#env.clock.monotonicMs();
    const alive = new Set<number>();
    for (const [nodeId, seen] of this.#seen) if (nowMs - seen.atMs < ALIVE_MS) alive.add(nodeId);
    return alive;
  }

  #noteLeader(hint: LeaderHint): void {
    const known = this.#leaders.get(hint.shardId);
    if (known === undefined || known.term <= hint.term) this.#leaders.set(hint.shardId, hint);
  }
}

const RANGE_ALL: RangeOperation = {
  kind: "range",
  key: new Uint8Array(0),
  rangeEnd: undefined,
  limit: 0,
  revision: 0,
  sortOrder: "none",
  sortTarget: "key",
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

function systemKey(key: string): Uint8Array {
  const text = utf8(key);
  const stored = new Uint8Array(PREFIX_BYTES + text.length);
  stored.set(text, PREFIX_BYTES);
  return stored;
}

/** The records in one transaction that holds only if nothing was decided since `revision`. */
function guarded(records: readonly PlacementRecord[], revision: number): Transaction {
  const success = records.map(({ key, value }): Operation => {
    const put: PutOperation = {
      kind: "put",
      key: systemKey(key),
      value,
      lease: 0n,
      prevKv: false,
      ignoreValue: false,
      ignoreLease: false,
    };
    return put;
  });
  const compare = {
    key: systemKey(COUNTERS_KEY),
    rangeEnd: undefined,
    result: "equal" as const,
    target: { kind: "mod" as const, value: revision },
  };
  return { compares: [compare], success, failure: [] };
}
