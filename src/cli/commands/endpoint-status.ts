/** flotctl endpoint status: what each endpoint says of itself; one that is silent fails it. */
import type { StatusResponse } from "../../protocol/admin-messages.js";
import type { NodeDescriptor } from "../../protocol/cluster.js";
import { KvError } from "../../protocol/errors.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { ENDPOINT_FLAGS, endpointList } from "../endpoint-list.js";
import { EXIT } from "../exit-codes.js";
import { type EndpointStatus, endpointStatusSheet } from "../sheets.js";
import { note } from "../terminal.js";

export const endpointStatus: CommandDefinition<Context> = {
  flags: ENDPOINT_FLAGS,
  writes: false,
  examples: [["endpoint status --cluster -w table", "all nodes, as a table"]],
  run: async (context, argv) => {
    const client = await context.client();
    const endpoints = await endpointList(context, argv);
    const answers = await Promise.allSettled(
      endpoints.map((endpoint) => client.admin.status(endpoint)),
    );
    const isThere = answers.some(({ status }) => status === "fulfilled");
    const nodes = isThere ? (await client.admin.map()).clusterMap.nodes : [];
    const list: EndpointStatus[] = [];
    for (const [at, answer] of answers.entries()) {
      const endpoint = endpoints[at] ?? "";
      if (answer.status === "fulfilled") list.push(statusOf(endpoint, answer.value, nodes));
      else note(context.terminal, `${endpoint}: ${KvError.from(answer.reason).message}`, "red");
    }
    (await context.printer()).sheet(endpointStatusSheet(list));
    return list.length === endpoints.length ? EXIT.ok : EXIT.failed;
  },
};

function statusOf(
  endpoint: string,
  status: StatusResponse,
  nodes: readonly NodeDescriptor[],
): EndpointStatus {
  const raised = nodes.find(({ nodeId }) => nodeId === status.nodeId)?.alarms ?? [];
  return { endpoint, status, alarms: [...new Set([...raised, ...(status.alarms ?? [])])] };
}
