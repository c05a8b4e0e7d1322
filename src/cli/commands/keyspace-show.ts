/** flotctl keyspace show: a keyspace, then its shards. */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { keyspaceNamed } from "../keyspace-lookup.js";
import { keyspaceSheet, shardSheet } from "../sheets.js";

export const keyspaceShow: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  run: async (context, argv) => {
    const client = await context.client();
    const { clusterMap, leaders } = await client.admin.map();
    const keyspace = keyspaceNamed(clusterMap, requiredOf(argv, "name"));
    const shards = clusterMap.shards.filter(({ keyspaceId }) => keyspaceId === keyspace.keyspaceId);
    const printer = await context.printer();
    printer.sheet(keyspaceSheet(clusterMap, [keyspace]));
    printer.sheet(shardSheet(clusterMap, leaders, shards));
    return EXIT.ok;
  },
};
