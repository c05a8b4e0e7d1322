/**
 * A change of two voters at once, with a crash of each replica at each of its steps. Whatever the
 * step was: those that are left, a majority of both halves, elect a leader that finishes the change
 * or has forgotten it, and go on writing; whoever crashed comes back into the same log.
 */
import { describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { enterJoint } from "../../src/raft/configuration.js";
import type { ReplicaId } from "../../src/raft/types.js";
import { Cluster, emptyDisk } from "./cluster.js";

const IDS: readonly ReplicaId[] = [1, 2, 3, 4, 5];

function startedCluster(): Cluster {
  const cluster = new Cluster();
  const configuration = { voters: [1, 2, 3], outgoing: [], learners: [4, 5], learnersNext: [] };
  for (const id of IDS) {
    cluster.add(id, emptyDisk(configuration));
    cluster.start(id);
  }
  cluster.get(1).running.campaign(cluster.nowMs);
  cluster.settle();
  return cluster;
}

/** One thing happens: a turn of a replica, the end of a write, or one message. */
function step(cluster: Cluster): boolean {
  for (const id of cluster.runningIds) {
    if (cluster.takeReady(id) || cluster.finishPersist(id)) return true;
  }
  const envelope = cluster.network.shift();
  if (envelope !== undefined) cluster.deliver(envelope);
  return envelope !== undefined;
}

/** Proposes the change and takes `steps` of it. Returns whether there was more to do. */
function change(cluster: Cluster, steps: number): boolean {
  const { running } = cluster.get(1);
  const next = enterJoint(running.configuration, [1, 4, 5], [3]);
  expect(running.proposeConfiguration(next).kind).toBe("accepted");
  cluster.propose(1, "meanwhile");
  for (let i = 0; i < steps; i++) if (!step(cluster)) return false;
  return true;
}

function pass(cluster: Cluster, ms: number): void {
  for (let passed = 0; passed < ms; passed += 20) {
    cluster.nowMs += 20;
    for (const id of cluster.runningIds) cluster.tick(id);
    cluster.settle();
  }
}

function leaderOf(cluster: Cluster): ReplicaId {
  const leads = (id: ReplicaId): boolean => cluster.get(id).running.role === "leader";
  return must(cluster.runningIds.filter(leads).at(-1), "a leader");
}

function expectWorking(cluster: Cluster, text: string): void {
  const { running } = cluster.get(leaderOf(cluster));
  expect(running.configuration.outgoing).toEqual([]);
  cluster.propose(leaderOf(cluster), text);
  cluster.settle();
  expect(running.commitIndex).toBe(running.lastIndex);
}

describe("a joint change", () => {
  for (const crashed of IDS) {
    test(`goes on or is forgotten when ${crashed} crashes at any of its steps`, () => {
      let steps = 0;
      for (let isMore = true; isMore; steps++) {
        const cluster = startedCluster();
        isMore = change(cluster, steps);
        cluster.crash(crashed, steps % 2);
        pass(cluster, 2500);
        expectWorking(cluster, "without it");
        cluster.start(crashed);
        pass(cluster, 2500);
        expectWorking(cluster, "with it");
      }
      expect(steps).toBeGreaterThan(20);
    });
  }
});
