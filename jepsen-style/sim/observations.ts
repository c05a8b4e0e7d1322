/**
 * Checks what reads at revisions and watches have shown against the writes that are known, by
 * revision: whatever says that it shows the state at a revision must show exactly that, and a watch
 * every change once, in order. Writes whose outcome is unknown may show or not.
 */
import type { History, Operation, RangeObservation, WatchObservation } from "./load.js";

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
}

/** The first thing that is wrong, in words. */
export function checkObservations(history: History): string | undefined {
  const known = knownWrites(history.operations);
  for (const range of history.ranges) {
    const fault = rangeFault(range, known, history);
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
    const list = changes.get(name);
    if (list === undefined) changes.set(name, [change]);
    else list.push(change);
  }
  for (const list of changes.values()) list.sort((a, b) => a.revision - b.revision);
  return { changes, writers, openDeletes };
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

function rangeFault(range: RangeObservation, known: Known, history: History): string | undefined {
  const { keyspace, revision, rows, level, callMs } = range;
  const byKey = new Map(rows.map((row) => [row.key, row]));
  for (const name of new Set([...known.changes.keys(), ...rows.map((r) => `${keyspace}/${r.key}`)])) {
    if (!name.startsWith(`${keyspace}/`)) continue;
    const fault = rowFault(name, byKey.get(name.slice(keyspace.length + 1)), revision, known);
    if (fault !== undefined) return fault;
  }
  if (level === "stale") return undefined;
  for (const operation of history.operations) {
    if (operation.keyspace !== keyspace || operation.returnMs >= callMs) continue;
    if ((changeOf(operation)?.revision ?? 0) <= revision) continue;
    return `at ${revision} began after a write of revision ${operation.revision} had been answered`;
  }
  return undefined;
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
    if (value === undefined) continue;
    const writer = known.writers.get(value);
    if (writer === undefined) return `${name} has a value that nobody wrote`;
    if (writer.outcome === "fail") return `${name} was said not to have happened`;
  }
  const from = watch.startRevision === 0 ? (watch.events[0]?.revision ?? 0) : 1;
  for (const [name, changes] of known.changes) {
    if (!name.startsWith(`${watch.keyspace}/`)) continue;
    for (const { revision, value } of changes) {
      if (revision < from || revision > watch.shownTo || from === 0) continue;
      const event = `${name}@${revision}`;
      if (!seen.has(event)) return `${event} is missing; shown up to ${watch.shownTo}`;
      if (seen.get(event) !== value) return `${event} has another value than was written`;
    }
  }
  return undefined;
}
