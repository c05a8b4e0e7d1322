/** Reads the whole history of some keys, from a revision to the newest, by a watch of its own. */
import { utf8Text } from "../../src/base/bytes.js";
import { KvError } from "../../src/protocol/errors.js";
import type { WatchEvent } from "../../src/protocol/key-value.js";
import type { Event, Replay } from "../checkers/writes.js";
import { valueText } from "../value-text.js";
import { NotServed } from "./history-log.js";
import type { Store } from "./store.js";

/**
 * From the oldest revision that is kept, or from `from`, to the revision of a write that is made
 * for the purpose and not part of it. Rejects with NotServed where that cannot be had now.
 */
export async function readHistory(store: Store, prefix: string, from: number): Promise<Replay> {
  let start = from;
  for (;;) {
    try {
      const { header } = await store.put(`${prefix}~end`, "end");
      return await readUpTo(store, prefix, start, header.revision);
    } catch (error) {
      const refusal = KvError.from(error);
      if (refusal.code !== "compacted") throw new NotServed(`history: ${refusal.message}`);
      start = Math.max(start + 1, (refusal.details.bound ?? 0) + 1);
    }
  }
}

async function readUpTo(store: Store, prefix: string, from: number, to: number): Promise<Replay> {
  const watch = store.watch({ key: prefix, prefix: true, startRevision: from, prevKv: true });
  const events: Event[] = [];
  try {
    for await (const item of watch) {
      if (!("events" in item)) continue;
      if (item.revision >= to) return { from, to: to - 1, events };
      events.push(...item.events.map(eventOf).filter(({ key }) => !key.endsWith("~end")));
    }
  } finally {
    watch.cancel();
  }
  throw new NotServed("the watch over the history ended");
}

export function eventOf({ type, kv, prevKv }: WatchEvent): Event {
  return {
    revision: kv.modRevision,
    key: utf8Text(kv.key),
    value: type === "put" ? valueText(kv.value) : undefined,
    createRevision: kv.createRevision,
    version: kv.version,
    ...(prevKv !== undefined && { previous: valueText(prevKv.value) }),
  };
}
