/**
 * Which configuration counts at which index. A configuration counts from the moment its entry is
 * in the log, committed or not; if the entry is truncated, the one before counts again. So the
 * history keeps the newest configuration at or below the log's base and every later one.
 */
import { must } from "../base/assert.js";
import { isVoter } from "./configuration.js";
import type { Configuration, ReplicaId } from "./types.js";

interface Stage {
  readonly index: number;
  readonly configuration: Configuration;
}

export class ConfigurationHistory {
  #stages: Stage[];

  constructor(index: number, configuration: Configuration) {
    this.#stages = [{ index, configuration }];
  }

  /** The one that counts now. */
  get active(): Configuration {
    return this.#newest.configuration;
  }

  /** The index of the entry that brought the active one. */
  get activeIndex(): number {
    return this.#newest.index;
  }

  append(index: number, configuration: Configuration): void {
    this.#stages.push({ index, configuration });
  }

  /** The log ends at `index` now. Returns whether another configuration counts. */
  truncateAfter(index: number): boolean {
    const before = this.#stages.length;
    while (this.#stages.length > 1 && this.#newest.index > index) this.#stages.pop();
    return this.#stages.length !== before;
  }

  /** The log begins after `index` now. */
  compactTo(index: number): void {
    let drop = 0;
    while (drop + 1 < this.#stages.length && this.#stages[drop + 1]!.index <= index) drop++;
    if (drop > 0) this.#stages.splice(0, drop);
  }

  reset(index: number, configuration: Configuration): void {
    this.#stages = [{ index, configuration }];
  }

  /** What a snapshot at `index` has takes the place of what was known up to there. */
  restore(index: number, configuration: Configuration): void {
    this.#stages = [
      { index, configuration },
      ...this.#stages.filter((stage) => stage.index > index),
    ];
  }

  /** The configuration at an index that is not below the log's base. */
  at(index: number): Configuration {
    let found = must(this.#stages[0]);
    for (const stage of this.#stages) if (stage.index <= index) found = stage;
    return found.configuration;
  }

  /**
   * Whether `id` votes in the configuration at `index` or in any later one. A voter whose removal
   * is in its log but perhaps not committed may be the only one with a log good enough to lead.
   */
  votesSince(index: number, id: ReplicaId): boolean {
    for (let i = this.#stages.length - 1; i >= 0; i--) {
      const stage = this.#stages[i]!;
      if (isVoter(stage.configuration, id)) return true;
      if (stage.index <= index) return false;
    }
    return false;
  }

  get #newest(): Stage {
    return must(this.#stages.at(-1));
  }
}
