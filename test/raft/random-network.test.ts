/**
 * Random schedules: replicas of a small cluster exchange messages over a network that loses,
 * repeats, delays and parts, on disks that finish when they like, with crashes and clocks that
 * drift. The ledger checks safety after each event; at the end the network heals and the cluster
 * has to converge.
 */
import { fc, test } from "@fast-check/vitest";
import { describe, expect, test as plainTest } from "vitest";
import { Prng } from "../../src/base/prng.js";
import { enterJoint, membersOf } from "../../src/raft/configuration.js";
import type { Configuration, RaftEvent, ReplicaId } from "../../src/raft/types.js";
import { Cluster, emptyDisk } from "./cluster.js";

interface Weather {
  readonly loss: number;
  readonly repetition: number;
  readonly reordering: number;
  readonly crash: number;
  readonly partition: number;
  readonly slowDisk: number;
  readonly changes: number;
  /** How often the oldest entries are let go of in memory. */
  readonly eviction: number;
  /** After how long without work a group rests; 0: never. */
  readonly quiesceAfterMs: number;
  /** How often a crash is found to have cost a part of the log, or the state goes. */
  readonly damage: number;
}

const STEPS = 5000;
/** Replicas that are to be made members by changes. */
const SPARES = 2;
/** How often the storm pauses, so that a group may come to rest. */
const LULL = 0.0012;

class Storm {
  readonly cluster: Cluster;
  readonly #prng: Prng;
  readonly #weather: Weather;
  readonly #ids: ReplicaId[];
  #island = new Set<ReplicaId>();
  /** Those who hear nobody, though they are heard. */
  #deaf = new Set<ReplicaId>();
  #serial = 0;
  /** How often a log was damaged, a state was lost, and was there after all. */
  readonly damages = { log: 0, state: 0, regained: 0 };

  constructor(seed: number, size: number, weather: Weather) {
    this.#prng = new Prng(seed);
    this.#weather = weather;
    this.#ids = Array.from({ length: size + SPARES }, (_, i) => i + 1);
    const p = this.#prng;
    this.cluster = new Cluster({
      seed: p.u32(),
      inflightMessagesMax: p.between(1, 4),
      appendBytesMax: p.between(1, 60),
      applyBytesMax: p.between(1, 200),
      quiesceAfterMs: weather.quiesceAfterMs,
      preVote: p.chance(0.85),
      uncommittedBytesMax: 4000,
      commitNoticeMs: p.chance(0.5) ? 0 : p.between(1, 40),
      clockDriftRatio: 0.06,
    });
    this.cluster.onReady = (_, ready) => ready.events.forEach(noteEvent);
    const voters = this.#ids.slice(0, size);
    const configuration: Configuration = { voters, outgoing: [], learners: [], learnersNext: [] };
    for (const id of this.#ids) {
      const replica = this.cluster.add(id, emptyDisk(configuration));
      replica.clockRate = 1 + (p.fraction() - 0.5) * 0.05;
      this.cluster.start(id);
    }
  }

  step(): void {
    const { cluster } = this;
    const p = this.#prng;
    const id = this.#ids[p.between(0, this.#ids.length - 1)]!;
    const dice = p.fraction();
    if (this.#weather.quiesceAfterMs > 0 && p.chance(LULL)) this.#lull();
    if (cluster.get(id).raft === undefined && p.chance(0.08)) cluster.start(id);
    if (dice < 0.12) this.#passTime();
    else if (dice < 0.4) cluster.takeReady(id);
    else if (dice < 0.62) this.#finishPersist(id);
    else if (dice < 0.9) this.#moveMessages();
    else if (dice < 0.994) this.#askSomething(id);
    else this.#breakSomething(id);
  }

  /** Everything works again; whoever is down comes up. */
  heal(): void {
    this.#island.clear();
    this.#deaf.clear();
    for (const id of this.#ids) {
      if (this.cluster.get(id).raft === undefined) this.cluster.start(id);
    }
    for (let i = 0; i < 400; i++) {
      this.cluster.nowMs += 10;
      for (const id of this.#ids) this.cluster.tick(id);
      this.cluster.settle();
    }
  }

  leader(): ReplicaId | undefined {
    const leaders = this.cluster.runningIds.filter(
      (id) => this.cluster.get(id).running.role === "leader",
    );
    return leaders.length === 1 ? leaders[0] : undefined;
  }

  /** For a while nobody asks for anything and the network works. */
  #lull(): void {
    for (let i = 0; i < 60; i++) {
      this.cluster.nowMs += 10;
      for (const id of this.cluster.runningIds) this.cluster.tick(id);
      this.cluster.settle(({ to }) => this.cluster.get(to).raft !== undefined);
      if (this.cluster.runningIds.every((id) => this.cluster.get(id).running.quiesced)) return;
    }
  }

  /** The duty of hosts: they notice that a node is gone and say so to those that rest. */
  #noticeLoss(lostId: ReplicaId): void {
    for (const id of this.cluster.runningIds) {
      const { running } = this.cluster.get(id);
      if (!running.quiesced) continue;
      if (running.leaderId === lostId) running.leaderLost(this.cluster.clockOf(id));
      else running.peerUnreachable(lostId);
    }
  }

  #passTime(): void {
    const p = this.#prng;
    this.cluster.nowMs += p.chance(0.015) ? p.between(200, 900) : p.between(1, 30);
    for (const id of this.cluster.runningIds) if (p.chance(0.9)) this.cluster.tick(id);
  }

  #finishPersist(id: ReplicaId): void {
    if (this.cluster.get(id).raft === undefined) return;
    if (!this.#prng.chance(this.#weather.slowDisk)) this.cluster.finishPersist(id);
  }

  #moveMessages(): void {
    const { cluster } = this;
    const p = this.#prng;
    if (p.chance(0.3)) cluster.readEntries(() => p.chance(0.1));
    if (p.chance(0.2)) cluster.sendSnapshots();
    for (let i = 0; i < 12 && cluster.network.length > 0; i++) {
      const last = cluster.network.length - 1;
      const at = p.chance(this.#weather.reordering) ? p.between(0, last) : 0;
      const envelope = cluster.network[at]!;
      if (!p.chance(this.#weather.repetition)) cluster.network.splice(at, 1);
      const { from, to } = envelope.message;
      const isParted = this.#island.has(from) !== this.#island.has(to) || this.#deaf.has(to);
      if (isParted || p.chance(this.#weather.loss)) continue;
      cluster.deliver(envelope);
    }
    if (cluster.network.length > 400) cluster.network.splice(0, 200);
  }

  #askSomething(id: ReplicaId): void {
    const { cluster } = this;
    const p = this.#prng;
    const { raft } = cluster.get(id);
    if (raft === undefined) return;
    if (p.chance(this.#weather.eviction)) raft.evictEntries(p.between(1, 400));
    const dice = p.fraction();
    if (raft.role !== "leader" && dice < 0.3) {
      this.#askSomething(this.#anyId());
    } else if (dice < 0.5) {
      const texts = Array.from({ length: p.between(1, 5) }, () => `c${++this.#serial}`);
      cluster.propose(id, ...texts);
    } else if (dice < 0.75) {
      cluster.read(id, ++this.#serial);
    } else if (dice < 0.82) {
      raft.useLease(p.chance(0.8));
    } else if (dice < 0.87) {
      raft.transferLeader(this.#anyId(), cluster.clockOf(id));
    } else if (dice < 0.94) {
      cluster.compact(id, raft.appliedIndex - p.between(0, 3));
    } else if (dice < 0.955) {
      raft.leaderLost(cluster.clockOf(id));
      raft.campaign(cluster.clockOf(id));
    } else if (dice < 0.96) {
      raft.forgetLeader(cluster.clockOf(id));
    } else if (dice < 0.97) {
      raft.peerUnreachable(this.#anyId());
    } else if (p.chance(this.#weather.changes)) {
      this.#changeMembers(id);
    }
    cluster.ledger.check();
  }

  #changeMembers(id: ReplicaId): void {
    const { running } = this.cluster.get(id);
    const p = this.#prng;
    const { configuration } = running;
    // A new voter has to have caught up as a learner, so mostly there are some.
    const members = membersOf(configuration);
    const others = (voters: readonly ReplicaId[]): ReplicaId[] =>
      this.#ids.filter((each) => !voters.includes(each) && p.chance(0.7));
    const dice = p.fraction();
    if (dice < 0.4) {
      const { voters } = configuration;
      running.proposeConfiguration({ ...configuration, voters, learners: others(voters) });
    } else if (dice < 0.7) {
      const voters = members.filter(() => p.chance(0.7));
      if (voters.length === 0) return;
      running.proposeConfiguration(enterJoint(configuration, voters, others(voters)));
    } else {
      const one = members[p.between(0, members.length - 1)]!;
      const voters = configuration.voters.includes(one)
        ? configuration.voters.filter((each) => each !== one)
        : [...configuration.voters, one];
      const learners = others(voters);
      running.proposeConfiguration({ voters, outgoing: [], learners, learnersNext: [] });
    }
  }

  #breakSomething(id: ReplicaId): void {
    const { cluster } = this;
    const p = this.#prng;
    const mayDamage = this.#mayDamage(id) && p.chance(this.#weather.damage);
    if (cluster.get(id).raft !== undefined && p.chance(this.#weather.crash)) {
      cluster.crash(id, p.between(0, cluster.get(id).pending.length));
      this.#noticeLoss(id);
      if (mayDamage) this.#damageLog(id);
    } else if (cluster.get(id).raft !== undefined && mayDamage) {
      if (cluster.get(id).running.loseState(cluster.clockOf(id))) this.damages.state++;
    } else if (cluster.get(id).raft?.isStateLost === true && p.chance(this.#weather.damage)) {
      if (cluster.get(id).running.regainState(cluster.clockOf(id))) this.damages.regained++;
    } else if (p.chance(this.#weather.partition)) {
      if (p.chance(0.3)) this.#deaf = new Set(this.#ids.filter(() => p.chance(0.3)));
      else this.#island = new Set(this.#ids.filter(() => p.chance(0.4)));
    } else {
      this.#island.clear();
      this.#deaf.clear();
    }
  }

  #damageLog(id: ReplicaId): void {
    const { cluster } = this;
    const replica = cluster.get(id);
    const { base, entries } = replica.disk;
    if (entries.length === 0) return;
    const from = this.#prng.between(base.index + 1, replica.lastDurableIndex);
    replica.loseEntries(from, this.#prng.chance(0.2) ? "unknown" : "known");
    cluster.dropSentBy(id);
    this.damages.log++;
  }

  /**
   * One replica at most is damaged at a time, of at least three: with two voters, who waits for a
   * damaged one may wait for ever.
   */
  #mayDamage(id: ReplicaId): boolean {
    if (this.#weather.changes > 0 || id === this.#ids.at(-1)) return false;
    return this.#ids.every((each) => {
      const { disk, raft } = this.cluster.get(each);
      return disk.floor === undefined && raft?.isRefilling !== true;
    });
  }

  #anyId(): ReplicaId {
    return this.#ids[this.#prng.between(0, this.#ids.length - 1)]!;
  }
}

const share = (max: number): fc.Arbitrary<number> =>
  fc.integer({ min: 0, max: 10 }).map((tenths) => (tenths / 10) * max);

const weather: fc.Arbitrary<Weather> = fc.record({
  loss: share(0.3),
  repetition: share(0.4),
  reordering: share(0.8),
  crash: share(0.6),
  partition: share(0.6),
  slowDisk: share(0.8),
  changes: fc.constantFrom(0, 0, 1, 8),
  eviction: fc.constantFrom(0, 0.1, 0.5),
  quiesceAfterMs: fc.constantFrom(0, 60, 200),
  damage: fc.constantFrom(0, 0.5, 1),
});

const SEED = Number(process.env["RAFT_SEED"] ?? 20_260);
const RUNS = Number(process.env["RAFT_RUNS"] ?? 100);

/** What has to have happened more often than this, over all runs. */
const SEEN_AT_LEAST = 10;

/** What the runs have seen together: a schedule in which nothing happens proves nothing. */
const seen = {
  commits: 0,
  terms: 0,
  reads: 0,
  leaseChecks: 0,
  snapshots: 0,
  joint: 0,
  direct: 0,
  learners: 0,
  rests: 0,
  transfers: 0,
  changes: 0,
  damagedLogs: 0,
  lostStates: 0,
  regainedStates: 0,
  entryReads: 0,
  failedEntryReads: 0,
};

function noteEvent(event: RaftEvent): void {
  if (event.kind === "quiescence" && event.quiet) seen.rests++;
  if (event.kind === "transfer" && event.phase === "timeoutNow") seen.transfers++;
  if (event.kind !== "configuration") return;
  const { outgoing, learners } = event.configuration;
  if (outgoing.length > 0) seen.joint++;
  else seen.direct++;
  if (learners.length > 0) seen.learners++;
}

function note(storm: Storm): void {
  const { entryReads, ledger, installedSnapshots } = storm.cluster;
  seen.commits += ledger.committed.length;
  seen.terms += ledger.leaderOfTerm.size;
  seen.reads += ledger.readsConfirmed;
  seen.leaseChecks += ledger.leaseReads;
  seen.snapshots += installedSnapshots;
  seen.entryReads += entryReads.done;
  seen.failedEntryReads += entryReads.failed;
  seen.damagedLogs += storm.damages.log;
  seen.lostStates += storm.damages.state;
  seen.regainedStates += storm.damages.regained;
  seen.changes += ledger.committed.filter((text) => text?.startsWith("configuration")).length;
}

describe("random networks", () => {
  test.prop([fc.nat(2 ** 31), fc.integer({ min: 3, max: 5 }), weather], {
    seed: SEED,
    numRuns: RUNS,
  })(
    "keep every safety property, and converge once healed",
    (seed, size, sky) => {
      const storm = new Storm(seed, size, sky);
      for (let i = 0; i < STEPS; i++) storm.step();
      note(storm);
      storm.heal();
      const leaderId = storm.leader();
      expect(leaderId).toBeDefined();
      const leader = storm.cluster.get(leaderId!).running;
      expect(leader.commitIndex).toBe(leader.lastIndex);
      expect(leader.configuration.outgoing).toEqual([]);
      for (const id of membersOf(leader.configuration)) {
        const { commitIndex, lastIndex, appliedIndex } = storm.cluster.get(id).running;
        expect([id, commitIndex, lastIndex, appliedIndex]).toEqual([
          id,
          leader.commitIndex,
          leader.commitIndex,
          leader.commitIndex,
        ]);
      }
    },
    Math.max(60_000, RUNS * 200),
  );

  plainTest("saw something of everything", () => {
    const rare = Object.entries(seen).filter(([, count]) => count <= SEEN_AT_LEAST);
    expect(rare).toEqual([]);
  });
});
