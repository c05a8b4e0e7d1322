/**
 * flotctl snapshot restore: stores the keys of a snapshot file. Each key is a put of its own, many
 * at a time; a put with an unknown outcome is repeated, for it is the same value again.
 */
import type { KeyValue } from "../../protocol/key-value.js";
import { requiredOf, switchOf } from "../arguments.js";
import { runBounded } from "../bounded-pool.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";
import { quote } from "../quoting.js";
import { type Patience, retrying } from "../retrying.js";
import { selectKeys } from "../selection.js";
import { checkSnapshot, rowsOf } from "../snapshot-file.js";
import { boundsOf, patienceOf, Remarks, TRANSFER_FLAGS } from "../transfer.js";

export const snapshotRestore: CommandDefinition<Context> = {
  flags: {
    overwrite: { type: "boolean", describe: "also into a keyspace that has keys already" },
    ...TRANSFER_FLAGS,
  },
  writes: true,
  endsItself: true,
  examples: [["snapshot restore backup.snap", "into the default keyspace of a new cluster"]],
  epilogue: [
    "Kept are keys and values. NOT kept are revisions and versions, which begin anew, leases, from which",
    "the keys are detached, and the history, which is not in the file: watchers and whoever remembers",
    "a revision have to begin anew. The file is checked as a whole before anything is stored.",
    "What was interrupted may be repeated, with --overwrite.",
  ].join("\n"),
  run: async (context, argv) => {
    const path = requiredOf(argv, "file");
    const { keys, bytes } = await checkSnapshot(path);
    const client = await context.client();
    if (!switchOf(argv, "overwrite")) await checkEmpty(client);
    const progress = new Progress(context.terminal, "restoring", { files: keys, bytes }, "keys");
    const run = new RestoreRun(client, progress, patienceOf(context, argv));
    try {
      const sizeOf = (kv: KeyValue): number => kv.key.length + kv.value.length;
      await runBounded(rowsOf(path), sizeOf, boundsOf(context), (kv) => run.store(kv));
    } finally {
      run.endRemarks();
      progress.end();
    }
    return run.report(context, keys);
  },
};

async function checkEmpty(client: ClientPort): Promise<void> {
  const all = selectKeys("", undefined, { prefix: true, fromKey: false });
  const { count } = await client.range({ ...all, countOnly: true, fanOut: true });
  if (count === 0) return;
  throw new CliError(EXIT.failed, `the keyspace has ${counted(count, "key")}: it must be empty`, {
    next: "use --overwrite, which keeps keys that are not in the file, or another --keyspace",
  });
}

class RestoreRun {
  readonly #client: ClientPort;
  readonly #progress: Progress;
  readonly #patience: Patience;
  readonly #remarks: Remarks;
  #stored = 0;
  #bytes = 0;
  #detached = 0;
  #unknown = 0;
  #failed = 0;

  constructor(client: ClientPort, progress: Progress, patience: Patience) {
    this.#client = client;
    this.#progress = progress;
    this.#patience = patience;
    this.#remarks = new Remarks(progress);
  }

  async store({ key, value, lease }: KeyValue): Promise<void> {
    const put = await retrying(() => this.#client.put(key, value), this.#patience);
    if (put.value === undefined) {
      const isUnknown = put.unknown > 0;
      if (isUnknown) this.#unknown++;
      else this.#failed++;
      const what = isUnknown ? "unknown" : "failed";
      return this.#remarks.add(`${what} ${quote(key)}: ${put.error?.message}`);
    }
    this.#stored++;
    this.#bytes += key.length + value.length;
    if (lease !== 0n) this.#detached++;
    this.#progress.add(key.length + value.length);
  }

  endRemarks(): void {
    this.#remarks.end();
  }

  async report(context: Context, keys: number): Promise<number> {
    const elapsedMs = this.#progress.elapsedMs();
    const notTried = keys - this.#stored - this.#unknown - this.#failed;
    const amount = `${counted(this.#stored, "key")}, ${formatBytes(this.#bytes)}`;
    const sentence = [
      `restored ${amount} in ${formatDuration(elapsedMs)}: `,
      `detached from leases ${this.#detached}, unknown ${this.#unknown}, failed ${this.#failed}`,
      notTried === 0 ? "" : `, not tried ${notTried}`,
    ].join("");
    (await context.printer()).done(sentence, {
      stored: this.#stored,
      detached: this.#detached,
      unknown: this.#unknown,
      failed: this.#failed,
      notTried,
      bytes: this.#bytes,
      elapsedMs: Math.round(elapsedMs),
    });
    if (this.#unknown > 0) return EXIT.outcomeUnknown;
    if (context.signal.aborted) return EXIT.interrupted;
    return this.#failed > 0 ? EXIT.failed : EXIT.ok;
  }
}
