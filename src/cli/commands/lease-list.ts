/** flotctl lease list: the leases there are, soonest to end first. */
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";

export const leaseList: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  run: async (context) => {
    const client = await context.client();
    const response = await client.leases.list();
    (await context.printer()).lease({ kind: "list", response });
    return EXIT.ok;
  },
};
