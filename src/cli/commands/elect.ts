/**
 * flotctl elect: campaigns in an election and leads until Ctrl-C; with -l it prints who leads, and
 * what the leaders proclaim.
 */
import { campaign } from "../../client/election.js";
import type { Elected } from "../../client/election.js";
import { LeaderWatch } from "../../client/leader-watch.js";
import { requiredOf, switchOf, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments } from "../failure.js";
import { aborted, holdPlace, TTL_FLAG, ttlOf } from "../held-place.js";

export const elect: CommandDefinition<Context> = {
  flags: {
    ...TTL_FLAG,
    listen: { type: "boolean", alias: "l", describe: "print who leads, as long as it runs" },
  },
  writes: true,
  endsItself: true,
  examples: [
    ["elect primary host-1", "be a candidate, and lead when it is this one's turn"],
    ["elect -l primary", "see who leads"],
  ],
  run: async (context, argv) => {
    const name = requiredOf(argv, "name");
    const value = textOf(argv, "proposal");
    if (switchOf(argv, "listen")) return listen(context, name);
    if (value === undefined) throw badArguments("elect needs a proposal, or -l to listen");
    const ttlSeconds = ttlOf(argv);
    const client = await context.client();
    return holdPlace<Elected>(context, client, {
      ttlSeconds,
      what: `the election ${name}`,
      take: (lease, signal) => campaign(client, { name, lease, value, signal }),
      hold: async ({ key }, end) => {
        (await context.printer()).range(await client.range({ key }));
        await aborted(end);
        return EXIT.ok;
      },
    });
  },
};

async function listen(context: Context, name: string): Promise<number> {
  const client = await context.client();
  const printer = await context.printer();
  const leaders = new LeaderWatch(client, name);
  context.signal.addEventListener("abort", () => leaders.cancel(), { once: true });
  if (context.signal.aborted) leaders.cancel();
  for await (const { header, kv } of leaders) {
    printer.range({ header, kvs: [kv], more: false, count: 1 });
  }
  return EXIT.interrupted;
}
