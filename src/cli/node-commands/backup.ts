/** flotilla backup: backs up a running cluster into a directory, without what is there already. */
import type { Options } from "yargs";
import { type Arguments, countOf, requiredOf, switchOf } from "../arguments.js";
import { backupCluster } from "../cluster-backup.js";
import type { ClusterBackupReport } from "../cluster-backup.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, badConnection } from "../failure.js";
import { GLOBAL_FLAGS, globalOptions } from "../global-options.js";
import type { GlobalOptions } from "../global-options.js";
import type { NodeContext } from "../node-context.js";
import type { ClientPort } from "../client-port.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";

const CONNECTION_FLAGS = ["endpoints", "command-timeout", "dial-timeout"] as const;

export const backup: CommandDefinition<NodeContext> = {
  flags: {
    keep: {
      type: "string",
      describe: "leave so many backups, with the new one; remove older ones",
      defaultDescription: "all",
      requiresArg: true,
    },
    json: { type: "boolean", describe: "print one JSON object" },
    ...Object.fromEntries(
      CONNECTION_FLAGS.map((name): [string, Options] => {
        const { describe, defaultDescription } = GLOBAL_FLAGS[name] ?? {};
        return [name, { type: "string", describe, defaultDescription, requiresArg: true }];
      }),
    ),
  },
  writes: false,
  endsItself: true,
  examples: [
    ["backup ./backups --endpoints 10.0.0.1:2379", "all keyspaces, from their shards' leaders"],
    ["backup ./backups --keep 7", "and no more than a week of them, if made each night"],
    ["check ./backups", "read all of what is there"],
  ],
  epilogue: [
    "The directory is on this machine. Each backup is whole by itself, and they share the tables that",
    "are the same: of these only what no earlier one has is fetched, and one that was cut short is gone",
    "on with. Each keyspace is as it was at one revision. Leases and the history down to the last",
    "compaction are in it; members are not. Reads and writes go on meanwhile.",
  ].join("\n"),
  run: async (context, argv) => {
    const { terminal, signal, openEnv } = context;
    const directory = requiredOf(argv, "directory");
    const keep = keepOf(argv);
    const client = await connected(context, globalOptions(argv, terminal.env));
    const progress = new Progress(terminal, "copying", undefined, "tables");
    try {
      const report = await backupCluster({
        env: await openEnv(),
        admin: client.admin,
        directory,
        signal,
        keep,
        copied: (bytes) => progress.add(bytes),
      });
      const took = formatDuration(progress.elapsedMs());
      progress.end();
      const text = switchOf(argv, "json")
        ? JSON.stringify({ directory, ...report })
        : `${sentence(report, directory)}, in ${took}`;
      terminal.out.write(`${text}\n`);
      return EXIT.ok;
    } finally {
      progress.end();
      await client.close();
    }
  },
};

function keepOf(argv: Arguments): number | undefined {
  if (argv["keep"] === undefined) return undefined;
  const keep = countOf(argv, "keep");
  if (keep === 0) throw badArguments("--keep must be above 0: the new backup stays");
  return keep;
}

async function connected(context: NodeContext, options: GlobalOptions): Promise<ClientPort> {
  const { endpoints, level, commandTimeoutMs, dialTimeoutMs } = options;
  try {
    return await context.connect({
      endpoints,
      keyspace: undefined,
      level,
      requestTimeoutMs: commandTimeoutMs,
      dialTimeoutMs,
    });
  } catch (error) {
    throw badConnection(endpoints, error);
  }
}

function sentence(report: ClusterBackupReport, directory: string): string {
  const { number, shards, tables, sizeBytes, copiedTables, copiedBytes, removed } = report;
  const size = `${counted(shards, "shard")}, ${counted(tables, "table")}, ${formatBytes(sizeBytes)}`;
  const copied = `${counted(copiedTables, "table")}, ${formatBytes(copiedBytes)} copied`;
  const gone = removed === 0 ? "" : `; ${counted(removed, "older backup")} removed`;
  return `Backup ${number} saved in ${directory}: ${size}; ${copied}${gone}`;
}
