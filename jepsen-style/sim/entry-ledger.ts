/**
 * What must hold of the entries of a shard, whichever replica has them: each is applied as the same
 * bytes everywhere, and comes to the same state behind it; and a leader has no more than one change
 * of its configuration under way.
 *
 * It listens at the Raft core and the state machine of each replica.
 */
import { hash32 } from "../../src/base/hash.js";
import type { Ready } from "../../src/raft/ready.js";
import type { Replica } from "../../src/shard/replica.js";

/** What a shard's entries came to, by index. */
export type AppliedEntries = Map<number, Applied>;

interface Applied {
  readonly hash: number;
  readonly state: string;
  /** Who applied it first. */
  readonly by: string;
}

export class EntryLedger {
  readonly #violated: (what: string) => void;
  readonly #heard: WeakSet<Replica> = new WeakSet();

  constructor(violated: (what: string) => void) {
    this.#violated = violated;
  }

  /** Listens to this replica from now on; `entries` are those of its shard. */
  watch(replica: Replica, name: string, entries: AppliedEntries): void {
    if (this.#heard.has(replica)) return;
    this.#heard.add(replica);
    const { raft, machine } = replica;
    const apply = machine.apply.bind(machine);
    machine.apply = (index, ...rest) => {
      apply(index, ...rest);
      const [, bytes, offset, length] = rest;
      const hash = hash32(bytes, offset, length);
      this.#applied(entries, index, { hash, state: stateOf(replica), by: name });
    };
    const ready = raft.ready.bind(raft);
    const changes: number[] = [];
    raft.ready = () => {
      const done = ready();
      noteChanges(changes, done);
      if (raft.role === "leader") this.#checkChanges(replica, name, changes);
      return done;
    };
  }

  #applied(entries: AppliedEntries, index: number, entry: Applied): void {
    const known = entries.get(index);
    if (known === undefined) {
      entries.set(index, entry);
      return;
    }
    if (known.hash !== entry.hash) {
      this.#violated(`${entry.by} applied other bytes at ${index} than ${known.by}`);
    } else if (known.state !== entry.state) {
      const own = `${entry.by} has come to ${entry.state}`;
      this.#violated(`${own} by entry ${index}, and ${known.by} to ${known.state}`);
    }
  }

  #checkChanges({ raft }: Replica, name: string, changes: readonly number[]): void {
    const open = changes.filter((index) => index > raft.commitIndex);
    if (open.length <= 1) return;
    this.#violated(`${name} leads with configurations ${open.join(" and ")} not yet committed`);
  }
}

/** Where the configurations of a log are, as far as it was written since it was first heard. */
function noteChanges(changes: number[], { persist }: Ready): void {
  if (persist === undefined) return;
  if (persist.snapshot !== undefined && !persist.keepsLog) changes.length = 0;
  for (const { kind, firstIndex } of persist.runs) {
    while ((changes.at(-1) ?? 0) >= firstIndex) changes.pop();
    if (kind === "configuration") changes.push(firstIndex);
  }
}

function stateOf({ machine }: Replica): string {
  const { revision, compactedRevision, closedRevision, logicalClock } = machine;
  return `revision ${revision} compacted ${compactedRevision} closed ${closedRevision} clock ${logicalClock}`;
}
