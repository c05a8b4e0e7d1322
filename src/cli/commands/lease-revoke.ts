/** flotctl lease revoke: ends a lease, and with it its keys. */
import { requiredLeaseOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";

export const leaseRevoke: CommandDefinition<Context> = {
  flags: {},
  writes: true,
  run: async (context, argv) => {
    const id = requiredLeaseOf(argv, "id");
    const client = await context.client();
    const response = await client.leases.revoke(id);
    (await context.printer()).lease({ kind: "revoked", id, response });
    return EXIT.ok;
  },
};
