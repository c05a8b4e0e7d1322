/** flotctl verify: compares what is stored with the files of a directory, byte for byte. */
import { utf8 } from "../../base/bytes.js";
import { readAcknowledged } from "../acknowledged-list.js";
import { textOf } from "../arguments.js";
import { runBounded } from "../bounded-pool.js";
import type { ClientPort } from "../client-port.js";
import type { CommandDefinition } from "../command-table.js";
import type { Context } from "../context.js";
import { EXIT } from "../exit-codes.js";
import { contentOf, type FoundFile, type Walk, walk } from "../files.js";
import { Progress } from "../progress.js";
import { counted, formatBytes, formatDuration } from "../quantities.js";
import { retrying } from "../retrying.js";
import {
  boundsOf,
  directoryOf,
  leftOutText,
  patienceOf,
  Remarks,
  totalsOf,
  TRANSFER_FLAGS,
} from "../transfer.js";

export const verify: CommandDefinition<Context> = {
  flags: {
    "from-dir": { type: "string", describe: "the directory to compare with" },
    acknowledged: {
      type: "string",
      describe: "compare only the keys in this file, as import wrote it",
    },
    ...TRANSFER_FLAGS,
  },
  writes: false,
  endsItself: true,
  examples: [["verify --from-dir src --keyspace files", "every file below src"]],
  epilogue: [
    "Prints a line for each key that is missing, different or cannot be read; exit code 1 if there is",
    "one. Reads are linearizable unless --consistency says otherwise.",
  ].join("\n"),
  run: async (context, argv) => {
    const directory = await directoryOf(argv, "from-dir");
    const listPath = textOf(argv, "acknowledged");
    const only = listPath === undefined ? undefined : readAcknowledged(listPath);
    const all = await walk(directory);
    const files = all.files.filter(({ key }) => only === undefined || only.has(key));
    const found: Walk = { files, leftOut: all.leftOut };
    const client = await context.client();
    const progress = new Progress(context.terminal, "verifying", totalsOf(found));
    const run = new VerifyRun(context, client, progress);
    try {
      await run.compare(found, patienceOf(context, argv));
    } finally {
      progress.end();
    }
    return run.report(found);
  },
};

class VerifyRun {
  readonly #context: Context;
  readonly #client: ClientPort;
  readonly #progress: Progress;
  #identical = 0;
  #missing = 0;
  #different = 0;
  #failed = 0;
  #bytes = 0;

  constructor(context: Context, client: ClientPort, progress: Progress) {
    this.#context = context;
    this.#client = client;
    this.#progress = progress;
  }

  async compare(found: Walk, patience: Parameters<typeof retrying>[1]): Promise<void> {
    const remarks = new Remarks(this.#progress);
    remarks.addLeftOut(found.leftOut);
    remarks.end();
    const { level, maxStalenessMs } = this.#context.options;
    const sizeOf = (file: FoundFile): number => file.sizeBytes;
    await runBounded(found.files, sizeOf, boundsOf(this.#context), async (file) => {
      const reading = { level, maxStalenessMs };
      const read = await retrying(() => this.#client.get(utf8(file.key), reading), patience);
      if (read.value === undefined) this.#fail(file, read.error?.message ?? "");
      else await this.#compareOne(file, read.value.kv?.value);
    });
  }

  async #compareOne(file: FoundFile, stored: Uint8Array | undefined): Promise<void> {
    let content: Uint8Array;
    try {
      content = await contentOf(file);
    } catch (error) {
      return this.#fail(file, (error as Error).message);
    }
    this.#progress.add(content.length);
    if (stored === undefined) {
      this.#missing++;
      return this.#print(`missing ${file.key}`);
    }
    const at = firstDifference(content, stored);
    if (at === undefined) {
      this.#identical++;
      this.#bytes += content.length;
      return;
    }
    this.#different++;
    const sizes = `${content.length} bytes in the file, ${stored.length} stored`;
    this.#print(`different ${file.key} (from byte ${at} on; ${sizes})`);
  }

  #fail(file: FoundFile, why: string): void {
    this.#failed++;
    this.#print(`unreadable ${file.key} (${why})`);
  }

  /** Findings are data, except beside JSON and fields, which have one form only. */
  #print(line: string): void {
    const { terminal, options } = this.#context;
    const plain = options.format === "simple" || options.format === "table";
    if (plain) terminal.out.write(`${line}\n`);
    else this.#progress.remark(line);
  }

  async report({ files, leftOut }: Walk): Promise<number> {
    const elapsedMs = this.#progress.elapsedMs();
    const notTried =
      files.length - this.#identical - this.#missing - this.#different - this.#failed;
    const sentence = [
      `verified ${counted(files.length - notTried, "file")}, ${formatBytes(this.#bytes)} `,
      `in ${formatDuration(elapsedMs)}: identical ${this.#identical}, missing ${this.#missing}, `,
      `different ${this.#different}, unreadable ${this.#failed}, ${leftOutText(leftOut)}`,
      notTried === 0 ? "" : `, not tried ${notTried}`,
    ].join("");
    (await this.#context.printer()).done(sentence, {
      files: files.length,
      identical: this.#identical,
      missing: this.#missing,
      different: this.#different,
      unreadable: this.#failed,
      skipped: leftOut.length,
      notTried,
      bytes: this.#bytes,
      elapsedMs: Math.round(elapsedMs),
    });
    if (this.#context.signal.aborted) return EXIT.interrupted;
    return this.#identical === files.length ? EXIT.ok : EXIT.failed;
  }
}

/** The first position at which two byte strings differ. */
function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at++) if (a[at] !== b[at]) return at;
  return a.length === b.length ? undefined : shared;
}
