/**
 * flotctl import: stores the files of a directory. Each file is a put of its own, many at a time. A
 * put with an unknown outcome is repeated: the same value under the same key harms nobody.
 */
import { utf8 } from "../../base/bytes.js";
import { AcknowledgedList } from "../acknowledged-list.js";
import { textOf } from "../arguments.js";
import { runBounded } from "../bounded-pool.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { contentOf, type FoundFile, type Walk, walk } from "../files.js";
import { keyspaceNamed } from "../keyspace-lookup.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";
import { type Patience, retrying } from "../retrying.js";
import {
  boundsOf,
  directoryOf,
  lacksFiles,
  leftOutText,
  patienceOf,
  Remarks,
  totalsOf,
  TRANSFER_FLAGS,
} from "../transfer.js";

export const importFiles: CommandDefinition<Context> = {
  flags: {
    "from-dir": { type: "string", describe: "the directory to read" },
    acknowledged: { type: "string", describe: "write the acknowledged keys to this file" },
    ...TRANSFER_FLAGS,
  },
  writes: true,
  endsItself: true,
  examples: [["import --from-dir src --keyspace files", "every file below src"]],
  epilogue: [
    "A key is the path of a file below the directory, with / between the names. Files above 1 MiB,",
    "symbolic links and devices are skipped and counted. An import may be repeated: it stores the same",
    "values again. So a put whose outcome is unknown is retried; it counts as unknown only if it was",
    "never acknowledged. Exit code 1: a file failed or was too large; 7: one is still unknown.",
  ].join("\n"),
  run: async (context, argv) => {
    const directory = await directoryOf(argv, "from-dir");
    const client = await context.client();
    await checkKeyspace(client, context.options.keyspace);
    const found = await walk(directory);
    const progress = new Progress(context.terminal, "importing", totalsOf(found));
    const listPath = textOf(argv, "acknowledged");
    const list = listPath === undefined ? undefined : new AcknowledgedList(listPath);
    const run = new ImportRun({ client, progress, list, patience: patienceOf(context, argv) });
    try {
      await run.store(found, context);
    } finally {
      progress.end();
      list?.close();
    }
    return run.report(context, found);
  },
};

/** Once, and not with every file. */
async function checkKeyspace(client: ClientPort, name: string | undefined): Promise<void> {
  if (name !== undefined) keyspaceNamed((await client.admin.map()).clusterMap, name);
}

interface ImportParts {
  readonly client: ClientPort;
  readonly progress: Progress;
  readonly list: AcknowledgedList | undefined;
  readonly patience: Patience;
}

class ImportRun {
  readonly #parts: ImportParts;
  readonly #remarks: Remarks;
  #acknowledged = 0;
  #bytes = 0;
  #retriedUnknown = 0;
  #unknown = 0;
  #failed = 0;

  constructor(parts: ImportParts) {
    this.#parts = parts;
    this.#remarks = new Remarks(parts.progress);
  }

  async store(found: Walk, context: Context): Promise<void> {
    this.#remarks.addLeftOut(found.leftOut);
    const sizeOf = (file: FoundFile): number => file.sizeBytes;
    await runBounded(found.files, sizeOf, boundsOf(context), (file) => this.#storeOne(file));
    this.#remarks.end();
  }

  async #storeOne(file: FoundFile): Promise<void> {
    const { client, progress, list, patience } = this.#parts;
    let content: Uint8Array;
    try {
      content = await contentOf(file);
    } catch (error) {
      this.#failed++;
      this.#remarks.add(`failed ${file.key}: ${(error as Error).message}`);
      return;
    }
    const put = await retrying(() => client.put(utf8(file.key), content), patience);
    if (put.value !== undefined) {
      this.#acknowledged++;
      this.#bytes += content.length;
      if (put.unknown > 0) this.#retriedUnknown++;
      list?.add(file.key);
      progress.add(content.length);
    } else if (put.unknown > 0) {
      this.#unknown++;
      this.#remarks.add(`unknown ${file.key}: it may have been stored: ${put.error?.message}`);
    } else {
      this.#failed++;
      this.#remarks.add(`failed ${file.key}: ${put.error?.message}`);
    }
  }

  async report(context: Context, { files, leftOut }: Walk): Promise<number> {
    const elapsedMs = this.#parts.progress.elapsedMs();
    const notTried = files.length - this.#acknowledged - this.#unknown - this.#failed;
    const retried =
      this.#retriedUnknown === 0
        ? ""
        : ` (${this.#retriedUnknown} after a retry of an unknown outcome)`;
    const amount = `${counted(this.#acknowledged, "file")}, ${formatBytes(this.#bytes)}`;
    const sentence = [
      `imported ${amount} in ${formatDuration(elapsedMs)}: `,
      `acknowledged ${this.#acknowledged}${retried}, unknown ${this.#unknown}, `,
      `failed ${this.#failed}, ${leftOutText(leftOut)}`,
      notTried === 0 ? "" : `, not tried ${notTried}`,
    ].join("");
    (await context.printer()).done(sentence, {
      files: files.length,
      acknowledged: this.#acknowledged,
      retriedUnknown: this.#retriedUnknown,
      unknown: this.#unknown,
      failed: this.#failed,
      skipped: leftOut.length,
      notTried,
      bytes: this.#bytes,
      elapsedMs: Math.round(elapsedMs),
    });
    if (this.#unknown > 0) return EXIT.outcomeUnknown;
    if (context.signal.aborted) return EXIT.interrupted;
    return this.#failed > 0 || lacksFiles(leftOut) ? EXIT.failed : EXIT.ok;
  }
}
