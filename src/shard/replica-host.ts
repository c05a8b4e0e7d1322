/**
 * All replicas of a node. One turn collects what every replica has to do: one write to the shared
 * log and one sync for all of them, their messages batched a node. While that sync is under way the
 * next batch gathers; this is where the throughput comes from.
 *
 * It never decides where replicas live: it opens and closes those it is told of.
 */
import type { Env } from "../env/env.js";
import type { Timer } from "../env/timers.js";
import type { CorruptionError } from "../log/corruption-error.js";
import type { RecoveredShard } from "../log/log-types.js";
import type { ShardDescriptor } from "../protocol/cluster.js";
import type { Message } from "../raft/message.js";
import type { EntriesRequest, RaftEvent, SnapshotRequest } from "../raft/types.js";
import type { Store } from "../store/store.js";
import type { TreeCheckpoint } from "../store/tree-checkpoint.js";
import { boundEntries } from "./entry-cache.js";
import { EntryReads } from "./entry-reads.js";
import { openReplica } from "./open-replica.js";
import type { ReplicaSettings } from "./open-replica.js";
import { Replica } from "./replica.js";
import type { ReplicaContext } from "./replica.js";
import { SnapshotReceiver } from "./snapshot-receiver.js";
import { SleepWatch } from "./sleep-watch.js";
import { sendSnapshot } from "./snapshot-sender.js";
import type { BulkTransport, SnapshotTarget } from "./snapshot-sender.js";
import { UnfinishedSnapshots } from "./unfinished-snapshots.js";
import type { RevisionSource } from "./write-path.js";

/** Messages to other nodes. */
export interface ReplicaTransport extends BulkTransport {
  send(nodeId: number, shardId: number, message: Message): void;
  /** Asks the leader of a shard to close its revision as far as it can. */
  nudge(nodeId: number, shardId: number): void;
  /** Hands everything queued to the sockets. */
  flush(): void;
  /** Whether the loss of that node would be noticed, and said by `nodeLost`. */
  isConnected(nodeId: number): boolean;
}

/** Who is told what happens to replicas. */
export interface ReplicaObserver {
  /** Its data are damaged: unless nobody else can lead, it serves nothing until it is refilled. */
  replicaDamaged(replica: Replica): void;
  /** It has back what was damaged. */
  replicaRefilled(replica: Replica): void;
  /** It was closed because its shard has left this node. */
  replicaRemoved(replica: Replica): void;
  roleChanged(replica: Replica): void;
  applied(replica: Replica): void;
  raftEvent(replica: Replica, event: RaftEvent): void;
  /** No write of the log has finished for long, or one has again: `diskStalls` says which. */
  diskStallChanged(): void;
  /** End of a turn: answers that gathered are to be handed to their sockets. */
  turnEnded(): void;
}

/** What the disk holds of a replica. */
export interface FoundReplica {
  readonly recovered: RecoveredShard | undefined;
  /** What was said of a file of its tree that is not there. */
  readonly missingFile: string | undefined;
}

interface Persisting {
  readonly replica: Replica;
  readonly messages: readonly Message[];
}

const SNAPSHOT_RETRY_MS = 500;
/** A snapshot that was taken in whole is installed and acknowledged within this time. */
const SNAPSHOT_INSTALL_MS = 10_000;
/** How long a snapshot whose sending broke off waits for the next try. */
const SNAPSHOT_KEEP_MS = 30_000;
/** The disk stalls when no write of the log has finished for so many longest election timeouts. */
const STALL_ELECTIONS = 1;
/** How often logs are trimmed, also in memory: followers catch up, or are given up, at any time. */
const HOUSEKEEPING_MS = 1000;

export class ReplicaHost implements ReplicaContext {
  readonly store: Store;
  readonly nodeId: number;
  readonly snapshots: SnapshotReceiver;
  readonly sleepWatch: SleepWatch;
  readonly #env: Env;
  readonly #settings: ReplicaSettings;
  readonly #transport: ReplicaTransport;
  readonly #observer: ReplicaObserver;
  readonly #replicas: Map<number, Replica> = new Map();
  /** Replicas that want ticks; whoever gives one something to do sees to it that it is here. */
  readonly #timed: Set<Replica> = new Set();
  /** Shards whose replica lacks something, and what: it is being refilled, or stays closed. */
  readonly #damaged: Map<number, string> = new Map();
  /** Those of them that the others refill. */
  readonly #refilling: Set<number> = new Set();
  readonly #sending: Set<string> = new Set();
  readonly #entryReads: EntryReads;
  readonly #unfinished: UnfinishedSnapshots<TreeCheckpoint>;
  readonly #runTurn = (): void => this.#turn();
  #work: Replica[] = [];
  #persisting: Persisting[] = [];
  /** Batches handed to the log and not yet durable, oldest first. */
  readonly #inLog: Persisting[][] = [];
  #logged = false;
  /** When the log last went on: a write finished, or was asked for while none was under way. */
  #logWentOnMs = 0;
  #diskStalls = false;
  #turnPending = false;
  /** In this turn it was made sure that the clock can be relied on. */
  #clockChecked = false;
  #deadlineTimer: Timer | undefined;
  #transfers = 0;
  #timer: Timer | undefined;
  #closed = false;
  #nowMs = 0;
  #houseDueMs = 0;

  constructor(
    env: Env,
    store: Store,
    settings: ReplicaSettings,
    parts: { readonly transport: ReplicaTransport; readonly observer: ReplicaObserver },
  ) {
    this.#env = env;
    this.sleepWatch = new SleepWatch(env.clock);
    this.store = store;
    this.nodeId = settings.nodeId;
    this.#entryReads = new EntryReads(store.log.entries);
    this.#settings = settings;
    this.#transport = parts.transport;
    this.#observer = parts.observer;
    this.#unfinished = new UnfinishedSnapshots(env.timers, SNAPSHOT_KEEP_MS);
    this.snapshots = new SnapshotReceiver(store, (shardId) => this.#replicas.get(shardId));
    store.observe({
      flushed: (shardId) => this.#treeFlushed(shardId),
      flushWanted: (shardId) => {
        const replica = this.#replicas.get(shardId);
        if (replica !== undefined) this.schedule(replica);
      },
      trimWanted: (shardId, upTo, evenHeld) =>
        this.#replicas.get(shardId)?.releaseLog(upTo, evenHeld) ?? false,
      treeDamaged: (shardId, error) => this.#treeDamaged(shardId, error),
      treeSound: (shardId) => this.#treeSound(shardId),
    });
    this.#scheduleTick();
  }

  get replicas(): Iterable<Replica> {
    return this.#replicas.values();
  }

  get damagedShards(): ReadonlyMap<number, string> {
    return this.#damaged;
  }

  /** Whether writes to the log are under way and none has finished for long. */
  get diskStalls(): boolean {
    return this.#diskStalls;
  }

  /** This node's replica may have lost what nobody can give back: it is not opened in this run. */
  keepClosed(shardId: number, reason: string): void {
    if (this.#damaged.has(shardId)) return;
    this.#damaged.set(shardId, reason);
    this.#env.tracer.trace("error", "a replica is damaged and stays closed", { shardId, reason });
  }

  replica(shardId: number): Replica | undefined {
    return this.#replicas.get(shardId);
  }

  get heartbeatMs(): number {
    return this.#settings.heartbeatMs;
  }

  nowMs(): number {
    return this.#env.clock.monotonicMs();
  }

  /** One look serves a turn: whatever is answered in it was asked before it began. */
  checkClock(): void {
    if (this.#clockChecked) return;
    this.#clockChecked = true;
    if (!this.sleepWatch.look()) return;
    this.#env.tracer.trace("warn", "the machine may have slept: leases are void", {});
    const nowMs = this.nowMs();
    for (const replica of this.#replicas.values()) replica.clockStoodStill(nowMs);
  }

  /** Opens this node's replica of a shard, from what the disk holds or as a new one. */
  open(
    descriptor: ShardDescriptor,
    { recovered, missingFile }: FoundReplica,
    revisions: RevisionSource | undefined,
    keyPrefixLength: number,
  ): Replica {
    const opened = openReplica(this, this.#settings, {
      descriptor,
      recovered,
      filesMissing: missingFile !== undefined,
      nowMs: this.nowMs(),
      random: () => this.#env.random.fraction(),
    });
    const replica = new Replica(this, descriptor, opened.replicaId, {
      raft: opened.raft,
      tree: opened.tree,
      revisions,
      keyPrefixLength,
    });
    this.#replicas.set(descriptor.shardId, replica);
    replica.raft.setDiskStalled(this.#diskStalls, this.nowMs());
    if (replica.raft.isRefilling) {
      this.#noteDamage(replica, missingFile ?? "entries of its log cannot be read");
    }
    this.#logged = true;
    this.schedule(replica);
    return replica;
  }

  /**
   * The replica has left this node: everything it holds is dropped. The caller has made durable
   * before that it may never be opened again. Throws DiskError where the disk is full.
   */
  remove(shardId: number): void {
    const replica = this.#replicas.get(shardId);
    this.#damaged.delete(shardId);
    if (replica !== undefined) {
      this.#replicas.delete(shardId);
      this.#timed.delete(replica);
      this.snapshots.drop(shardId);
      replica.close();
      this.#observer.replicaRemoved(replica);
    }
    // The tree first: a log without a tree is known for what it is, a tree without a log is not.
    if (this.store.tree(shardId) !== undefined) this.store.dropTree(shardId);
    this.store.log.clean(shardId);
    this.#logged = true;
    this.#requestTurn();
  }

  schedule(replica: Replica): void {
    if (replica.closed) return;
    this.#keepTime(replica);
    if (replica.scheduled || this.#closed) return;
    replica.scheduled = true;
    this.#work.push(replica);
    this.#requestTurn();
  }

  send(replica: Replica, message: Message): void {
    this.#transport.send(replica.nodeOf(message.to), replica.shardId, message);
  }

  readEntries(replica: Replica, request: EntriesRequest): void {
    this.#entryReads.add(replica, request);
    this.#requestTurn();
  }

  nudgeLeader(replica: Replica): void {
    const leader = replica.leaderNodeId;
    if (leader !== 0) this.#transport.nudge(leader, replica.shardId);
  }

  persisting(replica: Replica, logged: boolean, messages: readonly Message[]): void {
    if (logged) this.#logged = true;
    this.#persisting.push({ replica, messages });
  }

  replicaDamaged(replica: Replica, error: CorruptionError): void {
    this.#env.timers.endOfTurn(() => this.#treeDamaged(replica.shardId, error));
  }

  applied(replica: Replica): void {
    this.#observer.applied(replica);
  }

  roleChanged(replica: Replica): void {
    this.#observer.roleChanged(replica);
  }

  observed(replica: Replica, event: RaftEvent): void {
    if (event.kind === "quiescence" && event.quiet) this.#vouch(replica);
    this.#observer.raftEvent(replica, event);
  }

  /**
   * The connection to a node broke: its shards look for other leaders at once, and leaders take for
   * lost what they have sent it.
   */
  nodeLost(nodeId: number): void {
    const nowMs = this.nowMs();
    for (const replica of this.#replicas.values()) {
      const lost = replica.replicaOn(nodeId);
      if (lost === 0) continue;
      replica.raft.peerUnreachable(lost);
      this.#keepTime(replica);
      if (replica.raft.leaderId !== lost) continue;
      replica.raft.leaderLost(nowMs);
      this.#campaignByRank(replica, lost);
    }
  }

  /**
   * A node has not answered for a while. Shards that rest expect no heartbeats of a leader there:
   * from now on they do.
   */
  nodeSilent(nodeId: number): void {
    const nowMs = this.nowMs();
    for (const replica of this.#replicas.values()) {
      const { raft, leaderNodeId } = replica;
      if (!raft.quiesced || leaderNodeId !== nodeId) continue;
      raft.wake(nowMs);
      this.schedule(replica);
    }
  }

  /**
   * A node can be reached: shards without a leader that belong here ask for votes at once, instead
   * of after a time-out. Where there is a leader, it and those who hear it refuse.
   */
  nodeUp(): void {
    const nowMs = this.nowMs();
    for (const replica of this.#replicas.values()) {
      const { raft, descriptor } = replica;
      if (raft.leaderId !== 0 || descriptor.preferredNodeId !== this.nodeId) continue;
      raft.campaign(nowMs);
      this.schedule(replica);
    }
  }

  sendSnapshot(replica: Replica, { to, term, index }: SnapshotRequest): void {
    const name = `${replica.shardId}/${to}`;
    if (this.#sending.has(name)) return;
    this.#sending.add(name);
    const target = {
      shardId: replica.shardId,
      nodeId: replica.nodeOf(to),
      fromReplica: replica.replicaId,
      toReplica: to,
      term,
    };
    const done = (ok: boolean): void => {
      this.#sending.delete(name);
      if (this.#closed) return;
      replica.raft.snapshotSent(to, ok);
      this.schedule(replica);
    };
    this.#stream(replica, target, index).then(
      () => done(true),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#env.tracer.trace("warn", "snapshot not sent", { ...target, reason });
        this.#env.timers.after(SNAPSHOT_RETRY_MS, () => done(false));
      },
    );
  }

  /** Stops everything; what waits is answered. The store is closed by its owner. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#deadlineTimer?.cancel();
    this.snapshots.close();
    this.#unfinished.close();
    for (const replica of this.#replicas.values()) replica.close();
    this.#observer.turnEnded();
  }

  /** Streams a snapshot; the log behind it is kept until its receiver has installed it. */
  async #stream(replica: Replica, target: SnapshotTarget, fromIndex: number): Promise<void> {
    const { shardId, toReplica } = target;
    const name = `${shardId}/${toReplica}`;
    if (replica.tree.flushed.index < fromIndex) {
      await this.store.flushNow(replica.tree, replica.flushedState());
    }
    const checkpoint =
      this.#unfinished.take(name, Math.max(replica.raft.firstIndex - 1, fromIndex)) ??
      (await this.store.checkpointTree(shardId));
    const { index } = checkpoint.state;
    replica.holdLog(toReplica, index, Number.POSITIVE_INFINITY);
    try {
      await sendSnapshot(checkpoint, this.#transport, target, ++this.#transfers);
    } catch (error) {
      // The next try goes on with what the receiver has.
      replica.holdLog(toReplica, index, this.nowMs() + SNAPSHOT_KEEP_MS);
      this.#unfinished.keep(name, checkpoint);
      throw error;
    }
    replica.holdLog(toReplica, index, this.nowMs() + SNAPSHOT_INSTALL_MS);
    checkpoint.release();
  }

  /** Followers take turns by their place among the replicas, so that votes do not split. */
  #campaignByRank(replica: Replica, lost: number): void {
    const candidates = replica.raft.configuration.voters.filter((id) => id !== lost);
    const preferred = replica.replicaOn(replica.descriptor.preferredNodeId);
    candidates.sort((a, b) => Number(b === preferred) - Number(a === preferred) || a - b);
    const rank = candidates.indexOf(replica.replicaId);
    if (rank < 0) return;
    const term = replica.raft.term;
    this.#afterPoll(rank * this.#settings.campaignRankMs, () => {
      // Somebody else leads or is being elected: leave it to them.
      if (replica.raft.term !== term) return;
      if (replica.raft.leaderId !== 0 && replica.raft.leaderId !== lost) return;
      replica.raft.campaign(this.nowMs());
      this.schedule(replica);
    });
  }

  /** Whoever rests without its leader being watched would not hear of that leader's end. */
  #vouch(replica: Replica): void {
    const { raft, leaderNodeId } = replica;
    if (raft.role === "leader" || this.#transport.isConnected(leaderNodeId)) return;
    raft.wake(this.nowMs());
    this.schedule(replica);
  }

  #requestTurn(): void {
    if (this.#turnPending) return;
    this.#turnPending = true;
    this.#env.timers.endOfTurn(this.#runTurn);
  }

  #turn(): void {
    this.#turnPending = false;
    if (this.#closed) return;
    this.#clockChecked = false;
    const work = this.#work;
    this.#work = [];
    let deadlineMs = Number.POSITIVE_INFINITY;
    for (const replica of work) {
      replica.scheduled = false;
      this.#turnOf(replica);
      deadlineMs = Math.min(deadlineMs, replica.raft.commitNoticeDueMs);
    }
    this.#readWanted();
    this.#wakeAt(deadlineMs);
    this.#commit();
    this.#transport.flush();
    this.#observer.turnEnded();
  }

  /** What is read is sent in the next turn, which also goes on with what is left. */
  #readWanted(): void {
    if (!this.#entryReads.isPending) return;
    this.#entryReads.serve();
    this.#requestTurn();
  }

  /** When the store has failed the node is being stopped: what follows from that is no crash. */
  #turnOf(replica: Replica): void {
    try {
      replica.turn();
    } catch (error) {
      if (!this.store.failed) throw error;
    }
    if (this.#refilling.size > 0) this.#noteRefilled(replica);
  }

  /** One write and one sync for everything the replicas handed to the log in this turn. */
  #commit(): void {
    if (this.#persisting.length === 0 && !this.#logged) return;
    const batch = this.#persisting;
    this.#persisting = [];
    if (!this.#logged && this.#inLog.length === 0) {
      this.#deliver(batch);
      return;
    }
    if (!this.#logged) {
      // Nothing new for the disk: these follow what is on its way there.
      this.#inLog[this.#inLog.length - 1]!.push(...batch);
      return;
    }
    this.#logged = false;
    if (this.#inLog.length === 0) this.#logWentOnMs = this.nowMs();
    this.#inLog.push(batch);
    this.store.log.commit(() => {
      if (this.#closed) return;
      this.#logWentOnMs = this.nowMs();
      if (this.#diskStalls) this.#noteStall(false);
      this.#deliver(this.#inLog.shift()!);
    });
  }

  #deliver(batch: readonly Persisting[]): void {
    for (const { replica, messages } of batch) {
      for (const message of messages) {
        if (message.to === replica.replicaId) replica.step(message);
        else this.send(replica, message);
      }
    }
    this.#requestTurn();
  }

  /**
   * News of commits are due before the next tick and have a timer of their own, one for all
   * replicas. Heartbeats wait for the tick, so that those of all shards leave together.
   */
  #wakeAt(deadlineMs: number): void {
    if (this.#deadlineTimer !== undefined) return;
    const delayMs = deadlineMs - this.nowMs();
    if (delayMs >= this.#settings.tickMs) return;
    this.#deadlineTimer = this.#afterPoll(Math.max(1, Math.ceil(delayMs)), () => {
      this.#deadlineTimer = undefined;
      this.#tickDue();
    });
  }

  #tickDue(): void {
    const nowMs = this.nowMs();
    for (const replica of this.#timed) {
      if (replica.raft.commitNoticeDueMs <= nowMs) replica.tick(nowMs);
    }
  }

  #scheduleTick(): void {
    this.#timer = this.#afterPoll(this.#settings.tickMs, () => {
      this.#clockChecked = false;
      this.checkClock();
      this.#nowMs = this.nowMs();
      this.#watchDisk(this.#nowMs);
      this.#tickAll(this.#nowMs);
      this.#keepHouse();
      this.#scheduleTick();
    });
  }

  /**
   * Whatever tells a replica the time waits for one poll of the network, so that messages which
   * came while the loop was held up are seen before their absence is.
   */
  #afterPoll(delayMs: number, run: () => void): Timer {
    return this.#env.timers.after(delayMs, () => {
      this.#env.timers.endOfTurn(() => {
        if (!this.#closed) run();
      });
    });
  }

  #watchDisk(nowMs: number): void {
    if (this.#inLog.length === 0 || this.#diskStalls) return;
    const boundMs = STALL_ELECTIONS * this.#settings.electionTimeoutMs.max;
    if (nowMs - this.#logWentOnMs >= boundMs) this.#noteStall(true);
  }

  /** While its disk stalls this node leads nothing that others could, and campaigns for nothing. */
  #noteStall(stalls: boolean): void {
    this.#diskStalls = stalls;
    const level = stalls ? "error" : "info";
    const message = stalls ? "the disk stalls: others have to lead" : "the disk writes again";
    this.#env.tracer.trace(level, message, { unfinished: this.#inLog.length });
    const nowMs = this.nowMs();
    for (const replica of this.#replicas.values()) {
      replica.raft.setDiskStalled(stalls, nowMs);
      this.schedule(replica);
    }
    this.#observer.diskStallChanged();
  }

  /** Shards that rest cost nothing here. */
  #tickAll(nowMs: number): void {
    for (const replica of this.#timed) {
      replica.tick(nowMs);
      if (!replica.rests(nowMs)) continue;
      replica.timed = false;
      this.#timed.delete(replica);
    }
  }

  #keepTime(replica: Replica): void {
    if (replica.timed || this.#closed) return;
    replica.timed = true;
    this.#timed.add(replica);
  }

  #keepHouse(): void {
    if (this.#nowMs < this.#houseDueMs) return;
    this.#houseDueMs = this.#nowMs + HOUSEKEEPING_MS;
    for (const replica of this.#replicas.values()) replica.trimLog();
    const logs = Array.from(this.#replicas.values(), ({ raft }) => raft);
    boundEntries(logs, this.#settings.entryCacheBytes);
    this.#retryRefills();
  }

  /** A leader that found nobody to hand over to may find somebody now, and be refilled. */
  #retryRefills(): void {
    for (const shardId of this.#damaged.keys()) {
      const replica = this.#replicas.get(shardId);
      if (replica === undefined || this.#refilling.has(shardId)) continue;
      replica.loseState();
      if (!replica.raft.isRefilling) continue;
      this.#refilling.add(shardId);
      this.#observer.replicaDamaged(replica);
    }
  }

  #treeFlushed(shardId: number): void {
    if (this.#closed) return;
    const replica = this.#replicas.get(shardId);
    if (replica === undefined) return;
    replica.trimLog();
    this.schedule(replica);
  }

  /** Its log goes on: it votes and acknowledges, and the leader sends it a snapshot. */
  #treeDamaged(shardId: number, error: Error): void {
    const replica = this.#replicas.get(shardId);
    if (this.#closed || replica === undefined || replica.raft.isStateLost) return;
    replica.loseState();
    this.#noteDamage(replica, error.message);
    this.#observer.replicaDamaged(replica);
    this.store.recheck(shardId);
  }

  /** What could not be read can be read again: there is nothing to refill. */
  #treeSound(shardId: number): void {
    const replica = this.#replicas.get(shardId);
    if (replica === undefined || !this.#damaged.has(shardId)) return;
    if (this.#refilling.has(shardId) && !replica.regainState()) return;
    this.#refilling.delete(shardId);
    this.#damaged.delete(shardId);
    this.#env.tracer.trace("info", "what was damaged in a replica can be read again", { shardId });
    this.#observer.replicaRefilled(replica);
  }

  #noteDamage(replica: Replica, reason: string): void {
    const { shardId } = replica;
    const { isRefilling } = replica.raft;
    if (isRefilling) this.#refilling.add(shardId);
    else if (this.#damaged.has(shardId)) return;
    this.#damaged.set(shardId, reason);
    const whatNow = isRefilling ? "waits to be refilled" : "serves, for nobody can refill it";
    this.#env.tracer.trace("error", `a replica is damaged and ${whatNow}`, { shardId, reason });
  }

  #noteRefilled(replica: Replica): void {
    const { shardId, raft } = replica;
    if (raft.isRefilling || !this.#refilling.delete(shardId)) return;
    this.#damaged.delete(shardId);
    this.#env.tracer.trace("info", "a replica is whole again", { shardId });
    this.#observer.replicaRefilled(replica);
  }
}
