/** flotctl member add: registers a node, and prints the settings it has to be started with. */
import type { ClusterMap, NodeDescriptor } from "../../protocol/cluster.js";
import { requiredOf, switchOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
import { PEER_FLAGS, peerAddressOf, sentence } from "../member-sentences.js";

export const memberAdd: CommandDefinition<Context> = {
  flags: {
    ...PEER_FLAGS,
    learner: { type: "boolean", describe: "it holds no voting replica before it is promoted" },
  },
  writes: true,
  examples: [["member add n4 --peer-urls 10.0.0.4:2380", "then start n4 as it says"]],
  epilogue: "The printed variables are those of flotilla start on the new node.",
  run: async (context, argv) => {
    const name = requiredOf(argv, "name");
    const peerAddress = peerAddressOf(argv);
    if (peerAddress === undefined) throw badArguments("member add needs --peer-urls");
    const learner = switchOf(argv, "learner");
    const client = await context.client();
    const added = await client.admin.addMember({ name, peerAddress, learner });
    const { clusterMap } = await client.admin.map();
    const done = learner ? "added as learner to" : "added to";
    const printer = await context.printer();
    const lines = [sentence(added.nodeId, done, clusterMap), "", ...settings(added, clusterMap)];
    printer.done(lines.join("\n"), { ID: added.nodeId, name, peerAddress, isLearner: learner });
    return EXIT.ok;
  },
};

/** In the place of etcd's ETCD_… variables. */
function settings(added: NodeDescriptor, { nodes }: ClusterMap): readonly string[] {
  const known = nodes.filter((node) => node.nodeId !== added.nodeId);
  const cluster = [...known, added].map((node) => `${node.name}=${node.peerAddress}`).sort();
  return [
    `FLOTILLA_NAME="${added.name}"`,
    `FLOTILLA_INITIAL_CLUSTER="${cluster.join(",")}"`,
    `FLOTILLA_ADVERTISE_PEER="${added.peerAddress}"`,
    'FLOTILLA_INITIAL_CLUSTER_STATE="existing"',
  ];
}
