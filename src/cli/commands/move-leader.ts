/** flotctl move-leader: hands the leadership of a shard to another node. */
import { notA, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
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
    await client.admin.moveLeader(shardId, parseCount(node) ?? node);
    const sentence = `Leadership of shard ${shardId} transferred to ${node}`;
    (await context.printer()).done(sentence, { shard: shardId, node });
    return EXIT.ok;
  },
};
