/** flotctl lease timetolive: what is left of a lease's time, and which keys end with it. */
import { requiredLeaseOf, switchOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";

export const leaseTimeToLive: CommandDefinition<Context> = {
  flags: {
    keys: { type: "boolean", describe: "show the keys that are attached to it" },
  },
  writes: false,
  run: async (context, argv) => {
    const id = requiredLeaseOf(argv, "id");
    const keysAsked = switchOf(argv, "keys");
    const client = await context.client();
    const response = await client.leases.timeToLive(id, { keys: keysAsked });
    (await context.printer()).lease({ kind: "timeToLive", id, keysAsked, response });
    return EXIT.ok;
  },
};
