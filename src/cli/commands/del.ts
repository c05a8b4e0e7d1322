/** flotctl del: deletes a key or a range of keys. */
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { DELETE_FLAGS, deleteOperation, selectionOf } from "../request-flags.js";

export const del: CommandDefinition<Context> = {
  flags: DELETE_FLAGS,
  writes: true,
  examples: [["del user/ --prefix", "all keys with a prefix"]],
  run: async (context, argv) => {
    const { prevKv } = deleteOperation(argv);
    const { key, rangeEnd, fromKey } = selectionOf(argv);
    const client = await context.client();
    const response = await client.delete(key, { rangeEnd, fromKey, prevKv });
    (await context.printer()).delete(response);
    return EXIT.ok;
  },
};
