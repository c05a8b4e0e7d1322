/**
 * What is certain of the writes to a keyspace, by revision: from what writers were answered, and
 * from the replay of the history as one reader saw it in the end. The two must agree; together they
 * are the truth that reads at revisions and watches are held against.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";

export interface WriteRequest {
  readonly type: "write";
  /** `value` is undefined for a delete. */
  readonly changes: readonly { readonly key: string; readonly value: string | undefined }[];
}

export interface WriteAnswer {
  readonly revision: number;
  /** It had an effect: `revision` is its own. */
  readonly changed: boolean;
  /** By change: how many keys it deleted; undefined for a put. */
  readonly deleted: readonly (number | undefined)[];
}

export type WriteOperation = Operation<WriteRequest, WriteAnswer>;

/** One change of one key, as a watch shows it. */
export interface Event {
  readonly revision: number;
  readonly key: string;
  /** undefined: deleted. */
  readonly value: string | undefined;
  readonly createRevision: number;
  readonly version: number;
  /** Where it was asked for and there was one. */
  readonly previous?: string | undefined;
}

/** The history from `from` to `to`, both included, with nothing left out. */
export interface Replay {
  readonly from: number;
  readonly to: number;
  readonly events: readonly Event[];
}

const NAME = "the history holds every write";

/** Every acknowledged write is in the replay, at its revision, and nothing that failed is. */
export function checkReplay(replay: Replay, writes: readonly WriteOperation[]): Finding {
  const shown = new Map(replay.events.map((event) => [placeOf(event), event]));
  const owners = new Map<string, WriteOperation>();
  for (const write of writes) {
    for (const { value } of write.request.changes) {
      if (value !== undefined) owners.set(value, write);
    }
    if (write.kind !== "ok" || !write.answer.changed) continue;
    const { revision, deleted } = write.answer;
    if (revision < replay.from || revision > replay.to) continue;
    for (const [at, { key, value }] of write.request.changes.entries()) {
      if (deleted[at] === 0) continue;
      const event = shown.get(placeOf({ revision, key }));
      const place = `${key} at revision ${revision}`;
      if (event === undefined) return invalid(NAME, `${place} is not in the history`, [write]);
      if (event.value === value) continue;
      return invalid(NAME, `${place} is ${event.value ?? "deleted"} in the history`, [write]);
    }
  }
  return ownersFault(replay, owners) ?? valid(NAME);
}

function ownersFault(
  { events }: Replay,
  owners: ReadonlyMap<string, WriteOperation>,
): Finding | undefined {
  const seen = new Map<string, number>();
  for (const { value, key, revision } of events) {
    if (value === undefined) continue;
    const owner = owners.get(value);
    const place = `${value} of ${key} at revision ${revision}`;
    if (owner === undefined) return invalid(NAME, `nobody wrote ${place}`);
    if (owner.kind === "fail") return invalid(NAME, `${place} was said to have failed`, [owner]);
    const first = seen.get(value) ?? revision;
    if (seen.has(value)) {
      const text = `${place} was written twice: at ${first} too`;
      return invalid(NAME, text, [owner]);
    }
    seen.set(value, revision);
  }
  return undefined;
}

/** No two changes of one history have the same. */
export function placeOf({
  revision,
  key,
}: {
  readonly revision: number;
  readonly key: string;
}): string {
  return `${revision} ${key}`;
}
