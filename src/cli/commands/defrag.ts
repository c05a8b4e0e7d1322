/** flotctl defrag: lets each endpoint make its files smaller, where that is worth while. */
import { KvError } from "../../protocol/errors.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { ENDPOINT_FLAGS, endpointList } from "../endpoint-list.js";
import { EXIT } from "../exit-codes.js";
import { formatDuration } from "../quantities.js";
import { note } from "../terminal.js";

/** A node answers sooner, unless its disk is slow. */
const TIMEOUT_MS = 120_000;

export const defrag: CommandDefinition<Context> = {
  flags: ENDPOINT_FLAGS,
  writes: false,
  examples: [["defrag --cluster", "all nodes, one after the other"]],
  epilogue: [
    "A node goes on serving meanwhile. It merges its files all the time by itself; this makes it write",
    "out what is in memory, and waits up to ten seconds for the merges that are then due.",
  ].join("\n"),
  run: async (context, argv) => {
    const client = await context.client();
    const printer = await context.printer();
    let failed = 0;
    for (const endpoint of await endpointList(context, argv)) {
      const start = performance.now();
      try {
        await client.admin.defragment(endpoint, TIMEOUT_MS);
      } catch (error) {
        failed++;
        note(context.terminal, `${endpoint}: ${KvError.from(error).message}`, "red");
        continue;
      }
      const tookMs = performance.now() - start;
      const took = formatDuration(tookMs);
      const sentence = `Finished defragmenting member[${endpoint}]. took ${took}`;
      printer.done(sentence, { endpoint, tookMs: Math.round(tookMs) });
    }
    return failed === 0 ? EXIT.ok : EXIT.failed;
  },
};
