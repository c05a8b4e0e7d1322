/** flotctl version, flotilla version. */
import { SOFTWARE_VERSION } from "../../node/software-version.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import type { Terminal } from "../terminal.js";

export const version: CommandDefinition<{ readonly terminal: Terminal }> = {
  flags: {},
  writes: false,
  run: ({ terminal }) => {
    terminal.out.write(`flotilla ${SOFTWARE_VERSION} on Node.js ${process.versions.node}\n`);
    return Promise.resolve(EXIT.ok);
  },
};
