/** What an operator may do at any time: hand over leaderships, compact, add and remove nodes. */
import { rmSync } from "node:fs";
import { KvError } from "../../src/protocol/errors.js";
import type { Cluster } from "./cluster.js";
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled } from "./nemesis.js";

/** Compactions stay so far behind, so that watches which start behind are mostly served. */
const KEPT_REVISIONS = 100;
const LEAVE_PATIENCE_MS = 20_000;
const POLL_MS = 250;

async function transfer({ cluster, prng }: Scene): Promise<Fault | undefined> {
  const { clusterMap } = await cluster.observer.admin.map();
  const [shard] = shuffled(clusterMap.shards, prng);
  const [replica] = shuffled(shard?.replicas ?? [], prng);
  if (shard === undefined || replica === undefined) return undefined;
  await cluster.observer.admin.moveLeader(shard.shardId, replica.nodeId);
  const text = `transfer shard ${shard.shardId} to node ${replica.nodeId}`;
  return { text, heal: () => undefined };
}

async function compact({ cluster }: Scene): Promise<Fault | undefined> {
  const { header } = await cluster.observer.get("harness/ready");
  const revision = header.revision - KEPT_REVISIONS;
  if (revision < 2) return undefined;
  await cluster.observer.compact(revision);
  return { text: `compact ${revision}`, heal: () => undefined };
}

/** Adds a node; it leaves again when the fault is healed. */
async function grow({ cluster }: Scene): Promise<Fault | undefined> {
  const taken = new Set((await cluster.observer.admin.members()).map((each) => each.name));
  if (cluster.names.some((name) => name.startsWith("extra"))) return undefined;
  let number = 1;
  while (taken.has(`extra${number}`) || cluster.knows(`extra${number}`)) number++;
  const name = `extra${number}`;
  await cluster.prepare(name);
  const { peer } = cluster.advertised(name);
  await cluster.observer.admin.addMember({ name, peerAddress: peer, learner: false });
  cluster.join(name);
  await moveThere(cluster, name);
  return { text: `grow by ${name}`, heal: () => leave(cluster, name) };
}

/** Gives the new node a replica, where there is time for it. */
async function moveThere(cluster: Cluster, name: string): Promise<void> {
  const { clusterMap } = await cluster.observer.admin.map();
  const nodeId = clusterMap.nodes.find((each) => each.name === name)?.nodeId;
  const shard = clusterMap.shards.find((each) => each.keyspaceId !== 0);
  if (nodeId === undefined || shard === undefined) return;
  const request = { shardId: shard.shardId, action: "add", nodeId } as const;
  await cluster.observer.admin.changeReplica(request).catch(refused);
}

/** Until it is gone from the map; where that takes too long it stays, and keeps running. */
async function leave(cluster: Cluster, name: string): Promise<void> {
  const end = performance.now() + LEAVE_PATIENCE_MS;
  const node = cluster.node(name);
  // It ends as soon as it is told that it is out.
  node.mayEndUntilMs = Infinity;
  while ((await askToLeave(cluster, name).catch(refused)) !== true) {
    if (performance.now() > end) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  await node.kill();
  cluster.drop(name);
  rmSync(cluster.directoryOf(name), { recursive: true, force: true });
}

async function askToLeave({ observer }: Cluster, name: string): Promise<boolean> {
  const member = (await observer.admin.members()).find((each) => each.name === name);
  if (member === undefined) return true;
  if (member.state === undefined) await observer.admin.removeMember(member.nodeId);
  return false;
}

/** An order that the cluster did not take, or of which nobody heard: it changes nothing here. */
function refused(error: unknown): undefined {
  if (!(error instanceof KvError)) throw error;
  return undefined;
}

function asked(strike: (scene: Scene) => Promise<Fault | undefined>): Nemesis["strike"] {
  return (scene) => strike(scene).catch(refused);
}

export const OPERATOR_NEMESES: readonly Nemesis[] = [
  {
    name: "transfer",
    about: "a shard's leadership is handed to another replica, wherever it is",
    holdMs: [0, 500],
    strike: asked(transfer),
  },
  {
    name: "compact",
    about: `history is forgotten up to ${KEPT_REVISIONS} revisions behind`,
    holdMs: [0, 500],
    strike: asked(compact),
  },
  {
    name: "members",
    about: "a node is added, given a replica and removed",
    holdMs: [1000, 6000],
    strike: asked(grow),
  },
];
