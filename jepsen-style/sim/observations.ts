/**
 * Checks what reads at revisions and watches have shown against the writes that are known, by
 * revision: whatever says that it shows the state at a revision must show exactly that, and a watch
 * every change once, in order. Writes whose outcome is unknown may show or not.
 */
import type { History, Operation, RangeObservation } from "./load.js";
import type { WatchObservation } from "./observe-watch.js";
import { addTo } from "../lists.js";

/** A change of a key that certainly happened; `value` is undefined for a delete. */
interface Change {
  readonly revision: number;
  readonly value: string | undefined;
}

interface Known {
  /** By keyspace and key, in order of revisions. */
  readonly changes: ReadonlyMap<string, readonly Change[]>;
  /** The operation that wrote a value. */
  readonly writers: ReadonlyMap<string, Operation>;
  /** Keys with a delete of which nobody knows whether it happened. */
  readonly openDeletes: ReadonlySet<string>;
  /** By keyspace, in order of time. */
  readonly answered: ReadonlyMap<string, readonly Answer[]>;
}

/** At this time a write had been answered, and this was the largest revision so far. */
interface Answer {
  readonly atMs: number;
  readonly newest: number;
}

/** The first thing that is wrong, in words. */
export function checkObservations(history: History): string | undefined {
  const lease = history.leases.find(({ fault }) => fault !== undefined);
  if (lease !== undefined) return lease.fault;
  const known = knownWrites(history.operations);
  for (const range of history.ranges) {
    const fault = rangeFault(range, known);
    if (fault !== undefined) return `a ${range.level} range of ${range.keyspace} ${fault}`;
  }
  for (const watch of history.watches) {
    const fault = watch.fault ?? watchFault(watch, known);
    if (fault !== undefined) return `a watch of ${watch.keyspace}: ${fault}`;
  }
  for (const operation of history.operations) {
    if (operation.kind !== "get" || operation.outcome !== "ok") continue;
    const { keyspace, key, value, modRevision, revision, level } = operation;
    const row = value === undefined ? undefined : { value, mod: modRevision };
    const fault = rowFault(`${keyspace}/${key}`, row, revision, known);
    if (fault !== undefined) return `a ${level} get of ${keyspace} ${fault}`;
  }
  return undefined;
}

function knownWrites(operations: readonly Operation[]): Known {
  const changes = new Map<string, Change[]>();
  const writers = new Map<string, Operation>();
  const openDeletes = new Set<string>();
  for (const operation of operations) {
    if (operation.kind === "delete" && operation.outcome === "info") {
      openDeletes.add(`${operation.keyspace}/${operation.key}`);
    }
    if (operation.kind === "put" || operation.kind === "cas") {
      writers.set(operation.value, operation);
    }
    const change = changeOf(operation);
    if (change === undefined) continue;
    const name = `${operation.keyspace}/${operation.key}`;
    addTo(changes, name, change);
  }
  for (const list of changes.values()) list.sort((a, b) => a.revision - b.revision);
  return { changes, writers, openDeletes, answered: answersOf(operations) };
}

function answersOf(operations: readonly Operation[]): Map<string, Answer[]> {
  const answered = new Map<string, Answer[]>();
  for (const operation of [...operations].sort((a, b) => a.returnMs - b.returnMs)) {
    const change = changeOf(operation);
    if (change === undefined) continue;
    const list = answered.get(operation.keyspace) ?? [];
    answered.set(operation.keyspace, list);
    const newest = Math.max(list.at(-1)?.newest ?? 0, change.revision);
    list.push({ atMs: operation.returnMs, newest });
  }
  return answered;
}

function changeOf(operation: Operation): Change | undefined {
  if (operation.outcome !== "ok" || operation.kind === "get") return undefined;
  const { revision } = operation;
  if (operation.kind === "put") return { revision, value: operation.value };
  if (operation.kind === "delete") {
    return operation.deleted > 0 ? { revision, value: undefined } : undefined;
  }
  return operation.succeeded ? { revision, value: operation.value } : undefined;
}

function rangeFault(range: RangeObservation, known: Known): string | undefined {
  const { keyspace, revision, rows, level, callMs } = range;
  const byKey = new Map(rows.map((row) => [`${keyspace}/${row.key}`, row]));
  for (const name of known.changes.keys()) {
    if (!name.startsWith(`${keyspace}/`) || byKey.has(name)) continue;
    const fault = rowFault(name, undefined, revision, known);
    if (fault !== undefined) return fault;
  }
  for (const [name, row] of byKey) {
    const fault = rowFault(name, row, revision, known);
    if (fault !== undefined) return fault;
  }
  const answered = level === "stale" ? 0 : newestAnswered(known.answered.get(keyspace), callMs);
  if (answered <= revision) return undefined;
  return `at ${revision} began after a write of revision ${answered} had been answered`;
}

/** The largest revision of a write that was answered before `atMs`. */
function newestAnswered(answers: readonly Answer[] | undefined, atMs: number): number {
  if (answers === undefined) return 0;
  let low = 0;
  let high = answers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (answers[middle]!.atMs < atMs) low = middle + 1;
    else high = middle;
  }
  return answers[low - 1]?.newest ?? 0;
}

/** What is wrong with a key as it was shown at a revision. */
function rowFault(
  name: string,
  row: { readonly value: string; readonly mod: number } | undefined,
  revision: number,
  known: Known,
): string | undefined {
  const newest = newestAt(known.changes.get(name) ?? [], revision);
  if (row === undefined) {
    if (newest?.value === undefined) return undefined;
    // A delete whose outcome is unknown may have come after it.
    return known.openDeletes.has(name) ? undefined : `at ${revision} lacks ${name}`;
  }
  const shown = `at ${revision} shows ${name} of ${row.mod}`;
  if (row.mod > revision) return shown;
  if (newest !== undefined && row.mod < newest.revision) {
    return `${shown}, but ${newest.revision} changed it`;
  }
  const writer = known.writers.get(row.value);
  if (writer === undefined) return `${shown} with a value that nobody wrote`;
  if (writer.outcome === "fail") return `${shown}, whose write was said not to have happened`;
  if (writer.outcome === "ok" && writer.revision !== row.mod) {
    return `${shown}, which was written at ${writer.revision}`;
  }
  return undefined;
}

function newestAt(changes: readonly Change[], revision: number): Change | undefined {
  let newest: Change | undefined;
  for (const change of changes) if (change.revision <= revision) newest = change;
  return newest;
}

function watchFault(watch: WatchObservation, known: Known): string | undefined {
  const seen = new Map<string, string | undefined>();
  for (const { revision, key, value } of watch.events) {
    const name = `${watch.keyspace}/${key}@${revision}`;
    if (seen.has(name)) return `${name} came twice`;
    seen.set(name, value);
    const fault = value === undefined ? undefined : valueFault(value, known);
    if (fault !== undefined) return `${name} ${fault}`;
  }
  return missingEvent(watch, seen, known);
}

function valueFault(value: string, known: Known): string | undefined {
  const writer = known.writers.get(value);
  if (writer === undefined) return "has a value that nobody wrote";
  return writer.outcome === "fail" ? "was said not to have happened" : undefined;
}

function missingEvent(
  watch: WatchObservation,
  seen: ReadonlyMap<string, string | undefined>,
  known: Known,
): string | undefined {
  const from = watch.startRevision === 0 ? (watch.events[0]?.revision ?? Infinity) : 1;
  for (const [name, changes] of known.changes) {
    if (!name.startsWith(`${watch.keyspace}/`)) continue;
    for (const { revision, value } of changes) {
      if (revision < from || revision > watch.shownTo) continue;
      const event = `${name}@${revision}`;
      if (!seen.has(event)) return `${event} is missing; shown up to ${watch.shownTo}`;
      if (seen.get(event) !== value) return `${event} has another value than was written`;
    }
  }
  return undefined;
}
