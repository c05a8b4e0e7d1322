/**
 * A cluster of Raft cores in memory: their disks, the messages between them, and a ledger that
 * checks what must hold whatever happens. Nothing moves by itself: a test, or a random schedule,
 * says which disk finishes, which message arrives or is lost, and how time passes. All messages
 * travel as bytes.
 */
import { assert, must } from "../../src/base/assert.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { type EntryRun, singleRun } from "../../src/base/entry-run.js";
import { Prng } from "../../src/base/prng.js";
import { decodeMessage, encodeMessage } from "../../src/raft/message-codec.js";
import type { Message } from "../../src/raft/message.js";
import { Raft } from "../../src/raft/raft.js";
import type {
  Configuration,
  EntriesRequest,
  HardState,
  LogPoint,
  Persist,
  RaftConfig,
  ReplicaId,
  SnapshotMark,
} from "../../src/raft/types.js";
import type { Ready } from "../../src/raft/ready.js";
import { type Entry, encodeCommands, entriesOf } from "./entries.js";
import { Ledger } from "./ledger.js";

/** What survives a crash of one replica. */
export interface Disk {
  hardState: HardState;
  base: SnapshotMark;
  /** The entries after the base. */
  entries: Entry[];
  /** How far the log went before its end was lost. */
  floor?: LogPoint | undefined;
  stateLost?: boolean | undefined;
}

export interface Envelope {
  readonly message: Message;
  readonly bytes: Uint8Array;
  /** The run of the sender. */
  readonly run: number;
}

interface PendingPersist {
  readonly askedMs: number;
  readonly persist: Persist | undefined;
  readonly after: readonly Message[];
}

export type ClusterOptions = Partial<Omit<RaftConfig, "selfId" | "random">> & {
  readonly seed?: number;
};

export const RAFT_DEFAULTS: Omit<RaftConfig, "selfId" | "random"> = {
  electionTimeoutMs: { min: 400, max: 800 },
  heartbeatMs: 50,
  leaseMs: 150,
  clockDriftRatio: 0.01,
  unnoticedSleepMs: 0,
  preVote: true,
  checkQuorum: true,
  inflightMessagesMax: 256,
  inflightBytesMax: 8 * 1024 * 1024,
  appendBytesMax: 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  applyBytesMax: 1024 * 1024,
  commitNoticeMs: 0,
  electionPriority: 0,
  quiesceAfterMs: 0,
  voteHoldUntilMs: 0,
};

export function emptyDisk(configuration: Configuration): Disk {
  return {
    hardState: { term: 0, vote: 0, commitIndex: 0 },
    base: { index: 0, term: 0, configuration },
    entries: [],
  };
}

/** One replica: its core while it runs, its disk always. */
export class Replica {
  readonly id: ReplicaId;
  readonly disk: Disk;
  readonly pending: PendingPersist[] = [];
  raft: Raft | undefined;
  /** Its clock = rate × true time. */
  clockRate = 1;
  electionPriority = 0;
  /** Undefined: as the cluster's. */
  preVote: boolean | undefined = undefined;
  /** Its disk finishes nothing by itself. */
  isStalled = false;
  /** Nothing of its log can be read while it runs. */
  isUnreadable = false;
  /** How often it was started. */
  run = 0;
  #promisedUntilMs = 0;

  constructor(id: ReplicaId, disk: Disk) {
    this.id = id;
    this.disk = disk;
  }

  get running(): Raft {
    return must(this.raft, `replica ${this.id}`);
  }

  /** The entries from `from` on can no longer be read; `length` says whether the end is known. */
  loseEntries(from: number, length: "known" | "unknown"): void {
    const { disk, lastDurableIndex: index } = this;
    const term = must(this.durableTermAt(index));
    disk.floor =
      length === "known"
        ? { index, term }
        : { index: Number.MAX_SAFE_INTEGER, term: disk.hardState.term };
    disk.entries.length = from - disk.base.index - 1;
  }

  get lastDurableIndex(): number {
    return this.disk.base.index + this.disk.entries.length;
  }

  /** What its disk holds after one index and up to another. */
  runs(after: number, upTo: number): EntryRun[] {
    const { base, entries } = this.disk;
    return entries
      .slice(after - base.index, upTo - base.index)
      .map(({ kind, term, payload }, i) => singleRun(kind, term, after + 1 + i, payload));
  }

  durableTermAt(index: number): number | undefined {
    if (index === this.disk.base.index) return this.disk.base.term;
    return this.disk.entries[index - this.disk.base.index - 1]?.term;
  }

  write(persist: Persist): void {
    const { disk } = this;
    if (persist.snapshot !== undefined && !persist.keepsLog) {
      disk.base = persist.snapshot;
      disk.entries = [];
      disk.stateLost = false;
    }
    for (const run of persist.runs) {
      disk.entries.length = run.firstIndex - disk.base.index - 1;
      disk.entries.push(...entriesOf(run));
    }
    if (persist.snapshot !== undefined && persist.keepsLog) {
      disk.entries = disk.entries.slice(persist.snapshot.index - disk.base.index);
      disk.base = persist.snapshot;
      disk.stateLost = false;
    }
    if (persist.hardState !== undefined) disk.hardState = persist.hardState;
    if (disk.floor !== undefined && this.#reaches(disk.floor)) disk.floor = undefined;
  }

  #reaches(floor: LogPoint): boolean {
    const { lastDurableIndex: index } = this;
    const term = must(this.durableTermAt(index));
    return term > floor.term || (term === floor.term && index >= floor.index);
  }

  notePromise(untilMs: number): void {
    this.#promisedUntilMs = Math.max(this.#promisedUntilMs, untilMs);
  }

  get promisedUntilMs(): number {
    return this.#promisedUntilMs;
  }
}

export class Cluster {
  readonly replicas: Map<ReplicaId, Replica> = new Map<ReplicaId, Replica>();
  readonly ledger: Ledger = new Ledger(this);
  /** In the order of sending. */
  network: Envelope[] = [];
  nowMs = 1000;
  installedSnapshots = 0;
  /** How often entries were read from a disk, and could not be. */
  readonly entryReads = { done: 0, failed: 0 };
  /** Called for everything a replica was told to do, for those who trace. */
  onReady: (id: ReplicaId, ready: Ready) => void = () => {};
  readonly #options: ClusterOptions;
  readonly #prng: Prng;
  #entriesWanted: { from: ReplicaId; request: EntriesRequest }[] = [];
  #snapshotsWanted: { from: ReplicaId; to: ReplicaId; term: number; index: number }[] = [];

  constructor(options: ClusterOptions = {}) {
    this.#options = options;
    this.#prng = new Prng(options.seed ?? 1);
  }

  add(id: ReplicaId, disk: Disk): Replica {
    const replica = new Replica(id, disk);
    this.replicas.set(id, replica);
    return replica;
  }

  get(id: ReplicaId): Replica {
    return must(this.replicas.get(id), `replica ${id}`);
  }

  get runningIds(): ReplicaId[] {
    return [...this.replicas.values()].flatMap((each) => (each.raft === undefined ? [] : each.id));
  }

  clockOf(id: ReplicaId): number {
    return this.nowMs * this.get(id).clockRate;
  }

  /** `lacking` entries at the beginning of its log are gone, by a fault that nobody has noticed. */
  start(id: ReplicaId, lacking = 0): void {
    const replica = this.get(id);
    assert(replica.raft === undefined, "a replica that runs already");
    const prng = this.#prng.split();
    const { disk } = replica;
    const config: RaftConfig = {
      ...RAFT_DEFAULTS,
      ...this.#options,
      selfId: id,
      electionPriority: replica.electionPriority,
      ...(replica.preVote === undefined ? {} : { preVote: replica.preVote }),
      random: () => prng.fraction(),
      voteHoldUntilMs: replica.promisedUntilMs,
    };
    const runs = replica.runs(disk.base.index + lacking, replica.lastDurableIndex);
    const { hardState, base: snapshot } = disk;
    const { floor, stateLost } = disk;
    const appliedIndex = snapshot.index;
    const restored = { hardState, snapshot, runs, appliedIndex, floor, stateLost };
    replica.run++;
    replica.raft = new Raft(config, restored, this.clockOf(id));
    this.ledger.noteStart(id);
  }

  /** Stops a replica; the first `durableCount` of its unfinished writes reached the disk. */
  crash(id: ReplicaId, durableCount = 0): void {
    const replica = this.get(id);
    for (const { persist } of replica.pending.slice(0, durableCount)) {
      if (persist !== undefined) replica.write(persist);
    }
    replica.pending.length = 0;
    replica.raft = undefined;
    this.#snapshotsWanted = this.#snapshotsWanted.filter((wanted) => wanted.from !== id);
    this.#entriesWanted = this.#entriesWanted.filter((wanted) => wanted.from !== id);
  }

  /** Nothing that a crashed replica sent arrives any more, as if its connections were new. */
  dropSentBy(id: ReplicaId): void {
    this.network = this.network.filter(({ message }) => message.from !== id);
  }

  /** Does what replica `id` asks for now, but for its disk, which is left pending. */
  takeReady(id: ReplicaId): boolean {
    const replica = this.get(id);
    const { raft } = replica;
    if (raft === undefined || !raft.hasReady()) return false;
    const ready = raft.ready();
    this.onReady(id, ready);
    this.ledger.noteReady(id, ready);
    for (const message of ready.send) this.#post(message);
    if (ready.persist !== undefined || ready.sendAfterPersist.length > 0) {
      const { persist, sendAfterPersist: after } = ready;
      replica.pending.push({ askedMs: this.clockOf(id), persist, after });
    }
    for (const run of ready.apply) raft.applied(run.firstIndex + run.count - 1);
    for (const request of ready.entriesToRead) this.#entriesWanted.push({ from: id, request });
    for (const { to, term, index } of ready.snapshotsToSend) {
      this.#snapshotsWanted.push({ from: id, to, term, index });
    }
    this.ledger.check();
    return true;
  }

  /** Finishes the oldest unfinished write of a replica. */
  finishPersist(id: ReplicaId): boolean {
    const replica = this.get(id);
    const oldest = replica.pending.shift();
    if (oldest === undefined) return false;
    replica.running.setDiskStalled(false, this.clockOf(id));
    if (oldest.persist !== undefined) {
      replica.write(oldest.persist);
      const { snapshot } = oldest.persist;
      if (snapshot !== undefined) {
        replica.running.applied(snapshot.index);
        this.installedSnapshots++;
      }
    }
    for (const message of oldest.after) {
      if (message.to === id) replica.running.step(message, this.clockOf(id));
      else this.#post(message);
    }
    this.ledger.check();
    return true;
  }

  /** Reads the entries that were asked for, some of each; where the dice say so, none. */
  readEntries(mayFail: () => boolean = () => false): boolean {
    const wanted = this.#entriesWanted;
    this.#entriesWanted = [];
    for (const { from, request } of wanted) {
      const replica = this.get(from);
      const { firstIndex, lastIndex } = request;
      const isThere = firstIndex > replica.disk.base.index;
      const isRead = isThere && !replica.isUnreadable && !mayFail();
      const count = this.#prng.between(1, 4);
      const last = Math.min(lastIndex, firstIndex + count - 1);
      replica.running.entriesRead(request, isRead ? replica.runs(firstIndex - 1, last) : []);
      this.entryReads[isRead ? "done" : "failed"]++;
    }
    return wanted.length > 0;
  }

  /** Sends the snapshots that were asked for; the receiver has staged them at once. */
  sendSnapshots(): boolean {
    const wanted = this.#snapshotsWanted;
    this.#snapshotsWanted = [];
    for (const { from, to, term, index } of wanted) {
      const { raft } = this.get(from);
      if (raft === undefined) continue;
      assert(raft.appliedIndex >= index, "a snapshot older than the log");
      this.offerSnapshot(from, to, term);
      raft.snapshotSent(to, true);
    }
    return wanted.length > 0;
  }

  /** Sends a snapshot of what `from` has applied, asked for or not. */
  offerSnapshot(from: ReplicaId, to: ReplicaId, term: number): void {
    const { running } = this.get(from);
    const index = running.appliedIndex;
    const mark = {
      index,
      term: must(running.termAt(index)),
      configuration: running.configurationAt(index),
    };
    this.#post({ kind: "installSnapshot", from, to, term, mark });
  }

  /** The stream of a snapshot that was asked for has broken. */
  failSnapshot(from: ReplicaId, to: ReplicaId): void {
    const isIt = (wanted: { from: ReplicaId; to: ReplicaId }): boolean =>
      wanted.from === from && wanted.to === to;
    assert(this.#snapshotsWanted.some(isIt), "a snapshot that nobody asked for");
    this.#snapshotsWanted = this.#snapshotsWanted.filter((wanted) => !isIt(wanted));
    this.get(from).running.snapshotSent(to, false);
  }

  /** Brings a message to its receiver, as bytes. */
  deliver(envelope: Envelope): void {
    const replica = this.replicas.get(envelope.message.to);
    if (replica?.raft === undefined) return;
    // Hosts drop all of an earlier run; most of it has to do no harm even so.
    const isStale = envelope.run !== this.get(envelope.message.from).run;
    if (envelope.message.kind === "quiesce" && isStale) return;
    const message = decodeMessage(new ByteReader(envelope.bytes));
    if (message.kind === "heartbeat" && message.promiseMs > 0) {
      replica.notePromise(this.clockOf(replica.id) + message.promiseMs);
    }
    replica.raft.step(message, this.clockOf(replica.id));
    this.ledger.check();
  }

  tick(id: ReplicaId): void {
    const { raft, pending } = this.get(id);
    const askedMs = pending[0]?.askedMs ?? Number.POSITIVE_INFINITY;
    if (this.clockOf(id) - askedMs >= RAFT_DEFAULTS.electionTimeoutMs.max) {
      raft?.setDiskStalled(true, this.clockOf(id));
    }
    // Hosts do not tick who rests.
    if (raft?.quiesced !== true) raft?.tick(this.clockOf(id));
    this.ledger.check();
  }

  propose(id: ReplicaId, ...texts: readonly string[]): ReturnType<Raft["propose"]> {
    return this.proposeIn(id, this.get(id).running.term, ...texts);
  }

  proposeIn(id: ReplicaId, term: number, ...texts: readonly string[]): ReturnType<Raft["propose"]> {
    return this.get(id).running.propose(encodeCommands(...texts), texts.length, term);
  }

  read(id: ReplicaId, context: number): void {
    this.ledger.noteReadAsked(context);
    this.get(id).running.readIndex(context, this.clockOf(id));
  }

  /** Saves the state at `index` and drops the log up to there, in memory and on disk. */
  compact(id: ReplicaId, index: number): void {
    const { disk, running } = this.get(id);
    const upTo = Math.min(index, running.appliedIndex, this.get(id).lastDurableIndex);
    if (upTo <= disk.base.index) return;
    const configuration = running.configurationAt(upTo);
    const term = must(this.get(id).durableTermAt(upTo));
    running.compactTo(upTo);
    disk.entries.splice(0, upTo - disk.base.index);
    disk.base = { index: upTo, term, configuration };
  }

  /** Lets everything happen that needs no time, in a fixed order, until nothing is left. */
  settle(mayPass: (message: Message) => boolean = () => true): void {
    for (let turns = 0; ; turns++) {
      assert(turns < 10_000, "a cluster that never comes to rest");
      let moved = false;
      for (const id of this.runningIds) {
        while (this.takeReady(id)) moved = true;
        while (!this.get(id).isStalled && this.finishPersist(id)) moved = true;
      }
      if (this.readEntries()) moved = true;
      if (this.sendSnapshots()) moved = true;
      const batch = this.network;
      this.network = [];
      for (const envelope of batch) {
        moved = true;
        if (mayPass(envelope.message)) this.deliver(envelope);
      }
      if (!moved) return;
    }
  }

  /** A message that nobody has sent, or not now, arrives. */
  inject(message: Message): void {
    this.deliver(this.#envelopeOf(message));
  }

  #post(message: Message): void {
    this.ledger.noteSent(message);
    this.network.push(this.#envelopeOf(message));
  }

  #envelopeOf(message: Message): Envelope {
    const writer = new ByteWriter();
    encodeMessage(message, writer);
    const { run } = this.get(message.from);
    return { message, bytes: writer.copy(), run };
  }
}
