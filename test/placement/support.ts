/** The placement group's records as decisions write them, and clusters that were founded so. */
import { foundCluster } from "../../src/placement/commands.js";
import type { PlacementDecision, PlacementStep } from "../../src/placement/decision.js";
import { registerNode } from "../../src/placement/members.js";
import { decodeState } from "../../src/placement/records.js";
import type { PlacementRecord, PlacementState } from "../../src/placement/records.js";
import type { NodeDescriptor, ShardDescriptor } from "../../src/protocol/cluster.js";
import { keyspaceRange } from "../../src/route/stored-key.js";

/** The records that were written, as the placement group would hold them. */
export class Records {
  readonly #held: Map<string, PlacementRecord> = new Map();
  #version = 0;

  get state(): PlacementState {
    const sorted = [...this.#held.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return decodeState(sorted, this.#version);
  }

  write(step: PlacementStep): void {
    this.#version++;
    for (const record of step) this.#held.set(record.key, record);
  }

  /** Throws what was refused. */
  run(decision: PlacementDecision): void {
    for (const step of stepsOf(decision)) this.write(step);
  }
}

export function stepsOf(decision: PlacementDecision): readonly PlacementStep[] {
  if (decision.kind === "refused") throw decision.error;
  return decision.kind === "write" ? decision.steps : [];
}

export function nodeOf(nodeId: number, changed: Partial<NodeDescriptor> = {}): NodeDescriptor {
  const addresses = { clientAddress: `c${nodeId}:1`, peerAddress: `p${nodeId}:1` };
  const incarnation = `disk ${nodeId}`;
  return { nodeId, name: `n${nodeId}`, ...addresses, labels: {}, incarnation, ...changed };
}

/** The placement group of nodes 1 to `nodeCount`. */
export function placementShard(nodeCount: number): ShardDescriptor {
  return {
    shardId: 1,
    keyspaceId: 0,
    range: keyspaceRange(0),
    epoch: { configuration: 1, range: 1 },
    generation: 1,
    replicas: Array.from({ length: nodeCount }, (_, i) => {
      return { replicaId: i + 1, nodeId: i + 1, role: "voter" as const };
    }),
    preferredNodeId: 1,
  };
}

/** Nodes 1 to `nodeCount` as their cluster knows them before they have come. */
export function founders(nodeCount: number): NodeDescriptor[] {
  const notStarted = { clientAddress: "", incarnation: "" };
  return Array.from({ length: nodeCount }, (_, i) => nodeOf(i + 1, notStarted));
}

/** A cluster of nodes 1 to `nodeCount`, of which all are registered, or those up to `come`. */
export function founded(nodeCount: number, come: number = nodeCount): Records {
  const records = new Records();
  const placement = placementShard(nodeCount);
  records.run(foundCluster(records.state, "abc", placement, founders(nodeCount)));
  for (let i = 1; i <= come; i++) records.run(registerNode(records.state, nodeOf(i)));
  return records;
}
