/**
 * flotilla check: looks at every byte of a stopped node's data that has a checksum, and at the
 * rules between files. It changes nothing, so that it can be asked before anything is done.
 */
import type { Disk } from "../../env/disk.js";
import { DiskError } from "../../env/disk.js";
import type { Finding, Loss } from "../../log/finding.js";
import { damagedCopies, hasTextFile } from "../../node/text-file.js";
import { checkStore } from "../../store/store-check.js";
import type { StoreCheck } from "../../store/store-check.js";
import { requiredOf, switchOf } from "../arguments.js";
import { checkBackups, isBackupDirectory } from "../backup-check.js";
import type { BackupCheck } from "../backup-check.js";
import type { CommandDefinition } from "../command-table.js";
import { EXIT } from "../exit-codes.js";
import { CliError } from "../failure.js";
import { findingLines, findingValue } from "../findings.js";
import type { NodeContext } from "../node-context.js";
import { counted, formatBytes } from "../quantities.js";
import { storeDirectoryOf } from "../store-directory.js";
import { note } from "../terminal.js";
import type { Terminal } from "../terminal.js";

export const check: CommandDefinition<NodeContext> = {
  flags: { json: { type: "boolean", describe: "print one JSON object" } },
  writes: false,
  examples: [
    ["check ./n1", "check the data directory of a stopped node"],
    ["check ./backups", "read all backups there"],
  ],
  epilogue: [
    "Every checksum is verified: identity, manifest, tables, log, the node's own",
    "files. Nothing is changed. The exit code is 1 where there is damage. A node",
    "lets its peers refill what is damaged: start it, then flotctl shard replicas.",
  ].join("\n"),
  run: async ({ terminal, openDisk, openEnv }, argv) => {
    const disk = await openDisk();
    const directory = requiredOf(argv, "directory");
    if (isBackupDirectory(disk, directory)) {
      const found = await checkBackups(await openEnv(), directory);
      return printBackups(terminal, found, switchOf(argv, "json"));
    }
    const { store, node } = storeDirectoryOf(disk, directory);
    const release = await claim(disk, store);
    try {
      const found = checkStore(disk, store);
      const findings = [...found.findings, ...(node === undefined ? [] : nodeFiles(disk, node))];
      const damages = findings.filter(({ isDamage }) => isDamage).length;
      if (switchOf(argv, "json")) {
        const values = findings.map(findingValue);
        terminal.out.write(`${JSON.stringify({ ...told(found), damages, findings: values })}\n`);
      } else {
        terminal.out.write(findings.flatMap(findingLines).join(""));
        terminal.out.write(`${summary(found, damages)}\n`);
      }
      if (damages > 0)
        note(terminal, `nothing was changed; next: ${nextStep(node, findings)}`, "yellow");
      return damages > 0 ? EXIT.failed : EXIT.ok;
    } finally {
      release();
    }
  },
};

function printBackups(terminal: Terminal, found: BackupCheck, isJson: boolean): number {
  const { backups, tables, checkedBytes, findings } = found;
  const damages = findings.length;
  if (isJson) {
    const values = { ...found, damages, findings: findings.map(findingValue) };
    terminal.out.write(`${JSON.stringify(values)}\n`);
  } else {
    terminal.out.write(findings.flatMap(findingLines).join(""));
    const parts = [counted(backups.length, "backup"), counted(tables, "table")];
    const checked = `${formatBytes(checkedBytes)} checked, ${verdictOf(damages)}`;
    terminal.out.write(`${parts.join(", ")}, ${checked}\n`);
  }
  if (damages === 0) return EXIT.ok;
  note(terminal, "nothing was changed; next: a new backup, in a new directory", "yellow");
  return EXIT.failed;
}

function nextStep(node: string | undefined, findings: readonly Finding[]): string {
  if (node === undefined)
    return "open it to read what can be read, or put a checkpoint in its place";
  const isUnfit = findings.some(
    ({ isDamage, loss }) => isDamage && (loss.kind === "standing" || loss.kind === "everything"),
  );
  return isUnfit
    ? "replace it by a new node where its peers hold the same shards: flotctl member remove, add"
    : "start it, and its peers, where it has any, refill it: flotctl shard replicas";
}

/** A running node changes its files all the time: what is read of them then means nothing. */
async function claim(disk: Disk, store: string): Promise<() => void> {
  try {
    const lock = await disk.lock(store);
    return () => lock.release();
  } catch (error) {
    if (!(error instanceof DiskError && error.code === "exists")) throw error;
    throw new CliError(EXIT.failed, `a running node holds ${store}`, {
      because: "its files change while they are read",
      next: "end the node first; a running node checks its files by itself",
    });
  }
}

/** Names of the text files that a node keeps twice. */
function nodeFiles(disk: Disk, directory: string): Finding[] {
  const names = disk
    .list(directory)
    .filter((name) => name.endsWith(".copy"))
    .map((name) => name.slice(0, -".copy".length));
  return names
    .filter((name) => hasTextFile(disk, directory, name))
    .flatMap((name) => damagedTexts(disk, directory, name));
}

function damagedTexts(disk: Disk, directory: string, name: string): Finding[] {
  const damaged = damagedCopies(disk, directory, name);
  const loss: Loss =
    damaged.length > 1
      ? { kind: "standing", what: "all of it" }
      : { kind: "nothing", because: "the other copy has it" };
  const what = "the file fails its checksum";
  return damaged.map((path) => ({ path, offset: 0, what, loss, isDamage: true }));
}

function told({ directory, storeId, trees, tables, segments, checkedBytes }: StoreCheck): object {
  return { directory, storeId, trees, tables, segments, checkedBytes };
}

function summary(
  { storeId, trees, tables, segments, checkedBytes }: StoreCheck,
  damages: number,
): string {
  const parts = [
    counted(trees, "tree"),
    counted(tables, "table"),
    counted(segments, "log segment"),
  ];
  const checked = `${formatBytes(checkedBytes)} checked, ${verdictOf(damages)}`;
  return `store ${storeId ?? "?"}: ${parts.join(", ")}, ${checked}`;
}

function verdictOf(damages: number): string {
  return damages === 0 ? "no damage" : counted(damages, "damaged place");
}
