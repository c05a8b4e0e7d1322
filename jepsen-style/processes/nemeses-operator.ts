/** What an operator may do at any time: hand over leaderships, compact. */
import type { Fault, Nemesis, Scene } from "./nemesis.js";
import { shuffled } from "./nemesis.js";
import { refused } from "./operations.js";

/** Compactions stay so far behind, so that watches which start behind are mostly served. */
const KEPT_REVISIONS = 100;

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
];
