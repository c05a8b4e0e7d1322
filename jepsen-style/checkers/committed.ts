/**
 * What clients heard against the order in which the nodes committed, as their own logs have it:
 *
 *   every write that was acknowledged is there, at its revision, with what it changed
 *   every change that is there was asked for: no write that failed, none made twice
 *   a write that was called when another had been answered has the higher revision
 *   what the replicas hold in the end is what the changes come to
 */
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";
import { OpenWrites, changeText } from "./open-writes.js";
import { placeOf } from "./writes.js";
import type { Event, Replay, WriteOperation } from "./writes.js";

export interface Commit {
  readonly revision: number;
  /** The end of a lease: nobody asked for just this change. */
  readonly endsLease: boolean;
  readonly events: readonly Event[];
}

/** All commits of a keyspace from `from` to `to`, both included, with nothing left out. */
export interface CommittedOrder {
  readonly from: number;
  readonly to: number;
  readonly commits: readonly Commit[];
}

/** A keyspace as its replicas show it at a revision. */
export interface State {
  readonly revision: number;
  readonly rows: ReadonlyMap<string, { readonly value: string; readonly modRevision: number }>;
}

export function checkCommitted(
  order: CommittedOrder,
  writes: readonly WriteOperation[],
  state: State | undefined,
): readonly Finding[] {
  return [
    answersFault(order, writes) ?? valid("the logs hold what was acknowledged"),
    strangersFault(order, writes) ?? valid("the logs hold nothing that nobody asked for"),
    timeFault(writes) ?? valid("revisions go with time"),
    stateFault(order, state) ?? valid("the replicas hold what the logs come to"),
  ];
}

/** As watches are held against it. */
export function replayOf({ from, to, commits }: CommittedOrder): Replay {
  return { from, to, events: commits.flatMap(({ events }) => events) };
}

/** What a write that was done has changed, or may have. */
function changesOf(write: WriteOperation): readonly string[] {
  const deleted = write.kind === "ok" ? write.answer.deleted : [];
  return write.request.changes
    .filter((_, at) => deleted[at] !== 0)
    .map(({ key, value }) => changeText(key, value))
    .toSorted();
}

function textsOf({ events }: Commit): readonly string[] {
  return events.map(({ key, value }) => changeText(key, value)).toSorted();
}

function answersFault(
  { from, to, commits }: CommittedOrder,
  writes: readonly WriteOperation[],
): Finding | undefined {
  const name = "the logs hold what was acknowledged";
  const known = new Map(commits.map((commit) => [commit.revision, commit]));
  const owners = new Map<number, WriteOperation>();
  for (const write of writes) {
    if (write.kind !== "ok" || !write.answer.changed) continue;
    const { revision } = write.answer;
    if (revision < from) continue;
    const other = owners.get(revision);
    if (other !== undefined) return invalid(name, `two have revision ${revision}`, [other, write]);
    owners.set(revision, write);
    const wanted = changesOf(write).join(", ");
    if (revision > to) {
      return invalid(name, `revision ${revision} is lost: the logs end at ${to}`, [write]);
    }
    const commit = known.get(revision);
    const found = commit === undefined ? "nothing" : textsOf(commit).join(", ");
    if (found === wanted) continue;
    return invalid(name, `revision ${revision} is ${found} in the logs, not ${wanted}`, [write]);
  }
  return undefined;
}

/** Each write of unknown outcome accounts for one commit at most. */
function strangersFault(
  { commits }: CommittedOrder,
  writes: readonly WriteOperation[],
): Finding | undefined {
  const name = "the logs hold nothing that nobody asked for";
  const acknowledged = new Set<number>();
  for (const write of writes) {
    if (write.kind === "ok" && write.answer.changed) acknowledged.add(write.answer.revision);
  }
  const open = new OpenWrites(writes);
  for (const commit of commits) {
    if (commit.endsLease || acknowledged.has(commit.revision) || open.claim(commit)) continue;
    const texts = textsOf(commit);
    const [first = ""] = texts;
    const near = writes.filter((write) => changesOf(write).includes(first)).slice(0, 3);
    const text = `revision ${commit.revision} is ${texts.join(", ")}, and nobody can have asked for it`;
    return invalid(name, text, near);
  }
  return undefined;
}

function timeFault(writes: readonly WriteOperation[]): Finding | undefined {
  const done = writes.flatMap((write) =>
    write.kind === "ok" && write.answer.changed
      ? [{ write, revision: write.answer.revision, completedAt: write.completedAt }]
      : [],
  );
  const byReturn = done.toSorted((a, b) => a.completedAt - b.completedAt);
  const byCall = done.toSorted((a, b) => a.write.calledAt - b.write.calledAt);
  let at = 0;
  let newest: (typeof done)[number] | undefined;
  for (const later of byCall) {
    for (; at < byReturn.length && byReturn[at]!.completedAt < later.write.calledAt; at++) {
      if (byReturn[at]!.revision > (newest?.revision ?? 0)) newest = byReturn[at];
    }
    if (newest === undefined || newest.revision < later.revision) continue;
    const text = `revision ${later.revision} was asked for when ${newest.revision} had been answered`;
    return invalid("revisions go with time", text, [newest.write, later.write]);
  }
  return undefined;
}

function stateFault(
  { from, commits }: CommittedOrder,
  state: State | undefined,
): Finding | undefined {
  if (state === undefined) return undefined;
  const name = "the replicas hold what the logs come to";
  const last = new Map<string, Event>();
  for (const { events, revision } of commits) {
    if (revision > state.revision) break;
    for (const event of events) last.set(event.key, event);
  }
  for (const [key, event] of last) {
    const row = state.rows.get(key);
    if (row?.value === event.value && (row === undefined || row.modRevision === event.revision)) {
      continue;
    }
    const found = row === undefined ? "nothing" : `${row.value} of ${row.modRevision}`;
    const wanted = `${event.value ?? "deleted"} at ${event.revision}`;
    return invalid(name, `${key} is ${found} at the replicas and ${wanted} in the logs`);
  }
  for (const [key, { modRevision }] of state.rows) {
    if (modRevision < from || last.has(key)) continue;
    return invalid(name, `${placeOf({ revision: modRevision, key })} is not in the logs`);
  }
  return undefined;
}
