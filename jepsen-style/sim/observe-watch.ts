/** What one watch over a whole keyspace shows, written down as it comes. It judges order only. */
import { utf8Text } from "../../src/base/bytes.js";
import type { WatchItem } from "../../src/client/client-types.js";

export interface WatchObservation {
  readonly keyspace: string;
  readonly startRevision: number;
  /** `value` is undefined for a delete. */
  readonly events: { revision: number; key: string; value: string | undefined }[];
  /** Everything up to here was shown. */
  shownTo: number;
  /** It broke a rule of watches. */
  fault: string | undefined;
}

export function nothingObserved(keyspace: string, startRevision: number): WatchObservation {
  return { keyspace, startRevision, events: [], shownTo: 0, fault: undefined };
}

/** Until it ends; keys that do not count are passed over. */
export async function observeWatch(
  watch: AsyncIterable<WatchItem>,
  seen: WatchObservation,
  counts: (key: string) => boolean = () => true,
): Promise<void> {
  for await (const item of watch) {
    const revision = "progress" in item ? item.progress : item.revision;
    if (revision < seen.shownTo || ("events" in item && revision === seen.shownTo)) {
      seen.fault ??= `revision ${revision} came after ${seen.shownTo}`;
    }
    seen.shownTo = Math.max(seen.shownTo, revision);
    if ("progress" in item) continue;
    for (const { type, kv } of item.events) {
      const value = type === "put" ? utf8Text(kv.value) : undefined;
      const key = utf8Text(kv.key);
      if (counts(key)) seen.events.push({ revision, key, value });
    }
  }
}
