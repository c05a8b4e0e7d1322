/** flotctl compaction: drops the history before a revision. */
import { notA, requiredOf, switchOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { parseCount } from "../quantities.js";

export const compaction: CommandDefinition<Context> = {
  flags: {
    physical: { type: "boolean", describe: "wait until the history is gone from disk" },
  },
  writes: true,
  run: async (context, argv) => {
    const text = requiredOf(argv, "revision");
    const revision = parseCount(text);
    if (revision === undefined) throw notA("the revision", text, "a whole number");
    const client = await context.client();
    const response = await client.compact(revision, { physical: switchOf(argv, "physical") });
    (await context.printer()).compacted(revision, response);
    return EXIT.ok;
  },
};
