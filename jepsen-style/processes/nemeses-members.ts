/** Changes of who belongs to the cluster, and of who holds its shards' replicas, under load. */
import { rmSync } from "node:fs";
import type { ClusterMap } from "../../src/protocol/cluster.js";
import type { Cluster } from "./cluster.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled } from "./nemesis.js";
import {
  isSettled,
  mapNow,
  moveReplica,
  refused,
  until,
  untilAdded,
  untilGone,
  untilStarted,
} from "./operations.js";

const ADD_PATIENCE_MS = 10_000;
const LEAVE_PATIENCE_MS = 20_000;
const MOVE_PATIENCE_MS = 60_000;

/**
 * A new node, in every other case at first a learner, is given a replica that votes, and in every
 * other case leads it. It leaves when the fault is healed: then leadership and replica must go.
 */
async function grow(scene: Scene): Promise<Fault | undefined> {
  const { cluster, prng } = scene;
  const map = await mapNow(cluster);
  if (map === undefined || cluster.names.some((name) => name.startsWith("extra"))) return undefined;
  const taken = new Set(map.nodes.map((each) => each.name));
  let number = 1;
  while (taken.has(`extra${number}`) || cluster.knows(`extra${number}`)) number++;
  const name = `extra${number}`;
  await cluster.prepare(name);
  const learner = prng.chance(0.5);
  const nodeId = await untilAdded(cluster, { name, learner }, ADD_PATIENCE_MS);
  if (nodeId === undefined) return undefined;
  cluster.join(name);
  const steps = await settle(scene, { name, nodeId, learner });
  const heal = (): Promise<string> => leave(cluster, name, nodeId);
  return { text: ["grow by", name, ...steps].join(" "), heal };
}

interface Newcomer {
  readonly name: string;
  readonly nodeId: number;
  readonly learner: boolean;
}

/** As far as there is time for it; says how far that was. */
async function settle({ cluster, prng }: Scene, newcomer: Newcomer): Promise<readonly string[]> {
  const { name, nodeId, learner } = newcomer;
  const { admin } = cluster.observer;
  if (!(await untilStarted(cluster, name, ADD_PATIENCE_MS))) return ["not started yet"];
  const shards = (await mapNow(cluster))?.shards ?? [];
  const [shard] = shuffled(shards, prng);
  if (shard === undefined) return [];
  const { shardId } = shard;
  if (learner) {
    await admin.changeReplica({ shardId, action: "add", nodeId }).catch(refused);
    const isPromoted = async (): Promise<boolean> => {
      const node = (await mapNow(cluster))?.nodes.find((each) => each.nodeId === nodeId);
      if (node !== undefined && node.learner !== true) return true;
      await admin.promoteMember(nodeId).catch(refused);
      return false;
    };
    if (!(await until(isPromoted, ADD_PATIENCE_MS))) return ["a learner"];
  }
  const told = learner ? ["once a learner"] : [];
  const moved = await moveReplica(
    cluster,
    { shardId, from: undefined, to: nodeId },
    ADD_PATIENCE_MS,
  );
  if (moved !== "done") return told;
  if (!prng.chance(0.5)) return [...told, `votes on shard ${shardId}`];
  const leads = await admin.moveLeader(shardId, nodeId).then(() => true, refused);
  return [...told, leads === true ? `leads shard ${shardId}` : `votes on shard ${shardId}`];
}

/** Until it is gone from the map; where that takes too long it stays, and keeps running. */
async function leave(cluster: Cluster, name: string, nodeId: number): Promise<string> {
  const node = cluster.node(name);
  // It ends as soon as it is told that it is out.
  node.mayEndUntilMs = Infinity;
  const startedMs = performance.now();
  if (!(await untilGone(cluster, nodeId, LEAVE_PATIENCE_MS))) return "it could not leave yet";
  await node.kill();
  cluster.drop(name);
  rmSync(cluster.directoryOf(name), { recursive: true, force: true });
  return `it left in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}

/**
 * A majority of a shard's voters goes elsewhere, one after the other, the leader in half of the
 * cases first. Where there are fewer other nodes than that, as many as there are.
 */
async function swap(scene: Scene): Promise<Fault | undefined> {
  const map = await mapNow(scene.cluster);
  const plan = map === undefined ? undefined : swapPlan(map, scene);
  if (plan === undefined) return undefined;
  const { shardId, pairs } = plan;
  const moving = moveAll(scene, shardId, pairs);
  return { text: `swap ${pairs.length} voters of shard ${shardId}`, heal: () => moving };
}

interface SwapPlan {
  readonly shardId: number;
  readonly pairs: readonly (readonly [from: number, to: number])[];
}

export function swapPlan(map: ClusterMap, { prng }: Pick<Scene, "prng">): SwapPlan | undefined {
  const settled = map.nodes.filter(isSettled).map(({ nodeId }) => nodeId);
  const plans = map.shards.flatMap(({ shardId, replicas, preferredNodeId }): SwapPlan[] => {
    const voters = replicas.filter(({ role }) => role === "voter").map(({ nodeId }) => nodeId);
    const others = settled.filter((id) => !replicas.some(({ nodeId }) => nodeId === id));
    if (others.length === 0) return [];
    const isLed = (nodeId: number): boolean => nodeId === preferredNodeId;
    const mixed = shuffled(voters, prng);
    const leaving = prng.chance(0.5)
      ? [...mixed.filter(isLed), ...mixed.filter((id) => !isLed(id))]
      : mixed;
    const count = Math.min(Math.floor(voters.length / 2) + 1, others.length);
    const taking = shuffled(others, prng);
    return [{ shardId, pairs: leaving.slice(0, count).map((from, at) => [from, taking[at]!]) }];
  });
  return shuffled(plans, prng)[0];
}

async function moveAll(
  { cluster, blame }: Scene,
  shardId: number,
  pairs: SwapPlan["pairs"],
): Promise<string> {
  const startedMs = performance.now();
  let done = 0;
  for (const [from, to] of pairs) {
    const moved = await moveReplica(cluster, { shardId, from, to }, MOVE_PATIENCE_MS);
    if (moved === "late") {
      blame(`a replica of shard ${shardId} was not moved within ${MOVE_PATIENCE_MS / 1000} s`);
      break;
    }
    if (moved === "done") done++;
  }
  return `${done} moved in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
}

export const MEMBER_NEMESES: readonly Nemesis[] = [
  {
    name: "members",
    about: "a node is added, also as a learner, votes, also leads, and is removed",
    holdMs: [1000, 6000],
    strike: grow,
  },
  {
    name: "swap",
    about: "a majority of a shard's voters is replaced by others, one after the other",
    holdMs: [0, 3000],
    strike: swap,
  },
];
