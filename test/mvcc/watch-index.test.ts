/** The watch index against a look at every watcher. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { compareBytes } from "../../src/base/bytes.js";
import { WatchIndex } from "../../src/mvcc/watch-index.js";
import { Watcher } from "../../src/mvcc/watcher.js";
import type { WatchSink } from "../../src/mvcc/watcher.js";

const key = fc.uint8Array({ minLength: 1, maxLength: 2, max: 12 });
const end = fc.option(key, { nil: undefined, freq: 4 });

const sink: WatchSink = {
  events: () => {},
  closed: () => {},
  failed: () => {},
  writable: () => true,
};

function watcherOf(start: Uint8Array, rangeEnd: Uint8Array | undefined): Watcher {
  const flags = { prevKv: false, noPut: false, noDelete: false };
  const spec = { start, end: rangeEnd, startRevision: 0, ...flags };
  return new Watcher({ cancel: () => {} }, spec, sink, 1);
}

function holds({ spec }: Watcher, one: Uint8Array): boolean {
  const order = compareBytes(one, spec.start);
  if (spec.end === undefined) return order === 0;
  return order >= 0 && compareBytes(one, spec.end) < 0;
}

describe("the watch index", () => {
  const change = fc.tuple(key, end, fc.option(fc.nat(300), { freq: 2 }));

  test.prop([fc.array(change, { maxLength: 300, size: "max" }), fc.array(key)], { numRuns: 60 })(
    "finds exactly the watchers whose range holds a key",
    (changes, probes) => {
      const index = new WatchIndex();
      const watchers = new Set<Watcher>();
      for (const [start, rangeEnd, victim] of changes) {
        const watcher = watcherOf(start, rangeEnd);
        index.add(watcher);
        watchers.add(watcher);
        const gone = victim === null ? undefined : [...watchers][victim];
        if (gone === undefined) continue;
        watchers.delete(gone);
        index.remove(gone);
        index.remove(gone);
      }
      expect(index.size).toBe(watchers.size);
      for (const probe of probes) {
        const found: Watcher[] = [];
        index.match(probe, 0, probe.length, found);
        const expected = [...watchers].filter((one) => holds(one, probe));
        expect(found.length).toBe(expected.length);
        expect(new Set(found)).toEqual(new Set(expected));
      }
    },
  );
});
