/**
 * flotilla restore: makes the data directory of a node from a backup of a cluster, or a store from
 * a backup of one. Every file is checked as it is copied.
 */
import type { Env } from "../../env/env.js";
import { DiskError } from "../../env/disk.js";
import { CorruptionError } from "../../log/corruption-error.js";
import { DEFAULT_CONFIG } from "../../node/config.js";
import type { InitialNode } from "../../node/config.js";
import { restoreNode } from "../../node/restore.js";
import { storeOf } from "../../store/backup.js";
import { backupNumbers, readListing } from "../../store/backup-listing.js";
import type { BackupListing } from "../../store/backup-listing.js";
import { requireEmpty } from "../../store/checkpoint-directory.js";
import { countOf, notA, requiredOf, textOf } from "../arguments.js";
import type { Arguments } from "../arguments.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, CliError } from "../failure.js";
import type { NodeContext } from "../node-context.js";
import { NODES } from "../node-settings.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";

/** More than a cluster writes between a backup and its loss. */
const RAISE_BY = 1_000_000_000;

export const restore: CommandDefinition<NodeContext> = {
  flags: {
    "data-dir": { type: "string", describe: "what to make; empty or not there", requiresArg: true },
    backup: { type: "string", describe: "its number", defaultDescription: "the newest" },
    name: { type: "string", describe: "the node's name in the cluster", requiresArg: true },
    "initial-cluster": {
      type: "string",
      describe: "all nodes of the restored cluster, this one among them",
      defaultDescription: "this node alone",
      requiresArg: true,
    },
    "raise-revisions": {
      type: "string",
      describe: "by how much; 0 keeps revisions and history",
      defaultDescription: String(RAISE_BY),
      requiresArg: true,
    },
  },
  writes: false,
  examples: [
    ["restore ./backups --data-dir n1 --name n1", "one node that has everything"],
    ["restore ./backups --data-dir n1 --name n1 --initial-cluster n1=…,n2=…,n3=…", "one of three"],
  ],
  epilogue: [
    "Run it on every node of the new cluster with the same backup and the same flags but for --name",
    "and --data-dir, then flotilla start with the same name, directory and nodes. It is a new cluster:",
    "nodes of the old one, and of other backups, are refused. Revisions are raised and compacted, so",
    "that a watch or a cache of the old cluster hears that it has to read anew.",
  ].join("\n"),
  run: async ({ terminal, openEnv }, argv) => {
    const env = await openEnv();
    const backups = requiredOf(argv, "directory");
    const target = textOf(argv, "data-dir");
    if (target === undefined) throw badArguments("--data-dir is missing");
    const progress = new Progress(terminal, "restoring", undefined, "tables");
    try {
      const listing = listingOf(env, backups, argv);
      let sizeBytes = 0;
      const copied = (file: { readonly sizeBytes: number }): void => {
        sizeBytes += file.sizeBytes;
        progress.add(file.sizeBytes);
      };
      const what = await restored(env, { backups, listing, target, copied }, argv);
      const took = formatDuration(progress.elapsedMs());
      progress.end();
      const size = `${what}, ${formatBytes(sizeBytes)}, in ${took}`;
      terminal.out.write(`Backup ${listing.number} restored to ${target}: ${size}\n`);
      return EXIT.ok;
    } catch (error) {
      throw failureOf(error, target);
    } finally {
      progress.end();
    }
  },
};

function listingOf({ disk }: Env, backups: string, argv: Arguments): BackupListing {
  const numbers = backupNumbers(disk, backups);
  const wanted = textOf(argv, "backup") === undefined ? numbers.at(-1) : countOf(argv, "backup");
  if (wanted !== undefined && numbers.includes(wanted)) return readListing(disk, backups, wanted);
  const there = numbers.length === 0 ? undefined : `there are: ${numbers.join(", ")}`;
  const which = wanted === undefined ? "no backup" : `no backup ${wanted}`;
  throw new CliError(EXIT.inputOutput, `there is ${which} in ${backups}`, {
    because: there ?? "a backup is there once flotilla backup has said so",
  });
}

async function restored(
  env: Env,
  what: {
    readonly backups: string;
    readonly listing: BackupListing;
    readonly target: string;
    readonly copied: (file: { readonly sizeBytes: number }) => void;
  },
  argv: Arguments,
): Promise<string> {
  const { backups, listing, target, copied } = what;
  if (listing.cluster.length === 0) {
    if (textOf(argv, "name") !== undefined || textOf(argv, "initial-cluster") !== undefined) {
      throw badArguments("this is a backup of one store: it has no nodes to name");
    }
    requireEmpty(env.disk, target);
    await storeOf(env, target, { directory: backups, edit: listing.edit, copied });
    return "a store";
  }
  const name = textOf(argv, "name") ?? DEFAULT_CONFIG.name;
  const nodes = nodesOf(argv, name);
  const given = textOf(argv, "raise-revisions");
  const raiseBy = given === undefined ? RAISE_BY : countOf(argv, "raise-revisions");
  const request = { backups, listing, dataDirectory: target, name, nodes, raiseBy, copied };
  const { clusterId, shards } = await restoreNode(env, request);
  return `node ${name} of ${nodes.length} of cluster ${clusterId}, ${counted(shards, "shard")}`;
}

function nodesOf(argv: Arguments, name: string): readonly InitialNode[] {
  const text = textOf(argv, "initial-cluster");
  if (text === undefined) return [{ name, peerAddress: DEFAULT_CONFIG.listenPeer }];
  const nodes = NODES.parse(text);
  if (nodes === undefined || nodes.length === 0)
    throw notA("--initial-cluster", text, NODES.wanted);
  if (new Set(nodes.map((node) => node.name)).size < nodes.length) {
    throw badArguments("--initial-cluster names a node twice");
  }
  if (nodes.some((node) => node.name === name)) return nodes;
  throw badArguments(`--initial-cluster must name this node (${name}) too`);
}

function failureOf(error: unknown, target: string): unknown {
  if (error instanceof CorruptionError) {
    return new CliError(EXIT.failed, error.message, {
      because: "the backup is not what was written; nothing can be started from it",
      next: "flotilla check the backups, and restore another one",
    });
  }
  if (!(error instanceof DiskError)) return error;
  if (error.code === "exists") {
    return new CliError(EXIT.inputOutput, `${target} is not empty`, {
      because: "what is in it may be the data of a node",
      next: "give a directory that is empty or not there",
    });
  }
  if (error.code === "noSpace") {
    return new CliError(EXIT.inputOutput, `the disk of ${target} is full: ${error.message}`, {
      next: "make room, and run it again",
    });
  }
  return error;
}
