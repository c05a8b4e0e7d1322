/** flotctl shard locate: the shard that holds a key, whether or not the key exists. */
import { utf8 } from "../../base/bytes.js";
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { shardSheet } from "../sheets.js";

export const shardLocate: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  run: async (context, argv) => {
    const client = await context.client();
    const shard = await client.admin.locate(utf8(requiredOf(argv, "key")));
    const { clusterMap, leaders } = await client.admin.map();
    (await context.printer()).sheet(shardSheet(clusterMap, leaders, [shard]));
    return EXIT.ok;
  },
};
