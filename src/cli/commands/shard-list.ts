/** flotctl shard list: the shards of one keyspace, or of all. */
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { keyspaceNamed } from "../keyspace-lookup.js";
import { shardSheet } from "../sheets.js";

export const shardList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  examples: [["shard list --keyspace docs -w table", "the shards of one keyspace"]],
  run: async (context) => {
    const client = await context.client();
    const { clusterMap, leaders } = await client.admin.map();
    const { keyspace } = context.options;
    const id = keyspace && keyspaceNamed(clusterMap, keyspace).keyspaceId;
    const shards = clusterMap.shards.filter((shard) => id === undefined || shard.keyspaceId === id);
    (await context.printer()).sheet(shardSheet(clusterMap, leaders, shards));
    return EXIT.ok;
  },
};
