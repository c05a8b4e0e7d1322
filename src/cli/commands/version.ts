/** flotctl version, flotilla version. */
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import type { Terminal } from "../terminal.js";
import { softwareVersion } from "../software-version.js";

export const version: CommandDefinition<{ readonly terminal: Terminal }> = {
  flags: {},
  writes: false,
  run: ({ terminal }) => {
    terminal.out.write(`flotilla ${softwareVersion()} on Node.js ${process.versions.node}\n`);
    return Promise.resolve(EXIT.ok);
  },
};
