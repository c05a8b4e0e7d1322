/**
 * flotctl snapshot restore: stores the keys of a snapshot file, of ours or of etcd's. Each key is a
 * put of its own, many at a time; a put with an unknown outcome is repeated, for it is the same
 * value again.
 */
import type { KeyValue } from "../../protocol/key-value.js";
import { type Arguments, requiredOf, switchOf } from "../arguments.js";
import { type PoolBounds, runBounded } from "../bounded-pool.js";
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
import { type OpenSnapshot, useSnapshot } from "../snapshot-file.js";
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
    "Kept are keys, values, and leases, which begin anew with their TTLs under their ids. NOT kept are",
    "revisions and versions, which begin anew, and the history, which is not in the file: watchers and",
    "whoever remembers a revision have to begin anew. Keys of leases that end before they are stored are",
    "left out; without TTLs in the file, keys are detached from their leases. The file is checked as a",
    "whole before anything is stored. What was interrupted may be repeated, with --overwrite.",
  ].join("\n"),
  run: async (context, argv) => {
    return useSnapshot(requiredOf(argv, "file"), (snapshot) => restore(context, argv, snapshot));
  },
};

async function restore(context: Context, argv: Arguments, snapshot: OpenSnapshot): Promise<number> {
  const { keys, bytes, leases } = snapshot.facts;
  const client = await context.client();
  if (!switchOf(argv, "overwrite")) await checkEmpty(client);
  const progress = new Progress(context.terminal, "restoring", { files: keys, bytes }, "keys");
  const run = new RestoreRun({ client, progress, patience: patienceOf(context, argv), leases });
  try {
    await run.grant(boundsOf(context));
    const sizeOf = (kv: KeyValue): number => kv.key.length + kv.value.length;
    await runBounded(snapshot.rows(), sizeOf, boundsOf(context), (kv) => run.store(kv));
  } finally {
    run.endRemarks();
    progress.end();
  }
  return run.report(context, keys);
}

async function checkEmpty(client: ClientPort): Promise<void> {
  const all = selectKeys("", undefined, { prefix: true, fromKey: false });
  const { count } = await client.range({ ...all, countOnly: true, fanOut: true });
  if (count === 0) return;
  throw new CliError(EXIT.failed, `the keyspace has ${counted(count, "key")}: it must be empty`, {
    next: "use --overwrite, which keeps keys that are not in the file, or another --keyspace",
  });
}

interface RestoreParts {
  readonly client: ClientPort;
  readonly progress: Progress;
  readonly patience: Patience;
  /** TTLs by id; 0 for those that had ended. */
  readonly leases: ReadonlyMap<bigint, number>;
}

class RestoreRun {
  readonly #parts: RestoreParts;
  readonly #remarks: Remarks;
  #stored = 0;
  #bytes = 0;
  #detached = 0;
  /** Keys whose lease has ended. */
  #ended = 0;
  #unknown = 0;
  #failed = 0;

  constructor(parts: RestoreParts) {
    this.#parts = parts;
    this.#remarks = new Remarks(parts.progress);
  }

  /** Leases come before their keys. One that is there already is that of an earlier attempt. */
  async grant(bounds: PoolBounds): Promise<void> {
    const { client, leases, patience } = this.#parts;
    const living = [...leases].filter(([, ttlSeconds]) => ttlSeconds > 0);
    await runBounded(
      living,
      () => 0,
      bounds,
      async ([id, ttlSeconds]) => {
        const { error } = await retrying(() => client.leases.grant(ttlSeconds, id), patience);
        if (error !== undefined && error.code !== "leaseExists") throw error;
      },
    );
  }

  async store({ key, value, lease: id }: KeyValue): Promise<void> {
    const { client, progress, patience, leases } = this.#parts;
    if (leases.get(id) === 0) return this.#count("ended", key);
    const isKnown = leases.has(id);
    const options = isKnown ? { lease: id } : {};
    const put = await retrying(() => client.put(key, value, options), patience);
    if (put.error?.code === "leaseNotFound") return this.#count("ended", key);
    if (put.value === undefined) {
      return this.#count(put.unknown > 0 ? "unknown" : "failed", key, put.error?.message);
    }
    this.#stored++;
    this.#bytes += key.length + value.length;
    if (id !== 0n && !isKnown) this.#detached++;
    progress.add(key.length + value.length);
  }

  #count(what: "ended" | "unknown" | "failed", key: Uint8Array, reason = "its lease"): void {
    if (what === "ended") this.#ended++;
    else if (what === "unknown") this.#unknown++;
    else this.#failed++;
    this.#remarks.add(`${what} ${quote(key)}: ${reason}`);
  }

  endRemarks(): void {
    this.#remarks.end();
  }

  async report(context: Context, keys: number): Promise<number> {
    const elapsedMs = this.#parts.progress.elapsedMs();
    const notTried = keys - this.#stored - this.#ended - this.#unknown - this.#failed;
    const amount = `${counted(this.#stored, "key")}, ${formatBytes(this.#bytes)}`;
    const sentence = [
      `restored ${amount} in ${formatDuration(elapsedMs)}: `,
      `detached from leases ${this.#detached}, of ended leases ${this.#ended}, unknown ${this.#unknown}, failed ${this.#failed}`,
      notTried === 0 ? "" : `, not tried ${notTried}`,
    ].join("");
    (await context.printer()).done(sentence, {
      stored: this.#stored,
      detached: this.#detached,
      ended: this.#ended,
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
