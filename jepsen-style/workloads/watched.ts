/** A watch that is noted down as it is read: what it covers, and all that it shows. */
import type { WatchItem } from "../../src/client/client-types.js";
import type { Clock } from "../../src/env/clock.js";
import type { Watched, WatchedItem } from "../checkers/watches.js";
import { eventOf } from "./replay.js";
import type { Watching } from "./store.js";

/** The same watch; keys that do not count are not noted. */
export function followed(
  watch: Watching,
  seen: Watched,
  clock: Clock,
  counts: (key: string) => boolean = () => true,
): Watching {
  watch.started.then(
    (revision) => {
      if (seen.startRevision === 0) seen.coversFrom = revision;
    },
    // Who iterates is told.
    () => undefined,
  );
  return {
    started: watch.started,
    cancel: () => watch.cancel(),
    async *[Symbol.asyncIterator](): AsyncIterator<WatchItem> {
      for await (const item of watch) {
        const noted = itemOf(item, clock.monotonicMs(), counts);
        if (noted !== undefined) seen.items.push(noted);
        yield item;
      }
    },
  };
}

function itemOf(
  item: WatchItem,
  atMs: number,
  counts: (key: string) => boolean,
): WatchedItem | undefined {
  if ("progress" in item) return { atMs, progress: item.progress };
  const events = item.events.map(eventOf).filter(({ key }) => counts(key));
  return events.length === 0 ? undefined : { atMs, revision: item.revision, events };
}
