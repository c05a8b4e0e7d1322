/**
 * Reads of all levels against the committed order: each shows exactly the state at the revision it
 * names, over the whole span that was asked for, page by page too. A linearizable read names no
 * older revision than that of a write which had been answered before it was called.
 */
import type { Operation } from "../history.js";
import type { CommittedOrder } from "./committed.js";
import type { Finding } from "./finding.js";
import { invalid, unknown, valid } from "./finding.js";
import type { WriteOperation } from "./writes.js";

/** Which keys: one, those with a prefix, those from `key` to below `end`, or all from `key` on. */
export interface ReadRequest {
  readonly type: "read";
  readonly key: string;
  readonly span: "key" | "prefix" | "fromKey" | { readonly end: string };
  /** 0: none. */
  readonly limit: number;
  /** It promised the newest. */
  readonly isNewest: boolean;
}

export interface ReadRow {
  readonly key: string;
  readonly value: string;
  readonly modRevision: number;
}

export interface ReadAnswer {
  /** The revision that it shows. */
  readonly revision: number;
  readonly rows: readonly ReadRow[];
}

export type ReadOperation = Operation<ReadRequest, ReadAnswer> & { readonly kind: "ok" };

const EXACT = "reads are exact at their revision";
/** A run that proves fewer of its reads says little. */
const PROVEN_SHARE = 0.5;
const PROVEN = "the logs prove what was read";
const NEWEST = "linearizable reads are new enough";

export function checkReads(
  order: CommittedOrder,
  reads: readonly ReadOperation[],
  writes: readonly WriteOperation[],
): readonly Finding[] {
  return [exactFault(order, reads) ?? valid(EXACT), newestFault(reads, writes) ?? valid(NEWEST)];
}

/**
 * Where the logs reach back so little that most reads cannot be held against them: for runs that
 * have no other judge of their reads.
 */
export function unprovenReads(
  { from, to }: CommittedOrder,
  reads: readonly ReadOperation[],
): Finding | undefined {
  const proven = reads.filter(
    ({ request, answer: { revision } }) =>
      revision >= from && revision <= to && (from === 1 || request.limit === 0),
  ).length;
  if (proven >= PROVEN_SHARE * reads.length) return undefined;
  return unknown(PROVEN, `the logs, from revision ${from} on, prove ${proven} of ${reads.length}`);
}

function exactFault(
  { from, to, commits }: CommittedOrder,
  reads: readonly ReadOperation[],
): Finding | undefined {
  /** Of a deleted key the row without a value. */
  const state = new Map<
    string,
    { readonly value: string | undefined; readonly modRevision: number }
  >();
  const inOrder = reads
    .filter(({ answer }) => answer.revision >= from && answer.revision <= to)
    .toSorted((a, b) => a.answer.revision - b.answer.revision);
  let at = 0;
  for (const read of inOrder) {
    const { revision, rows } = read.answer;
    for (; at < commits.length && commits[at]!.revision <= revision; at++) {
      for (const { key, value, revision: modRevision } of commits[at]!.events) {
        state.set(key, { value, modRevision });
      }
    }
    // What was last written before the logs begin is not known, nor which rows a limit cut off.
    if (from > 1 && read.request.limit > 0) continue;
    const known = rows.filter(({ key }) => from === 1 || state.has(key));
    const shown = known.map(rowText);
    const wanted = wantedRows(read.request, state);
    const odd = [...new Set([...shown, ...wanted])].find((row, index) => {
      return shown[index] !== row || wanted[index] !== row;
    });
    if (odd === undefined) continue;
    const text = `at revision ${revision} ${shown.includes(odd) ? "shows" : "lacks"} ${odd}`;
    return invalid(EXACT, `a read ${text}`, [read]);
  }
  return undefined;
}

function wantedRows(
  { key, span, limit }: ReadRequest,
  state: ReadonlyMap<string, { readonly value: string | undefined; readonly modRevision: number }>,
): readonly string[] {
  const rows: ReadRow[] = [];
  const add = (name: string): void => {
    const { value, modRevision = 0 } = state.get(name) ?? {};
    if (value !== undefined) rows.push({ key: name, value, modRevision });
  };
  if (span === "key") add(key);
  else for (const name of state.keys()) if (isIn(name, key, span)) add(name);
  rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  return (limit > 0 ? rows.slice(0, limit) : rows).map(rowText);
}

function isIn(name: string, key: string, span: ReadRequest["span"]): boolean {
  if (span === "prefix") return name.startsWith(key);
  return name >= key && (typeof span === "string" || name < span.end);
}

function rowText({ key, value, modRevision }: ReadRow): string {
  return `${key}=${value} of ${modRevision}`;
}

function newestFault(
  reads: readonly ReadOperation[],
  writes: readonly WriteOperation[],
): Finding | undefined {
  const done = writes
    .flatMap((write) => (write.kind === "ok" && write.answer.changed ? [write] : []))
    .toSorted((a, b) => a.completedAt - b.completedAt);
  const inOrder = reads
    .filter(({ request }) => request.isNewest)
    .toSorted((a, b) => a.calledAt - b.calledAt);
  let at = 0;
  let newest: (typeof done)[number] | undefined;
  for (const read of inOrder) {
    for (; at < done.length && done[at]!.completedAt < read.calledAt; at++) {
      if (done[at]!.answer.revision > (newest?.answer.revision ?? 0)) newest = done[at];
    }
    if (newest === undefined || newest.answer.revision <= read.answer.revision) continue;
    const text = `shows revision ${read.answer.revision}`;
    return invalid(NEWEST, `a read ${text} after ${newest.answer.revision} had been answered`, [
      newest,
      read,
    ]);
  }
  return undefined;
}
