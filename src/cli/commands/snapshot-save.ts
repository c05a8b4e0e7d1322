/** flotctl snapshot save: writes a keyspace at one revision to a file. */
import type { KeyValue } from "../../protocol/key-value.js";
import { requiredOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { clusterNumber } from "../printer.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";
import { selectKeys } from "../selection.js";
import { writeSnapshot } from "../snapshot-file.js";
import { note } from "../terminal.js";

export const snapshotSave: CommandDefinition<Context> = {
  flags: {},
  writes: false,
  endsItself: true,
  examples: [
    ["snapshot save backup.snap", "the default keyspace"],
    ["snapshot save backup.snap --consistency stale", "what is left, without a majority"],
  ],
  epilogue: [
    "The file has every key of the keyspace at one revision, with its value, its revisions, version and",
    "lease id, and the TTLs of the leases (not with --consistency stale), but no history. It is written",
    "as FILE.part, synced, read back and then renamed. A compaction that passes the revision meanwhile",
    "ends it; it may be begun again.",
  ].join("\n"),
  run: async (context, argv) => {
    const path = requiredOf(argv, "file");
    const client = await context.client();
    const { level, maxStalenessMs } = context.options;
    const reading = { ...selectKeys("", undefined, { prefix: true, fromKey: false }), level };
    const wish = { ...reading, maxStalenessMs, fanOut: true };
    const { header, count } = await client.range({ ...wish, countOnly: true });
    const { revision } = header;
    const clusterId = clusterNumber((await client.admin.map()).clusterMap.clusterId);
    const progress = new Progress(context.terminal, `saving ${count} keys:`, undefined, "keys");
    const rows = counting(client.scan({ ...wish, revision }), progress, context.signal);
    // Without a majority nobody can say what leases there are.
    const ttlOf = level === "stale" ? undefined : grantedTtlBy(client);
    try {
      const facts = await writeSnapshot(path, { revision, clusterId }, { rows, ttlOf });
      const { keys, bytes, hash } = facts;
      const properties = { path, revision, keys, bytes, hash };
      const took = formatDuration(progress.elapsedMs());
      progress.end();
      const amount = `${counted(keys, "key")} at revision ${revision}, ${formatBytes(bytes)}`;
      if (context.terminal.err.isTTY) note(context.terminal, `${amount}, in ${took}`);
      (await context.printer()).done(`Snapshot saved at ${path}`, properties);
      return EXIT.ok;
    } finally {
      progress.end();
    }
  },
};

function grantedTtlBy({ leases }: ClientPort): (id: bigint) => Promise<number> {
  return async (id) => (await leases.timeToLive(id)).grantedTtlSeconds;
}

async function* counting(
  rows: AsyncIterable<KeyValue>,
  progress: Progress,
  signal: AbortSignal,
): AsyncGenerator<KeyValue, void> {
  for await (const kv of rows) {
    if (signal.aborted) throw new CliError(EXIT.interrupted, "interrupted: nothing was saved");
    progress.add(kv.key.length + kv.value.length);
    yield kv;
  }
}
