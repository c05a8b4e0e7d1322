/** flotctl snapshot save: writes a keyspace at one revision to a file. */
import type { LeaseSource } from "../../gateway/snapshot/snapshot-leases.js";
import type { KeyValue } from "../../protocol/key-value.js";
import { requiredOf } from "../arguments.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
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
    "The file is one that etcd can be restored from. It has every key of the keyspace at one revision,",
    "with its value, its revisions, version and lease id, and the TTLs of the leases (not with",
    "--consistency stale), but no history. It is written as FILE.part, synced, read back and then renamed.",
    "More than 128 MiB are read once for each 128 MiB; a compaction that passes the revision meanwhile",
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
    const progress = new Progress(context.terminal, `saving ${count} keys:`, undefined, "keys");
    const read = (): AsyncIterable<KeyValue> => client.scan({ ...wish, revision });
    let pass = 0;
    try {
      const facts = await writeSnapshot(path, {
        revision,
        // What is much is read several times, and counted once.
        rows: () => watched(read(), context.signal, pass++ === 0 ? progress : undefined),
        // Without a majority nobody can say what leases there are.
        leases: level === "stale" ? undefined : leasesOf(client),
        pause: () => Promise.resolve(),
      });
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

function leasesOf({ leases }: ClientPort): LeaseSource {
  return {
    ids: async () => (await leases.list()).ids,
    ttlOf: async (id) => (await leases.timeToLive(id)).grantedTtlSeconds,
  };
}

async function* watched(
  rows: AsyncIterable<KeyValue>,
  signal: AbortSignal,
  progress: Progress | undefined,
): AsyncGenerator<KeyValue, void> {
  for await (const kv of rows) {
    if (signal.aborted) throw new CliError(EXIT.interrupted, "interrupted: nothing was saved");
    progress?.add(kv.key.length + kv.value.length);
    yield kv;
  }
}
