/** flotctl shard replicas: a shard's replicas and how far they are, and changes of them by hand. */
import type { ReplicaAction, StatusResponse } from "../../protocol/admin-messages.js";
import type { ClusterMap, ShardDescriptor } from "../../protocol/cluster.js";
import { type Arguments, notA, requiredOf, textOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, CliError } from "../failure.js";
import { nodeNamed } from "../node-lookup.js";
import { parseCount } from "../quantities.js";
import { replicaSheet } from "../replica-sheet.js";

const ACTIONS: readonly ReplicaAction[] = ["add", "promote", "remove"];

export const shardReplicas: CommandDefinition<Context> = {
  flags: {
    add: { type: "string", describe: "add a learner on this node" },
    promote: { type: "string", describe: "let the learner on this node vote" },
    remove: { type: "string", describe: "remove the replica from this node" },
  },
  writes: true,
  examples: [
    ["shard replicas 2", "who holds shard 2"],
    ["shard replicas 2 --add n4", "then --promote n4, then --remove n1: moved by hand"],
  ],
  run: async (context, argv) => {
    const text = requiredOf(argv, "shard");
    const shardId = parseCount(text);
    if (shardId === undefined) throw notA("shard", text, "the id of a shard");
    const wanted = actionOf(argv);
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    shardIn(clusterMap, shardId);
    if (wanted !== undefined) {
      const { nodeId } = nodeNamed(clusterMap, wanted.node);
      await client.admin.changeReplica({ shardId, action: wanted.action, nodeId });
    }
    const { clusterMap: map } = await client.admin.map();
    const shard = shardIn(map, shardId);
    (await context.printer()).sheet(replicaSheet(map, shard, await statusesOf(client, map, shard)));
    return EXIT.ok;
  },
};

function actionOf(
  argv: Arguments,
): { readonly action: ReplicaAction; readonly node: string } | undefined {
  const given = ACTIONS.flatMap((action) => {
    const node = textOf(argv, action);
    return node === undefined ? [] : [{ action, node }];
  });
  if (given.length > 1) throw badArguments("one change at a time: --add, --promote or --remove");
  return given[0];
}

function shardIn(map: ClusterMap, shardId: number): ShardDescriptor {
  const shard = map.shards.find((each) => each.shardId === shardId);
  if (shard !== undefined) return shard;
  throw new CliError(EXIT.failed, `there is no shard ${shardId}`, { next: "flotctl shard list" });
}

/** What the nodes that hold the shard say of themselves, as far as they answer. */
async function statusesOf(
  client: ClientPort,
  map: ClusterMap,
  shard: ShardDescriptor,
): Promise<readonly StatusResponse[]> {
  const holders = new Set([...shard.replicas, ...(shard.target ?? [])].map((each) => each.nodeId));
  const asked = map.nodes
    .filter((node) => holders.has(node.nodeId) && node.clientAddress !== "")
    .map((node) => client.admin.status(node.clientAddress).catch(() => undefined));
  return (await Promise.all(asked)).filter((status) => status !== undefined);
}
