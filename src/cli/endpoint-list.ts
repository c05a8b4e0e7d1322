/** The endpoints that endpoint status and endpoint health ask. */
import type { Options } from "yargs";
import { type Arguments, switchOf } from "./arguments.js";
import type { Context } from "./context.js";

export const ENDPOINT_FLAGS: Readonly<Record<string, Options>> = {
  cluster: { type: "boolean", describe: "ask every node of the cluster, not only --endpoints" },
};

export async function endpointList(context: Context, argv: Arguments): Promise<readonly string[]> {
  if (!switchOf(argv, "cluster")) return context.options.endpoints;
  const client = await context.client();
  const { clusterMap } = await client.admin.map();
  const addresses = clusterMap.nodes.map(({ clientAddress }) => clientAddress);
  // Who has not started has none.
  return addresses.filter((address) => address !== "");
}
