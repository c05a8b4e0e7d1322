/** flotctl lease grant: a lease of so many seconds. */
import { leaseOf, notA, requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { parseCount } from "../quantities.js";

export const leaseGrant: CommandDefinition<Context> = {
  flags: {},
  writes: true,
  examples: [["lease grant 60", "a minute, to be renewed by lease keep-alive"]],
  run: async (context, argv) => {
    const text = requiredOf(argv, "ttl");
    const ttlSeconds = parseCount(text);
    if (ttlSeconds === undefined) throw notA("the TTL", text, "a whole number of seconds");
    const id = leaseOf(argv, "id", "the id") ?? 0n;
    const client = await context.client();
    const response = await client.leases.grant(ttlSeconds, id);
    (await context.printer()).lease({ kind: "granted", response });
    return EXIT.ok;
  },
};
