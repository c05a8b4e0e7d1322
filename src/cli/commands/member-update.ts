/** flotctl member update: where the others find a node from now on. */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
import { PEER_FLAGS, peerAddressOf, sentence } from "../member-sentences.js";
import { nodeNamed } from "../node-lookup.js";

export const memberUpdate: CommandDefinition<Context> = {
  flags: PEER_FLAGS,
  writes: true,
  run: async (context, argv) => {
    const peerAddress = peerAddressOf(argv);
    if (peerAddress === undefined) throw badArguments("member update needs --peer-urls");
    const client = await context.client();
    const { clusterMap } = await client.admin.map();
    const { nodeId, name } = nodeNamed(clusterMap, requiredOf(argv, "id"));
    await client.admin.updateMember({ nodeId, peerAddress });
    const text = sentence(nodeId, "updated in", clusterMap);
    (await context.printer()).done(text, { ID: nodeId, name, peerAddress });
    return EXIT.ok;
  },
};
