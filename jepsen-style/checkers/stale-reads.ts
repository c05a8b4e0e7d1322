/**
 * Stale reads against the history: each shows exactly the state at the revision it names; that is
 * not below what its session asked for; and it misses no write that was answered longer ago than
 * the bound it asked for, or than the age it admits.
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";
import type { Replay, WriteOperation } from "./writes.js";

export interface StaleRequest {
  readonly type: "stale";
  /** undefined: all keys. */
  readonly key: string | undefined;
  /** 0: any age. */
  readonly maxStalenessMs: number;
  readonly minRevision: number;
}

export interface StaleAnswer {
  readonly revision: number;
  readonly ageMs: number;
  readonly rows: readonly {
    readonly key: string;
    readonly value: string;
    readonly modRevision: number;
  }[];
}

/** Ages are whole milliseconds, by the node's own clock. */
const ROUNDING_MS = 1;
const DRIFT_MAX = 0.01;

type StaleOperation = Operation<StaleRequest, StaleAnswer>;
type Heard = Extract<StaleOperation, { kind: "ok" }>;

export function checkStaleReads(
  reads: readonly StaleOperation[],
  writes: readonly WriteOperation[],
  replay: Replay,
): readonly Finding[] {
  const heard = reads.filter((each) => each.kind === "ok");
  return [checkExact(heard, replay), checkSessions(heard), checkAges(heard, writes)];
}

function checkExact(reads: readonly Heard[], replay: Replay): Finding {
  const name = "stale: exact at its revision";
  const inOrder = reads
    .filter(({ answer }) => answer.revision >= replay.from - 1 && answer.revision <= replay.to)
    .toSorted((a, b) => a.answer.revision - b.answer.revision);
  const state = new Map<string, string>();
  let at = 0;
  for (const read of inOrder) {
    const { revision, rows } = read.answer;
    for (; at < replay.events.length && replay.events[at]!.revision <= revision; at++) {
      const { key, value, revision: written } = replay.events[at]!;
      if (value === undefined) state.delete(key);
      else state.set(key, `${value} of ${written}`);
    }
    const shown = new Map(rows.map((row) => [row.key, `${row.value} of ${row.modRevision}`]));
    const keys =
      read.request.key === undefined ? [...state.keys(), ...shown.keys()] : [read.request.key];
    for (const key of keys) {
      if (shown.get(key) === state.get(key)) continue;
      const wrong = shown.get(key) ?? "nothing";
      const text = `${key} is ${wrong} at revision ${revision}, not ${state.get(key) ?? "nothing"}`;
      // Of a history whose beginning was forgotten, what was there before is not known.
      if (replay.from > 1 && state.get(key) === undefined && isOlder(read, key, replay)) continue;
      return invalid(name, text, [read]);
    }
  }
  return valid(name);
}

function isOlder({ answer }: Heard, key: string, { from }: Replay): boolean {
  const row = answer.rows.find((each) => each.key === key);
  return row !== undefined && row.modRevision < from;
}

function checkSessions(reads: readonly Heard[]): Finding {
  const name = "stale: never below what was asked for";
  const below = reads.find(({ request, answer }) => answer.revision < request.minRevision);
  return below === undefined ? valid(name) : invalid(name, "it went back", [below]);
}

function checkAges(reads: readonly Heard[], writes: readonly WriteOperation[]): Finding {
  const name = "stale: not older than it says";
  const done = writes.filter((each) => each.kind === "ok" && each.answer.changed);
  const answered = done.toSorted((a, b) => (a.completedAt ?? 0) - (b.completedAt ?? 0));
  let newest: WriteOperation | undefined;
  let at = 0;
  // In the order of the times before which nothing may be missing.
  const inOrder = reads.map((read) => ({ read, knowsMs: knowsMs(read) }));
  for (const { read, knowsMs: until } of inOrder.toSorted((a, b) => a.knowsMs - b.knowsMs)) {
    for (; at < answered.length && (answered[at]!.completedAt ?? 0) < until; at++) {
      if (revisionOf(answered[at]!) > revisionOf(newest)) newest = answered[at];
    }
    if (newest === undefined || revisionOf(newest) <= read.answer.revision) continue;
    return invalid(name, "it misses a write that was answered before that", [newest, read]);
  }
  return valid(name);
}

/** What was answered before this moment must be in it. */
function knowsMs({ request, answer, calledAt }: Heard): number {
  const { maxStalenessMs } = request;
  const bound = maxStalenessMs === 0 ? answer.ageMs : Math.min(maxStalenessMs, answer.ageMs);
  return calledAt - bound * (1 + DRIFT_MAX) - ROUNDING_MS;
}

function revisionOf(write: WriteOperation | undefined): number {
  return write?.kind === "ok" ? write.answer.revision : 0;
}
