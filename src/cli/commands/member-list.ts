/** flotctl member list: the nodes of the cluster, as placement knows them. */
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { memberSheet } from "../sheets.js";

export const memberList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  run: async (context) => {
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    (await context.printer()).sheet(memberSheet(clusterMap.nodes));
    return EXIT.ok;
  },
};
