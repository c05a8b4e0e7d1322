/** flotctl member remove: lets a node leave, and waits for its replicas to be elsewhere. */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { sentence } from "../member-sentences.js";
import { nodeNamed } from "../node-lookup.js";
import { counted } from "../quantities.js";

export const memberRemove: CommandDefinition<Context> = {
  flags: {},
  writes: true,
  examples: [["member remove n3", "by name, or by the id that member list prints"]],
  epilogue: [
    "Each replica is first replaced on another node where there is one. The removal goes on by",
    "itself when the command has ended, and is refused where a shard would lose its quorum.",
  ].join("\n"),
  run: async (context, argv) => {
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    const { nodeId, name } = nodeNamed(clusterMap, requiredOf(argv, "id"));
    await client.admin.removeMember(nodeId);
    const left = await client.admin.untilLeft(nodeId);
    const done = left === 0 ? "removed from" : "is leaving";
    const rest = left === 0 ? "" : `: ${counted(left, "replica")} to move`;
    const text = `${sentence(nodeId, done, clusterMap)}${rest}`;
    (await context.printer()).done(text, { ID: nodeId, name, replicasLeft: left });
    return EXIT.ok;
  },
};
