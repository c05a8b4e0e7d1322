/** flotctl member promote: a node that was added as a learner may hold voting replicas. */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { sentence } from "../member-sentences.js";
import { nodeNamed } from "../node-lookup.js";

export const memberPromote: CommandDefinition<Context> = {
  flags: {},
  writes: true,
  run: async (context, argv) => {
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    const { nodeId, name } = nodeNamed(clusterMap, requiredOf(argv, "id"));
    await client.admin.promoteMember(nodeId);
    const text = sentence(nodeId, "promoted in", clusterMap);
    (await context.printer()).done(text, { ID: nodeId, name });
    return EXIT.ok;
  },
};
