/**
 * Members and replicas as placement decides about them: tables for single commands, and random
 * histories of additions, removals and deaths against a model of Raft groups. Whatever happens, no
 * group is left without a quorum by a change, none has two changes at once, and in the end every
 * shard is where it should be.
 */
import { fc, test as propertyTest } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { createKeyspace, replicaCountOn } from "../../src/placement/commands.js";
import {
  addMember,
  forgetLeft,
  holdsReplicas,
  isHeard,
  joinMember,
  promoteMember,
  registerNode,
  removeMember,
  updateMember,
} from "../../src/placement/members.js";
import { hasQuorum, votersOf } from "../../src/placement/quorum.js";
import type { PlacementDecision } from "../../src/placement/decision.js";
import type { ClusterHealth, ShardReport } from "../../src/placement/quorum.js";
import {
  abandonTarget,
  beginStep,
  changeReplica,
  confirmTarget,
} from "../../src/placement/replicas.js";
import { planRepairs } from "../../src/placement/schedulers/repair.js";
import type {
  NodeDescriptor,
  ReplicaDescriptor,
  ShardDescriptor,
} from "../../src/protocol/cluster.js";
import { founded, nodeOf } from "./support.js";
import type { Records } from "./support.js";

const refused = (code: string): object => ({
  kind: "refused",
  error: { code, outcome: "notApplied" },
});

function health(alive: readonly number[], reports: readonly ShardReport[] = []): ClusterHealth {
  const ids = new Set(alive);
  return {
    alive: ids,
    fit: ids,
    reports: new Map(reports.map((report) => [report.shardId, report])),
  };
}

function added(records: Records, name: string): NodeDescriptor {
  records.run(addMember(records.state, { name, peerAddress: `${name}:9`, learner: false }));
  return records.state.map!.nodes.find((node) => node.name === name)!;
}

describe("a member", () => {
  test("is added under an id that is never given again, also not to its name", () => {
    const records = founded(3);
    const ids = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const { nodeId } = added(records, "n4");
      ids.add(nodeId);
      records.run(removeMember(records.state, nodeId, health([1, 2, 3])));
      records.run(forgetLeft(records.state));
      expect(records.state.map!.removedNodes).toContain(nodeId);
      expect(records.state.map!.nodes).toHaveLength(3);
    }
    expect(ids.size).toBe(5);
  });

  test.each([
    ["a name that is taken", { name: "n1", peerAddress: "h:1" }],
    ["an address that is taken", { name: "n4", peerAddress: "p1:1" }],
    ["no address", { name: "n4", peerAddress: "http://h:1" }],
    ["no name", { name: "", peerAddress: "h:1" }],
  ])("is refused with %s", (_what, request) => {
    const decision = addMember(founded(3).state, { ...request, learner: false });
    expect(decision).toMatchObject(refused("invalidArgument"));
  });

  test("joins once, by its name, and is its data directory from then on", () => {
    const records = founded(3);
    const { nodeId } = added(records, "n4");
    const join = { name: "n4", incarnation: "disk a" };
    records.run(joinMember(records.state, join));
    expect(joinMember(records.state, join)).toEqual({ kind: "nothing" });
    const other = { name: "n4", incarnation: "disk b" };
    expect(joinMember(records.state, other)).toMatchObject(refused("nodeRefused"));
    expect(joinMember(records.state, { ...other, name: "n5" })).toMatchObject(
      refused("nodeRefused"),
    );
    const said = nodeOf(nodeId, { name: "n4", incarnation: "disk a" });
    expect(registerNode(records.state, said).kind).toBe("write");
    expect(registerNode(records.state, { ...said, incarnation: "disk b" })).toMatchObject(
      refused("nodeRefused"),
    );
  });

  test("that was never added, or was removed, is not admitted by a sign of life", () => {
    const records = founded(4);
    expect(registerNode(records.state, nodeOf(9))).toMatchObject(refused("nodeRefused"));
    const { nodeId } = added(records, "n5");
    records.run(removeMember(records.state, nodeId, health([1, 2, 3, 4])));
    records.run(forgetLeft(records.state));
    expect(registerNode(records.state, nodeOf(nodeId))).toMatchObject(refused("nodeRefused"));
  });

  test("keeps the address that an operator gave it until it says a new one itself", () => {
    const records = founded(3);
    const addressOf = (): string => records.state.map!.nodes[0]!.peerAddress;
    records.run(updateMember(records.state, { nodeId: 1, peerAddress: "moved:1" }));
    expect(registerNode(records.state, nodeOf(1))).toEqual({ kind: "nothing" });
    expect(addressOf()).toBe("moved:1");
    records.run(registerNode(records.state, nodeOf(1, { peerAddress: "said:1" })));
    expect(addressOf()).toBe("said:1");
  });

  test("that learns is promoted once; an update of its address does not promote it", () => {
    const records = founded(3);
    records.run(addMember(records.state, { name: "n4", peerAddress: "h:1", learner: true }));
    const find = (): NodeDescriptor => records.state.map!.nodes.find((one) => one.name === "n4")!;
    expect(promoteMember(records.state, find().nodeId)).toMatchObject(refused("invalidArgument"));
    records.run(joinMember(records.state, { name: "n4", incarnation: "d" }));
    records.run(updateMember(records.state, { nodeId: find().nodeId, peerAddress: "h:2" }));
    expect(find().learner).toBe(true);
    records.run(promoteMember(records.state, find().nodeId));
    expect(find().learner).toBeUndefined();
    expect(promoteMember(records.state, find().nodeId)).toMatchObject(refused("invalidArgument"));
  });
});

describe("a founder", () => {
  const keyspace = { kind: "hash" as const, splitPoints: [], shardCount: 1, replicationFactor: 0 };

  test("is a member from the beginning, and its first data directory the one that counts", () => {
    const records = founded(3, 2);
    const third = (): NodeDescriptor => records.state.map!.nodes[2]!;
    expect(third()).toMatchObject({ nodeId: 3, name: "n3", peerAddress: "p3:1", incarnation: "" });
    records.run(registerNode(records.state, nodeOf(3)));
    expect(third()).toEqual(nodeOf(3));
    const wiped = nodeOf(3, { incarnation: "disk b" });
    expect(registerNode(records.state, wiped)).toMatchObject(refused("nodeRefused"));
  });

  test("is heard by the placement group until most are known, and once its own disk is", () => {
    const records = founded(3, 1);
    const heard = (): boolean[] => [1, 2, 3].map((id) => isHeard(records.state.map!, id));
    // Without those that have not come nobody could be registered.
    expect(heard()).toEqual([true, true, true]);
    records.run(registerNode(records.state, nodeOf(2)));
    // What comes now, the first keyspace too, is held by a majority that is known.
    expect(heard()).toEqual([true, true, false]);
    records.run(registerNode(records.state, nodeOf(3)));
    expect(heard()).toEqual([true, true, true]);
  });

  test("is waited for with the first keyspace, where most have not come without it", () => {
    const records = founded(5, 2);
    const made = (): PlacementDecision =>
      createKeyspace(records.state, { ...keyspace, name: "early" });
    expect(made()).toMatchObject(refused("unavailable"));
    records.run(registerNode(records.state, nodeOf(3)));
    expect(made().kind).toBe("write");
  });

  test("that never comes is removed, gives up its replicas, and is refused from then on", () => {
    const groups = new Groups(1, 3, 2);
    const { records } = groups;
    const voters = (): number[][] =>
      records.state.map!.shards.map(({ replicas }) => replicas.map(({ nodeId }) => nodeId));
    expect(voters()).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    records.run(removeMember(records.state, 3, groups.health));
    for (let rounds = 0; groups.work(); rounds++) expect(rounds).toBeLessThan(50);
    expect(voters()).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(registerNode(records.state, nodeOf(3))).toMatchObject(refused("nodeRefused"));
    groups.add();
    for (let rounds = 0; groups.work(); rounds++) expect(rounds).toBeLessThan(50);
    expect(voters().map((ids) => ids.length)).toEqual([3, 3]);
  });
});

describe("a removal", () => {
  test.each<[string, number, number, readonly number[], boolean]>([
    ["of one of three", 3, 1, [1, 2, 3], true],
    ["of a dead one", 3, 3, [1, 2], true],
    ["of one of two that are left", 3, 1, [1, 2], false],
    ["without a quorum", 3, 2, [1], false],
    ["of one of two, the other one alive", 2, 1, [1, 2], true],
    ["of the last one", 1, 1, [1], false],
    ["of an unknown one", 3, 9, [1, 2, 3], false],
  ])("%s", (_what, nodeCount, nodeId, alive, allowed) => {
    const decision = removeMember(founded(nodeCount).state, nodeId, health(alive));
    expect(decision.kind).toBe(allowed ? "write" : "refused");
  });

  test("of whom all others leave for is refused, before it holds anything, too", () => {
    const records = founded(3);
    const { nodeId, name } = added(records, "n4");
    records.run(joinMember(records.state, { name, incarnation: "disk 4" }));
    const all = health([1, 2, 3, nodeId]);
    for (const each of [3, 2, 1]) records.run(removeMember(records.state, each, all));
    const refusal = removeMember(records.state, nodeId, all);
    expect(refusal).toMatchObject(refused("invalidArgument"));
  });
});

describe("a report", () => {
  const report = { shardId: 1, term: 1, learners: [8], joint: false, caughtUp: [] };

  test("confirms only what it shows, and only when it is ahead of the last one", () => {
    const records = founded(3);
    records.run(beginStep(records.state, addStep(4, 1)));
    const shown = { ...report, voters: [1, 2, 3], appliedIndex: 10 };
    const state = (): Records["state"] => records.state;
    expect(confirmTarget(state(), { ...shown, joint: true }).kind).toBe("nothing");
    expect(confirmTarget(state(), { ...shown, learners: [] }).kind).toBe("nothing");
    records.run(confirmTarget(state(), shown));
    const [shard] = state().map!.shards;
    expect(shard).toMatchObject({ epoch: { configuration: 2 }, confirmedIndex: 10 });
    expect(shard!.target).toBeUndefined();
    records.run(beginStep(state(), { ...bound(2), kind: "remove", replicaId: 8 }));
    const old = { ...shown, learners: [] };
    expect(confirmTarget(state(), old).kind).toBe("nothing");
    expect(confirmTarget(state(), { ...old, appliedIndex: 11 }).kind).toBe("write");
  });

  test("a step of an older epoch, or beside another one, is not begun", () => {
    const records = founded(3);
    expect(beginStep(records.state, addStep(4, 2))).toEqual({ kind: "nothing" });
    records.run(beginStep(records.state, addStep(4, 1)));
    expect(beginStep(records.state, addStep(5, 1))).toEqual({ kind: "nothing" });
  });

  test("of replicas that nobody asked for has them brought back in line", () => {
    const records = founded(3);
    const strayed = { ...report, learners: [], voters: [1, 2], appliedIndex: 7 };
    const [step, ...others] = planRepairs(records.state, health([1, 2, 3], [strayed]), 9);
    expect([step, others]).toEqual([{ ...bound(1), kind: "restore" }, []]);
    records.run(beginStep(records.state, step!));
    const shard = (): ShardDescriptor => records.state.map!.shards[0]!;
    expect(shard().target).toEqual(shard().replicas);
    records.run(confirmTarget(records.state, { ...strayed, voters: [1, 2, 3], appliedIndex: 9 }));
    expect(shard().target).toBeUndefined();
    expect(planRepairs(records.state, health([1, 2, 3], [strayed]), 9)).toEqual([]);
  });

  test("is given up where an earlier one, given up too, was reached after all", () => {
    const records = founded(3);
    const shard = (): ShardDescriptor => records.state.map!.shards[0]!;
    records.run(beginStep(records.state, addStep(4, 1)));
    const before = { ...report, learners: [], voters: [1, 2, 3], appliedIndex: 5 };
    records.run(abandonTarget(records.state, 1, health([1], [before])));
    records.run(beginStep(records.state, addStep(4, 2)));
    // The first one's learner is there: the leader can neither go on nor back.
    const reached = { ...before, learners: [8], appliedIndex: 6 };
    const all = health([1, 2, 3, 4], [reached]);
    records.run(abandonTarget(records.state, 1, all));
    expect(shard().target).toBeUndefined();
    const [step] = planRepairs(records.state, all, 9);
    expect(step).toMatchObject({ kind: "restore" });
    records.run(beginStep(records.state, step!));
    // What brings it back is not given up.
    expect(abandonTarget(records.state, 1, all)).toEqual({ kind: "nothing" });
  });

  test("replica ids are never used again", () => {
    const records = founded(3);
    records.run(beginStep(records.state, addStep(4, 1)));
    const lost = { ...report, learners: [], voters: [1, 2, 3], appliedIndex: 5 };
    // The learner's node dies, and so does a quorum for a moment: the target is given up.
    records.run(abandonTarget(records.state, 1, health([1], [lost])));
    expect(records.state.map!.shards[0]!.target).toBeUndefined();
    records.run(beginStep(records.state, addStep(4, 2)));
    expect(records.state.map!.shards[0]!.target!.map((each) => each.replicaId)).toEqual([
      1, 2, 3, 9,
    ]);
  });
});

test("an operator's change is refused where it makes no sense, or costs the quorum", () => {
  const records = founded(3);
  const ask = (action: "add" | "remove" | "promote", nodeId: number, alive = [1, 2, 3]): unknown =>
    changeReplica(records.state, { shardId: 1, action, nodeId }, health(alive));
  expect(ask("add", 1)).toMatchObject(refused("invalidArgument"));
  expect(ask("add", 9)).toMatchObject(refused("nodeNotFound"));
  expect(ask("promote", 1)).toMatchObject(refused("invalidArgument"));
  expect(ask("remove", 9)).toMatchObject(refused("invalidArgument"));
  expect(ask("remove", 1, [1, 2])).toMatchObject(refused("invalidArgument"));
  expect(ask("remove", 3, [1, 2])).toMatchObject({ kind: "write" });
});

test("a shard with a replica on each of five nodes gives up those that leave, and gets new ones", () => {
  const groups = new Groups(1, 5);
  const { records } = groups;
  const voters = (): number[] =>
    votersOf(records.state.map!.shards[1]!.replicas).map((voter) => voter.nodeId);
  const settle = (): void => {
    for (let rounds = 0; groups.work(); rounds++) expect(rounds).toBeLessThan(50);
  };
  const remove = (nodeId: number): void => {
    records.run(removeMember(records.state, nodeId, groups.health));
    settle();
  };
  expect(voters()).toEqual([1, 2, 3, 4, 5]);
  groups.dead.add(1).add(2);
  remove(1);
  expect(voters()).toEqual([2, 3, 4, 5]);
  remove(2);
  expect(voters()).toEqual([3, 4, 5]);
  // Four bear no more losses than three: the next one waits for another.
  groups.add();
  settle();
  expect(voters()).toHaveLength(3);
  groups.add();
  settle();
  expect(voters()).toHaveLength(5);
});

test("a replica goes where the labels differ from those that stay", () => {
  const records = founded(3);
  for (const [nodeId, zone] of [
    [1, "a"],
    [2, "b"],
    [3, "c"],
  ] as const) {
    records.run(registerNode(records.state, nodeOf(nodeId, { labels: { zone } })));
  }
  const ids = ["a", "b", "c"].map((zone) => {
    const { nodeId, name } = added(records, `new-${zone}`);
    records.run(joinMember(records.state, { name, incarnation: `disk ${nodeId}` }));
    const said = nodeOf(nodeId, { name, peerAddress: `${name}:9`, labels: { zone } });
    records.run(registerNode(records.state, said));
    return nodeId;
  });
  const all = health([1, 2, 3, ...ids]);
  records.run(removeMember(records.state, 2, all));
  expect(planRepairs(records.state, all, 9)).toEqual([
    { shardId: 1, configuration: 1, kind: "add", nodeId: ids[1] },
  ]);
});

function bound(configuration: number): { shardId: number; configuration: number } {
  return { shardId: 1, configuration };
}

function addStep(nodeId: number, configuration: number): Parameters<typeof beginStep>[1] {
  return { ...bound(configuration), kind: "add", nodeId };
}

/** Raft groups as far as placement can tell: a target is reached where both quorums are alive. */
class Groups {
  readonly records: Records;
  readonly dead: Set<number> = new Set();
  #index = 1;
  #named: number;

  /** As many replicas as founders. */
  constructor(shardCount: number, founders: number, come: number = founders) {
    this.records = founded(founders, come);
    this.#named = founders;
    const request = {
      name: "default",
      kind: "hash" as const,
      splitPoints: [],
      replicationFactor: 0,
    };
    this.records.run(createKeyspace(this.records.state, { ...request, shardCount }));
  }

  get health(): ClusterHealth {
    const { nodes, shards } = this.records.state.map!;
    const alive = nodes.filter((node) => node.incarnation !== "" && !this.dead.has(node.nodeId));
    const ids = alive.map((node) => node.nodeId);
    return health(
      ids,
      shards.map((shard) => this.#report(shard.shardId, shard.replicas, ids)),
    );
  }

  add(): void {
    const { nodeId, name } = added(this.records, `n${++this.#named}`);
    this.records.run(joinMember(this.records.state, { name, incarnation: `disk ${nodeId}` }));
  }

  /** One round of the placement leader. */
  work(): boolean {
    const { version } = this.records.state.map!;
    for (const { shardId, replicas, target } of this.records.state.map!.shards) {
      if (target === undefined) continue;
      const { alive } = this.health;
      if (!hasQuorum(votersOf(replicas), alive) || !hasQuorum(votersOf(target), alive)) {
        this.records.run(abandonTarget(this.records.state, shardId, this.health));
        continue;
      }
      this.records.run(
        confirmTarget(this.records.state, this.#report(shardId, target, [...alive])),
      );
    }
    for (const step of planRepairs(this.records.state, this.health, 16)) {
      this.#checkFree(step.shardId);
      this.records.run(beginStep(this.records.state, step));
      this.#checkTarget(step.shardId);
    }
    this.records.run(forgetLeft(this.records.state));
    return this.records.state.map!.version !== version;
  }

  #shard(shardId: number): ShardDescriptor {
    return this.records.state.map!.shards.find((each) => each.shardId === shardId)!;
  }

  #checkFree(shardId: number): void {
    const { target, replicas } = this.#shard(shardId);
    expect(target).toBeUndefined();
    expect(hasQuorum(votersOf(replicas), this.health.alive)).toBe(true);
  }

  #checkTarget(shardId: number): void {
    const { target } = this.#shard(shardId);
    expect(hasQuorum(votersOf(target!), this.health.alive)).toBe(true);
  }

  #report(
    shardId: number,
    replicas: readonly ReplicaDescriptor[],
    alive: readonly number[],
  ): ShardReport {
    const learners = replicas.filter((each) => each.role === "learner");
    return {
      shardId,
      term: 1,
      appliedIndex: ++this.#index,
      voters: votersOf(replicas).map((each) => each.replicaId),
      learners: learners.map((each) => each.replicaId),
      joint: false,
      caughtUp: learners
        .filter((each) => alive.includes(each.nodeId))
        .map((each) => each.replicaId),
    };
  }
}

type Event = { readonly kind: "add" | "remove" | "die" | "revive" | "work"; readonly at: number };

const EVENTS: fc.Arbitrary<Event[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("add", "remove", "die", "revive", "work", "work", "work"),
    at: fc.nat(20),
  }),
  { maxLength: 40 },
);

function apply(groups: Groups, { kind, at }: Event): void {
  const { nodes, shards } = groups.records.state.map!;
  const node = nodes[at % nodes.length]!;
  if (kind === "add" && nodes.length < 8) groups.add();
  if (kind === "revive") groups.dead.delete(node.nodeId);
  if (kind === "work") groups.work();
  if (kind === "remove") {
    const decision = removeMember(groups.records.state, node.nodeId, groups.health);
    if (decision.kind === "write") groups.records.run(decision);
  }
  if (kind !== "die") return;
  // Deaths that cost a quorum by themselves are not placement's doing: they are left out.
  const alive = new Set([...groups.health.alive].filter((id) => id !== node.nodeId));
  const kept = shards.every(({ replicas, target }) =>
    [replicas, target ?? replicas].every((each) => hasQuorum(votersOf(each), alive)),
  );
  if (kept) groups.dead.add(node.nodeId);
}

describe("whatever is added, removed or dies", () => {
  const anyCounts = [fc.integer({ min: 1, max: 5 }), fc.constantFrom(3, 5, 7)] as const;
  propertyTest.prop([EVENTS, ...anyCounts], { numRuns: 300 })(
    "the plan keeps every quorum and converges",
    (events, shardCount, founders) => {
      const groups = new Groups(shardCount, founders);
      for (const event of events) {
        apply(groups, event);
        for (const { replicas } of groups.records.state.map!.shards) {
          expect(hasQuorum(votersOf(replicas), groups.health.alive)).toBe(true);
          expect(new Set(replicas.map((each) => each.nodeId)).size).toBe(replicas.length);
        }
      }
      groups.dead.clear();
      let rounds = 0;
      while (groups.work()) expect(rounds++).toBeLessThan(400);
      const { map } = groups.records.state;
      const staying = map!.nodes.filter((node) => node.state === undefined);
      expect(map!.nodes).toEqual(staying);
      for (const shard of map!.shards) {
        expect(shard.target).toBeUndefined();
        expect(shard.replicas).toEqual(votersOf(shard.replicas));
        const wanted = replicaCountOn(staying.length, founders);
        expect(shard.replicas.length).toBeGreaterThanOrEqual(wanted);
        for (const { nodeId } of shard.replicas) expect(holdsReplicas(map!, nodeId)).toBe(true);
        for (const { nodeId } of shard.replicas) {
          expect(staying.some((node) => node.nodeId === nodeId)).toBe(true);
        }
      }
    },
  );
});
