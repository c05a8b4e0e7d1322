/** flotctl endpoint health: whether each endpoint can serve; it fails if one cannot. */
import { KvError } from "../../protocol/errors.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { ENDPOINT_FLAGS, endpointList } from "../endpoint-list.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { formatDuration } from "../quantities.js";
import { type EndpointHealth, endpointHealthSheet } from "../sheets.js";

export const endpointHealth: CommandDefinition<Context> = {
  flags: ENDPOINT_FLAGS,
  writes: false,
  run: async (context, argv) => {
    const client = await context.client();
    const endpoints = await endpointList(context, argv);
    const list = await Promise.all(endpoints.map((endpoint) => ask(client, endpoint)));
    if (context.options.format === "simple") printLines(context, list);
    else (await context.printer()).sheet(endpointHealthSheet(list));
    if (list.every(({ healthy }) => healthy)) return EXIT.ok;
    throw new CliError(EXIT.failed, "unhealthy cluster", {
      next: "flotctl endpoint status --cluster -w table",
    });
  },
};

async function ask(client: ClientPort, endpoint: string): Promise<EndpointHealth> {
  const start = performance.now();
  try {
    const { healthy, reasons } = await client.admin.health(endpoint);
    return { endpoint, healthy, tookMs: performance.now() - start, reasons };
  } catch (error) {
    const reasons = [KvError.from(error).message];
    return { endpoint, healthy: false, tookMs: performance.now() - start, reasons };
  }
}

function printLines({ terminal }: Context, list: readonly EndpointHealth[]): void {
  for (const { endpoint, healthy, tookMs, reasons } of list) {
    const took = formatDuration(tookMs);
    if (healthy) terminal.out.write(`${endpoint} is healthy: took = ${took}\n`);
    else terminal.err.write(`${endpoint} is unhealthy: ${reasons.join("; ")}: took = ${took}\n`);
  }
}
