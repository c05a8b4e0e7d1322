/**
 * A disk that is lost for ever. The node is killed, its files go, and it is started as before: the
 * cluster must not let it in. Then it is removed, added again under its name and addresses with an
 * empty disk, and must be given replicas and serve. It is always the one node whose files may be
 * damaged, and only once the cluster is whole: so never two disks are lost.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import type { ClusterMap, NodeDescriptor } from "../../src/protocol/cluster.js";
import type { Cluster } from "./cluster.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { isSettled, mapNow, moveReplica, POLL_MS } from "./operations.js";
import { until, untilAdded, untilGone, untilStarted } from "./operations.js";

/** Of each step; in the first of it other faults may still be on. */
const PATIENCE_MS = 90_000;
const NODES_MIN = 3;
const REFUSAL = /is registered with another data directory/;

async function loseDisk(scene: Scene): Promise<Fault | undefined> {
  const { cluster, damaged } = scene;
  const map = await mapNow(cluster);
  const lost = map?.nodes.find(({ name }) => name === damaged);
  if (map === undefined || lost === undefined || !isWhole(map)) return undefined;
  const node = cluster.node(damaged);
  node.mayEndUntilMs = Infinity;
  await emptyDisk(cluster, damaged);
  const told = sizeOf(node.setup.outputPath);
  node.start();
  const heal = (): Promise<string> => replace(scene, { map, lost, told });
  return { text: `${damaged} loses its disk`, heal };
}

/** Every node has started and stays, and no shard is being changed or has too few replicas. */
export function isWhole({ nodes, shards }: ClusterMap): boolean {
  if (nodes.length < NODES_MIN || !nodes.every(isSettled)) return false;
  return shards.every(({ replicas, target }) => {
    const voters = replicas.filter(({ role }) => role === "voter");
    return target === undefined && voters.length >= NODES_MIN;
  });
}

/** Whoever starts it again meanwhile starts it in vain. */
async function emptyDisk(cluster: Cluster, name: string): Promise<void> {
  const node = cluster.node(name);
  while (node.state !== "down") await node.kill();
  cluster.wipe(name);
}

interface Loss {
  readonly map: ClusterMap;
  readonly lost: NodeDescriptor;
  /** What the node had printed before. */
  readonly told: number;
}

async function replace({ cluster, damaged, blame }: Scene, loss: Loss): Promise<string> {
  const startedMs = performance.now();
  const { lost, map } = loss;
  const fail = (text: string): string => {
    blame(`${damaged} lost its disk and ${text} within ${PATIENCE_MS / 1000} s`);
    return text;
  };
  if (!(await untilRefused(cluster, damaged, loss.told))) return fail("was not refused");
  if (!(await untilGone(cluster, lost.nodeId, PATIENCE_MS))) return fail("could not be removed");
  await emptyDisk(cluster, damaged);
  const member = { name: damaged, learner: false };
  const nodeId = await untilAdded(cluster, member, PATIENCE_MS);
  if (nodeId === undefined) return fail("could not be added again");
  cluster.join(damaged);
  if (!(await untilStarted(cluster, damaged, PATIENCE_MS))) return fail("did not come back");
  for (const { shardId, replicas } of map.shards) {
    if (!replicas.some((each) => each.nodeId === lost.nodeId)) continue;
    const now = await mapNow(cluster);
    const shard = now?.shards.find((each) => each.shardId === shardId);
    const before = new Set(replicas.map((each) => each.nodeId));
    // Where another node took its place meanwhile, it is given back.
    const from = shard?.replicas.find((each) => !before.has(each.nodeId) && each.nodeId !== nodeId);
    const move = { shardId, from: from?.nodeId, to: nodeId };
    const moved = await moveReplica(cluster, move, PATIENCE_MS);
    if (moved === "late") return fail(`was not given a replica of shard ${shardId} again`);
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  return `refused, removed, added again, has its replicas after ${seconds} s`;
}

/** It ends when it is refused; where another fault ended it before that, it is started again. */
function untilRefused(cluster: Cluster, name: string, told: number): Promise<boolean> {
  const { outputPath } = cluster.node(name).setup;
  return until(() => {
    if (REFUSAL.test(textOf(outputPath).slice(told))) return true;
    cluster.node(name).start();
    return false;
  }, PATIENCE_MS);
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

export const REPLACE_NEMESES: readonly Nemesis[] = [
  {
    name: "replace",
    about: "one node, always the same, loses its disk, is refused, removed and added again",
    holdMs: [POLL_MS, 3000],
    strike: loseDisk,
  },
];
