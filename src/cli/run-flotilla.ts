/** One run of flotilla. */
import type { CommandTable, Tool } from "./command-table.js";
import type { NodeContext } from "./node-context.js";
import { runTool } from "./run-tool.js";
import type { Terminal } from "./terminal.js";

const COMMANDS: CommandTable<NodeContext> = [
  {
    usage: "start",
    describe: "start one node",
    load: async () => (await import("./node-commands/start.js")).start,
  },
  {
    usage: "demo",
    describe: "start a cluster of three nodes on this machine and show it",
    load: async () => (await import("./node-commands/demo.js")).demo,
  },
  {
    usage: "backup <directory>",
    describe: "back up a running cluster: what an earlier backup there lacks",
    load: async () => (await import("./node-commands/backup.js")).backup,
  },
  {
    usage: "restore <directory>",
    describe: "make the data directory of a node of a backup",
    load: async () => (await import("./node-commands/restore.js")).restore,
  },
  {
    usage: "check <directory>",
    describe: "verify the data of a stopped node, or backups, and change nothing",
    load: async () => (await import("./node-commands/check.js")).check,
  },
  {
    name: "inspect",
    describe: "show what files of a node hold",
    commands: [
      {
        usage: "log <path>",
        describe: "segments of the log, or the batches of one",
        load: async () => (await import("./node-commands/inspect-log.js")).inspectLog,
      },
      {
        usage: "sstable <path>",
        describe: "sections of a table, or of all tables",
        load: async () => (await import("./node-commands/inspect-sstable.js")).inspectSstable,
      },
      {
        usage: "manifest <path>",
        describe: "which tables make up which trees",
        load: async () => (await import("./node-commands/inspect-manifest.js")).inspectManifest,
      },
    ],
  },
  {
    usage: "version",
    describe: "print the version",
    load: async () => (await import("./commands/version.js")).version,
  },
];

const FLOTILLA: Tool<NodeContext> = {
  name: "flotilla",
  describe: "A strongly consistent, sharded key-value store.",
  table: COMMANDS,
  globalFlags: {},
  takesRest: [],
  notYet: [],
};

export function runFlotilla(
  args: readonly string[],
  terminal: Terminal,
  means: Pick<NodeContext, "connect" | "startNode" | "openDisk" | "openEnv">,
): Promise<number> {
  return runTool(FLOTILLA, args, terminal, (_invocation, signal) => ({
    context: { terminal, signal, ...means },
    close: () => Promise.resolve(),
  }));
}
