/**
 * Which write of unknown outcome a commit came from. Each accounts for one commit at most. Of a
 * write all puts are there, and those deletes that found something.
 *
 * A choice made early is not final: a write goes to another commit where the first can have another
 * write (augmenting paths, as in bipartite matching), so nothing is called strange for its order.
 */
import type { Event, WriteOperation } from "./writes.js";
import { addTo } from "../lists.js";

interface Commit {
  readonly events: readonly Event[];
}

/** A put by key and value, a delete by its key. */
export function changeText(key: string, value: string | undefined): string {
  return value === undefined ? `${key} deleted` : `${key}=${value}`;
}

export class OpenWrites {
  /** By their puts; those that only delete by each of their deletes. */
  readonly #alike = new Map<string, WriteOperation[]>();
  readonly #commits = new Map<WriteOperation, Commit>();

  constructor(writes: readonly WriteOperation[]) {
    for (const write of writes) {
      if (write.kind !== "info") continue;
      const { changes } = write.request;
      const puts = putsOf(changes);
      if (puts !== "") addTo(this.#alike, puts, write);
      else for (const { key } of changes) addTo(this.#alike, changeText(key, undefined), write);
    }
  }

  /** Finds the commit a write that may have made it; false where there is none left. */
  claim(commit: Commit): boolean {
    return this.#claim(commit, new Set());
  }

  #claim(commit: Commit, tried: Set<WriteOperation>): boolean {
    const possible = this.#possible(commit);
    const owner =
      possible.find((write) => !this.#commits.has(write)) ??
      possible.find((write) => this.#isFreed(write, tried));
    if (owner === undefined) return false;
    this.#commits.set(owner, commit);
    return true;
  }

  /** Whether the write's commit can have another one. */
  #isFreed(write: WriteOperation, tried: Set<WriteOperation>): boolean {
    if (tried.has(write)) return false;
    tried.add(write);
    return this.#claim(this.#commits.get(write)!, tried);
  }

  #possible({ events }: Commit): readonly WriteOperation[] {
    const deleted = events.filter(({ value }) => value === undefined).map(({ key }) => key);
    const [first = ""] = deleted;
    const alike = this.#alike.get(putsOf(events) || changeText(first, undefined)) ?? [];
    return alike.filter(({ request }) => {
      const asked = new Set(
        request.changes.flatMap(({ key, value }) => (value === undefined ? [key] : [])),
      );
      return deleted.every((key) => asked.has(key));
    });
  }
}

function putsOf(changes: readonly Pick<Event, "key" | "value">[]): string {
  return changes
    .flatMap(({ key, value }) => (value === undefined ? [] : [changeText(key, value)]))
    .toSorted()
    .join(", ");
}
