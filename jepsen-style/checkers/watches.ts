/**
 * Watches against the history, by the properties that etcd promises of its own:
 *
 *   filter        only what was asked for            unique        nothing twice
 *   ordered       revisions go up                    atomic        a revision comes as a whole
 *   bookmarkable  nothing at or below a progress that was told comes later, and all has come
 *   resumable     the first event is the first at or behind where it began
 *   reliable      no event between the first and the last that was shown is missing
 *   previous      what a key was before is what it was; versions and creations are right
 */
import type { Operation } from "../history.js";
import type { Finding } from "./finding.js";
import { invalid, valid } from "./finding.js";
import { placeOf } from "./writes.js";
import type { Event, Replay } from "./writes.js";

export type WatchedItem =
  | { readonly atMs: number; readonly progress: number }
  | { readonly atMs: number; readonly revision: number; readonly events: readonly Event[] };

/** One watch, and all that it has shown. */
export interface Watched {
  readonly process: number;
  readonly prefix: string;
  readonly isPrefix: boolean;
  /** 0: from when it was asked for. */
  readonly startRevision: number;
  readonly prevKv: boolean;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly begunAt: number;
  /** Of one from now on: the first revision that it promised to show. */
  coversFrom: number | undefined;
  readonly items: WatchedItem[];
}

const PROPERTIES: readonly (readonly [
  string,
  (watch: Watched, replay: Replay) => string | undefined,
])[] = [
  ["watch: filter", filterFault],
  ["watch: ordered, unique, atomic", orderFault],
  ["watch: bookmarkable", bookmarkFault],
  ["watch: resumable, reliable", gapFault],
  ["watch: as the history says", contentFault],
];

export function checkWatches(watches: readonly Watched[], replay: Replay): readonly Finding[] {
  return PROPERTIES.map(([name, faultOf]) => {
    for (const watch of watches) {
      const fault = faultOf(watch, replay);
      if (fault !== undefined) return invalid(name, fault, [asOperation(watch)]);
    }
    return valid(name);
  });
}

function wants(watch: Watched, { key, value }: Event): boolean {
  if (watch.isPrefix ? !key.startsWith(watch.prefix) : key !== watch.prefix) return false;
  return value === undefined ? !watch.noDelete : !watch.noPut;
}

function filterFault(watch: Watched): string | undefined {
  for (const item of watch.items) {
    if (!("events" in item)) continue;
    if (item.revision < watch.startRevision) return `shows ${item.revision}, before it begins`;
    const other = item.events.find((event) => !wants(watch, event));
    if (other !== undefined) return `shows ${placeOf(other)}, which was not asked for`;
  }
  return undefined;
}

/** A revision that comes in two items is one that came twice or was split. */
function orderFault(watch: Watched): string | undefined {
  let last = 0;
  for (const item of watch.items) {
    if (!("events" in item)) continue;
    if (item.revision <= last) return `revision ${item.revision} came after ${last}`;
    last = item.revision;
    const places = new Set(item.events.map(placeOf));
    if (places.size < item.events.length) return `revision ${last} shows a key twice`;
    const stray = item.events.find((event) => event.revision !== item.revision);
    if (stray !== undefined) return `revision ${last} shows a change of ${stray.revision}`;
  }
  return undefined;
}

function bookmarkFault(watch: Watched): string | undefined {
  let told = 0;
  let shown = 0;
  for (const item of watch.items) {
    if ("events" in item) {
      if (item.revision <= told) return `revision ${item.revision} came after progress ${told}`;
      shown = item.revision;
      continue;
    }
    const least = Math.max(told, shown);
    if (item.progress < least) return `progress went back from ${least} to ${item.progress}`;
    told = item.progress;
  }
  return undefined;
}

function gapFault(watch: Watched, replay: Replay): string | undefined {
  const shown = new Set<string>();
  let shownTo = 0;
  for (const item of watch.items) {
    shownTo = Math.max(shownTo, "events" in item ? item.revision : item.progress);
    if ("events" in item) for (const event of item.events) shown.add(placeOf(event));
  }
  const first = watch.items.find((item) => "events" in item);
  const begins = watch.startRevision === 0 ? watch.coversFrom : watch.startRevision;
  const from = begins ?? (first !== undefined && "events" in first ? first.revision : Infinity);
  for (const event of replay.events) {
    if (event.revision < from || event.revision > shownTo || !wants(watch, event)) continue;
    if (shown.has(placeOf(event))) continue;
    return `${placeOf(event)} is missing between ${from} and ${shownTo}`;
  }
  return undefined;
}

function contentFault(watch: Watched, replay: Replay): string | undefined {
  const truth = truthOf(replay);
  for (const item of watch.items) {
    if (!("events" in item)) continue;
    for (const event of item.events) {
      if (event.revision < replay.from || event.revision > replay.to) continue;
      const place = placeOf(event);
      const known = truth.get(place);
      if (known === undefined) return `${place} is not in the history`;
      if (known.value !== event.value) return `${place} is ${event.value}, not ${known.value}`;
      if (event.value === undefined ? false : !sameNumbers(known, event)) {
        return `${place} has version ${event.version} and creation ${event.createRevision}`;
      }
      if (watch.prevKv && event.previous !== known.previous) {
        return `${place} was ${event.previous} before, not ${known.previous}`;
      }
    }
  }
  return undefined;
}

function sameNumbers(a: Event, b: Event): boolean {
  return a.version === b.version && a.createRevision === b.createRevision;
}

const truths = new WeakMap<Replay, ReadonlyMap<string, Event>>();

function truthOf(replay: Replay): ReadonlyMap<string, Event> {
  let truth = truths.get(replay);
  if (truth === undefined) {
    truth = new Map(replay.events.map((event) => [placeOf(event), event]));
    truths.set(replay, truth);
  }
  return truth;
}

/** As a report shows it. */
function asOperation(watch: Watched): Operation<unknown, unknown> {
  const { process, prefix, startRevision, begunAt, items } = watch;
  const request = { type: "watch", prefix, startRevision };
  return {
    process,
    request,
    calledAt: begunAt,
    kind: "info",
    completedAt: items.at(-1)?.atMs ?? begunAt,
  };
}
