/** flotctl put: stores a value under a key. */
import { switchOf, textOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { PUT_FLAGS, putOperation } from "../request-flags.js";

export const put: CommandDefinition<Context> = {
  flags: PUT_FLAGS,
  writes: true,
  examples: [
    ["put color blue", "a value from the command line"],
    ["put config < config.json", "a value from the input"],
    ["put -- -key -value", "a key that looks like a flag"],
    ["put alive yes --lease 1f3a", "a key that is deleted when the lease ends"],
  ],
  run: async (context, argv) => {
    const fromInput = textOf(argv, "value") === undefined && !switchOf(argv, "ignore-value");
    const content = fromInput ? await context.terminal.readInput() : undefined;
    const { key, value, ...options } = putOperation(argv, content);
    const client = await context.client();
    const response = await client.put(key, value, options);
    (await context.printer()).put(response);
    return EXIT.ok;
  },
};
