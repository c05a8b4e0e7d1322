/** Which directory a person means: that of a store, or the data directory of a node around it. */
import { DiskError } from "../env/disk.js";
import type { Disk } from "../env/disk.js";
import { EXIT } from "./exit-codes.js";
import { CliError } from "./failure.js";

export interface StoreDirectory {
  /** Where the store is. */
  readonly store: string;
  /** The data directory of a node, where that was given. */
  readonly node: string | undefined;
}

export function storeDirectoryOf(disk: Disk, given: string): StoreDirectory {
  if (!disk.exists(given)) {
    throw new CliError(EXIT.inputOutput, `there is no file or directory ${given}`, {
      next: "give what flotilla start has as --data-dir",
    });
  }
  const directory = given.replace(/\/+$/, "");
  const inner = `${directory}/store`;
  if (isStore(disk, inner)) return { store: inner, node: directory };
  if (isStore(disk, directory)) return { store: directory, node: undefined };
  throw new CliError(EXIT.inputOutput, `there is no store in ${given}`, {
    because: "it is neither the data directory of a node nor the store inside of it",
    next: "give what flotilla start has as --data-dir",
  });
}

/** Whether there is a file that only a store has, damaged or not. */
function isStore(disk: Disk, directory: string): boolean {
  if (!disk.exists(directory)) return false;
  return namesIn(disk, directory).some(
    (name) => name === "identity" || name === "tables" || name.startsWith("manifest-"),
  );
}

function namesIn(disk: Disk, directory: string): readonly string[] {
  try {
    return disk.list(directory);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new CliError(EXIT.inputOutput, `${directory} cannot be looked into`, {
      because: `it may be a file of another kind (${error.message})`,
      next: "give a directory, or a file of the kind that the command names",
    });
  }
}
