/** flotctl snapshot status: reads a snapshot file as a whole and says what is in it. */
import { requiredOf } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { snapshotSheet } from "../sheets.js";
import { checkSnapshot } from "../snapshot-file.js";

export const snapshotStatus: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  examples: [["snapshot status backup.snap -w table", "with names of the columns"]],
  epilogue:
    "Of ours or of etcd. A file that is damaged, cut short or none ends it with exit code 1.",
  run: async (context, argv) => {
    const facts = await checkSnapshot(requiredOf(argv, "file"));
    (await context.printer()).sheet(snapshotSheet(facts));
    return EXIT.ok;
  },
};
