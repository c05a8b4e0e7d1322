/** Backups of embedded stores, while none of them is open: listed, checked, restored, removed. */
import type { Env } from "../env/env.js";
import { notApplied } from "../protocol/errors.js";
import { checkBackup, listBackups, removeBackups, restoreBackup } from "../store/backup.js";
import type { BackupSummary } from "../store/backup.js";
import { backupNumbers } from "../store/backup-listing.js";
import { directoryErrorOf, errorOf } from "./embedded-types.js";
import { requireDirectory } from "./settings.js";

export class Backups {
  readonly #env: Env;
  readonly #directory: string;

  constructor(env: Env, directory: string) {
    this.#env = env;
    this.#directory = requireDirectory(env.disk, directory);
  }

  /** Oldest first. */
  list(): readonly BackupSummary[] {
    try {
      return listBackups(this.#env.disk, this.#directory);
    } catch (error) {
      throw errorOf(error);
    }
  }

  /** Reads all of a backup; says of each damaged or missing file what is wrong with it. */
  async check(number?: number): Promise<readonly string[]> {
    try {
      const damaged = await checkBackup(this.#env, this.#directory, this.#find(number));
      return damaged.map(({ message }) => message);
    } catch (error) {
      throw errorOf(error);
    }
  }

  /**
   * Makes a store of a backup, the newest without a number, in a directory that is empty or not
   * there. It is a store only once all of it is there and was checked.
   */
  async restore(target: string, number?: number): Promise<void> {
    try {
      const found = requireDirectory(this.#env.disk, target);
      await restoreBackup(this.#env, this.#directory, this.#find(number), found);
    } catch (error) {
      throw directoryErrorOf(error, `${target} is not an empty directory`);
    }
  }

  /** Removes a backup, and the files that no other needs. Never one that is not named. */
  remove(number: number): void {
    try {
      if (!Number.isSafeInteger(number)) {
        throw notApplied("invalidArgument", "the backup to be removed has a number");
      }
      removeBackups(this.#env.disk, this.#directory, [this.#find(number)]);
    } catch (error) {
      throw errorOf(error);
    }
  }

  #find(number: number | undefined): number {
    const { disk } = this.#env;
    const numbers = backupNumbers(disk, this.#directory);
    const found = number === undefined ? numbers.at(-1) : numbers.find((each) => each === number);
    if (found !== undefined) return found;
    const which = number === undefined ? "no backup" : `no backup ${number}`;
    throw notApplied("invalidArgument", `there is ${which} in ${this.#directory}`);
  }
}
