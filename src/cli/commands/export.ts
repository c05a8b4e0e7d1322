/**
 * flotctl export: writes the keys of a keyspace as files. It reads one revision, and leaves out
 * keys that are no paths below the directory.
 */
import type { KeyValue } from "../../protocol/key-value.js";
import { textOf } from "../arguments.js";
import { runBounded } from "../bounded-pool.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { badArguments, isSystemError } from "../failure.js";
import { makeDirectory, relativePathOf, writeBelow } from "../files.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";
import { quote } from "../quoting.js";
import { selectKeys } from "../selection.js";
import { boundsOf, Remarks } from "../transfer.js";

export const exportFiles: CommandDefinition<Context> = {
  flags: {
    "to-dir": { type: "string", describe: "the directory to write, made if it is absent" },
    prefix: { type: "string", describe: "only keys with this prefix" },
  },
  writes: false,
  endsItself: true,
  examples: [["export --to-dir copy --keyspace files", "every key of a keyspace"]],
  epilogue: [
    "A key with / in it becomes a file in a directory. Keys that are no path below the directory",
    "(an empty name, . or .., bytes that are not UTF-8) are skipped and counted; exit code 1 if",
    "there is one, or if a file could not be written. Files that are there are written over.",
  ].join("\n"),
  run: async (context, argv) => {
    const directory = textOf(argv, "to-dir") ?? "";
    if (directory === "") throw badArguments("--to-dir DIR is missing");
    const client = await context.client();
    makeDirectory(directory);
    const { level, maxStalenessMs } = context.options;
    const prefix = { prefix: true, fromKey: false };
    const span = selectKeys(textOf(argv, "prefix") ?? "", undefined, prefix);
    const progress = new Progress(context.terminal, "exporting", undefined);
    const run = new ExportRun(directory, progress);
    try {
      const all = client.scan({ ...span, level, maxStalenessMs, fanOut: true });
      const sizeOf = (kv: KeyValue): number => kv.value.length;
      await runBounded(all, sizeOf, boundsOf(context), (kv) => run.write(kv));
    } finally {
      run.endRemarks();
      progress.end();
    }
    return run.report(context);
  },
};

class ExportRun {
  readonly #directory: string;
  readonly #progress: Progress;
  readonly #remarks: Remarks;
  #written = 0;
  #skipped = 0;
  #failed = 0;
  #bytes = 0;

  constructor(directory: string, progress: Progress) {
    this.#directory = directory;
    this.#progress = progress;
    this.#remarks = new Remarks(progress);
  }

  async write({ key, value }: KeyValue): Promise<void> {
    const path = relativePathOf(key);
    if (path === undefined) {
      this.#skipped++;
      return this.#remarks.add(`skipped ${quote(key)}: not a path below the directory`);
    }
    try {
      await writeBelow(this.#directory, path, value);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#failed++;
      return this.#remarks.add(`failed ${path}: ${error.message}`);
    }
    this.#written++;
    this.#bytes += value.length;
    this.#progress.add(value.length);
  }

  endRemarks(): void {
    this.#remarks.end();
  }

  async report(context: Context): Promise<number> {
    const elapsedMs = this.#progress.elapsedMs();
    const amount = `${counted(this.#written, "file")}, ${formatBytes(this.#bytes)}`;
    const sentence =
      `exported ${amount} in ${formatDuration(elapsedMs)}: ` +
      `skipped ${this.#skipped}, failed ${this.#failed}`;
    (await context.printer()).done(sentence, {
      written: this.#written,
      skipped: this.#skipped,
      failed: this.#failed,
      bytes: this.#bytes,
      elapsedMs: Math.round(elapsedMs),
    });
    if (context.signal.aborted) return EXIT.interrupted;
    return this.#skipped + this.#failed > 0 ? EXIT.failed : EXIT.ok;
  }
}
