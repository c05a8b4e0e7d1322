/** flotctl keyspace list. */
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { keyspaceSheet } from "../sheets.js";

export const keyspaceList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  run: async (context) => {
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    (await context.printer()).sheet(keyspaceSheet(clusterMap, clusterMap.keyspaces));
    return EXIT.ok;
  },
};
