/** From a Raft configuration to the replicas that are wanted: what a leader does next. */
import { describe, expect, test } from "vitest";
import type { ReplicaDescriptor } from "../../src/protocol/cluster.js";
import { leaveJoint } from "../../src/raft/configuration.js";
import type { Configuration } from "../../src/raft/types.js";
import { nextReconfiguration, shows } from "../../src/shard/reconfiguration.js";

function configuration(voters: readonly number[], learners: readonly number[] = []): Configuration {
  return { voters, outgoing: [], learners, learnersNext: [] };
}

function replicas(
  voters: readonly number[],
  learners: readonly number[] = [],
): ReplicaDescriptor[] {
  return [
    ...voters.map((id) => ({ replicaId: id, nodeId: id, role: "voter" as const })),
    ...learners.map((id) => ({ replicaId: id, nodeId: id, role: "learner" as const })),
  ];
}

describe("a leader", () => {
  const three = replicas([1, 2, 3]);

  test("changes learners directly", () => {
    const change = { replicas: three, target: replicas([1, 2, 3], [8]) };
    const step = nextReconfiguration(configuration([1, 2, 3]), change, 1);
    expect(step).toEqual({ kind: "propose", configuration: configuration([1, 2, 3], [8]) });
  });

  test("changes voters by a joint configuration, in which who is demoted stays a learner", () => {
    const target = replicas([1, 2, 8], [3]);
    const change = { replicas: replicas([1, 2, 3], [8]), target };
    const step = nextReconfiguration(configuration([1, 2, 3], [8]), change, 1);
    const joint = { voters: [1, 2, 8], outgoing: [1, 2, 3], learners: [], learnersNext: [3] };
    expect(step).toEqual({ kind: "propose", configuration: joint });
    expect(nextReconfiguration(joint, change, 1)).toEqual({ kind: "wait" });
    expect(shows(joint, target)).toBe(false);
    expect(nextReconfiguration(leaveJoint(joint), change, 1)).toEqual({ kind: "done" });
  });

  test("that is to vote no more hands over to a voter that stays", () => {
    const change = { replicas: replicas([1, 2, 3], [8]), target: replicas([2, 8], [1, 3]) };
    const step = nextReconfiguration(configuration([1, 2, 3], [8]), change, 1);
    expect(step).toEqual({ kind: "transfer", candidates: [2] });
  });

  test("does nothing for what is there, in whatever order", () => {
    const change = { replicas: three, target: replicas([1, 2, 3]) };
    const step = nextReconfiguration(configuration([3, 1, 2]), change, 1);
    expect(step).toEqual({ kind: "done" });
    const settled = nextReconfiguration(configuration([1, 2, 3]), { replicas: three }, 1);
    expect(settled).toEqual({ kind: "done" });
  });

  test("with a map that is too old undoes nothing", () => {
    const change = { replicas: three, target: replicas([1, 2], [3]) };
    const step = nextReconfiguration(configuration([1, 2, 8]), change, 1);
    expect(step).toEqual({ kind: "wait" });
  });

  test("brings back the replicas of the map where it is asked to", () => {
    const change = { replicas: three, target: three };
    const joint = { voters: [1, 2, 3], outgoing: [1, 2], learners: [], learnersNext: [] };
    const step = nextReconfiguration(configuration([1, 2], [3]), change, 1);
    expect(step).toEqual({ kind: "propose", configuration: joint });
  });
});
