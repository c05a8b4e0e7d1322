/** What flotilla check says of a directory of backups: a table is read once, whoever shares it. */
import type { Disk } from "../env/disk.js";
import type { Env } from "../env/env.js";
import { CorruptionError } from "../log/corruption-error.js";
import type { Finding } from "../log/finding.js";
import type { TableFile } from "../lsm/slice.js";
import { damageOf } from "../store/backup.js";
import {
  backupNumbers,
  backupTableName,
  backupTablePath,
  readListing,
} from "../store/backup-listing.js";
import { filesIn } from "../store/checkpoint-edit.js";

export interface BackupCheck {
  readonly directory: string;
  readonly backups: readonly number[];
  readonly tables: number;
  readonly checkedBytes: number;
  readonly findings: readonly Finding[];
}

interface Shared {
  readonly file: TableFile;
  readonly numbers: number[];
}

export function isBackupDirectory(disk: Disk, directory: string): boolean {
  return backupNumbers(disk, directory).length > 0;
}

export async function checkBackups(
  env: Pick<Env, "disk" | "jobs">,
  directory: string,
): Promise<BackupCheck> {
  const backups = backupNumbers(env.disk, directory);
  const tables = new Map<string, Shared>();
  const findings: Finding[] = [];
  for (const number of backups) {
    const found = filesOf(env, directory, number);
    if (found instanceof CorruptionError) {
      findings.push(findingOf(found, `backup ${number}`));
      continue;
    }
    for (const file of found) {
      const name = backupTableName(file);
      const shared = tables.get(name) ?? { file, numbers: [] };
      shared.numbers.push(number);
      tables.set(name, shared);
    }
  }
  let checkedBytes = 0;
  for (const { file, numbers } of tables.values()) {
    const damage = await damageOf(env, backupTablePath(directory, file), file);
    const lost = `backups that have it: ${numbers.join(", ")}`;
    if (damage !== undefined) findings.push(findingOf(damage, lost));
    checkedBytes += file.sizeBytes;
  }
  return { directory, backups, tables: tables.size, checkedBytes, findings };
}

function filesOf(
  { disk }: Pick<Env, "disk">,
  directory: string,
  number: number,
): readonly TableFile[] | CorruptionError {
  try {
    return filesIn(readListing(disk, directory, number).edit);
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
}

function findingOf({ path, offset, detail }: CorruptionError, lost: string): Finding {
  return { path, offset, what: detail, loss: { kind: "content", what: lost }, isDamage: true };
}
