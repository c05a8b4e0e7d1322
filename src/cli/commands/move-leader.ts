/** flotctl move-leader: hands the leadership of a shard to another node. */
import { PLACEMENT_SHARD_ID } from "../../protocol/cluster.js";
import { notA, textOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, CliError } from "../failure.js";
import { parseCount } from "../quantities.js";

export const moveLeader: CommandDefinition<Context> = {
  flags: {
    shard: { type: "string", describe: "the shard's id, see flotctl shard list" },
    node: { type: "string", describe: "name or id of the node that shall lead it" },
  },
  writes: true,
  examples: [["move-leader --shard 3 --node n2", "let n2 lead shard 3"]],
  run: async (context, argv) => {
    const shard = textOf(argv, "shard");
    const node = textOf(argv, "node");
    if (shard === undefined || node === undefined) {
      throw badArguments("move-leader needs --shard and --node", "flotctl shard list");
    }
    const shardId = parseCount(shard);
    if (shardId === undefined) throw notA("--shard", shard, "the id of a shard");
    const client = await context.client();
    await checkShard(client, shardId);
    await client.admin.moveLeader(shardId, parseCount(node) ?? node);
    const sentence = `Leadership of shard ${shardId} transferred to ${node}`;
    (await context.printer()).done(sentence, { shard: shardId, node });
    return EXIT.ok;
  },
};

async function checkShard(client: ClientPort, shardId: number): Promise<void> {
  const next = "flotctl shard list";
  if (shardId === PLACEMENT_SHARD_ID) {
    const text = `shard ${shardId} is the placement group: its leader is not moved by hand`;
    throw new CliError(EXIT.failed, text, { next });
  }
  const { clusterMap } = await client.admin.map();
  if (clusterMap.shards.some((shard) => shard.shardId === shardId)) return;
  throw new CliError(EXIT.failed, `there is no shard ${shardId}`, { next });
}
