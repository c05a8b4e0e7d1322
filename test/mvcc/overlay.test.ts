/** The overlay against a list, over random additions, trims and rollbacks. */
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { compareBytes, concatBytes, hex, utf8 } from "../../src/base/bytes.js";
import { crc32 } from "../../src/base/checksum.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { EntryView } from "../../src/lsm/entry.js";
import { Overlay } from "../../src/mvcc/overlay.js";

interface Effect {
  readonly key: Uint8Array;
  readonly stored: Uint8Array;
  readonly tombstone: boolean;
  readonly revision: number;
}

/** An effect as text: comparing large values byte by byte would take most of the time. */
function text({ key, stored, tombstone, revision }: Effect): string {
  return `${hex(key)} ${stored.length} ${crc32(stored)} ${tombstone} ${revision}`;
}

function seen(entry: EntryView | undefined): string | undefined {
  if (entry === undefined) return undefined;
  const { bytes, keyOffset, keyLength, version, tombstone } = entry;
  const key = bytes.slice(keyOffset, keyOffset + keyLength);
  const stored = entry.valueBytes.slice(entry.valueOffset, entry.valueOffset + entry.valueLength);
  return text({ key, stored, tombstone, revision: version });
}

/** The model: a list. */
function newest(effects: readonly Effect[], key: Uint8Array, max: number): Effect | undefined {
  return effects.findLast((one) => one.revision <= max && compareBytes(one.key, key) === 0);
}

const step = fc.record({
  kind: fc.constantFrom("add", "add", "add", "add", "trim", "rollback", "mark", "clear", "burst"),
  key: fc.nat(40).map((n) => utf8(`k${n}`)),
  stored: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constant(new Uint8Array(30_000).fill(7))),
  tombstone: fc.boolean(),
  amount: fc.nat(30),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** An overlay beside its model, a list. */
class Story {
  readonly #overlay = new Overlay();
  #effects: Effect[] = [];
  #revision = 1;
  #mark = { at: 0, effects: 0 };

  run({ kind, key, stored, tombstone, amount }: Step): void {
    if (kind === "mark") this.#remember();
    else if (kind === "add") this.#add(key, stored, tombstone);
    else if (kind === "rollback") this.#rollback();
    else if (kind === "trim") this.#trim((this.#effects[0]?.revision ?? 0) + amount - 1);
    else if (kind === "clear") this.#clear();
    else for (let i = 0; i < 70; i++) this.#add(utf8(`k${i}`), stored, tombstone);
  }

  check(): void {
    expect(this.#overlay.size).toBe(this.#effects.length);
    const keys = [...new Map(this.#effects.map((one) => [hex(one.key), one.key])).values()];
    for (const max of [this.#revision, this.#revision - 3]) this.#checkUpTo(keys, max);
    expect(this.#overlay.find(utf8("none"), 0, 4, this.#revision)).toBeUndefined();
  }

  #checkUpTo(keys: readonly Uint8Array[], max: number): void {
    for (const key of keys.slice(0, 12)) {
      const expected = newest(this.#effects, key, max);
      const found = seen(this.#overlay.find(key, 0, key.length, max));
      expect(found).toBe(expected === undefined ? undefined : text(expected));
    }
    const range = { start: utf8("k1"), end: utf8("k30") };
    const expected = keys
      .filter((key) => rangeContains(range, key))
      .map((key) => newest(this.#effects, key, max))
      .filter((one) => one !== undefined)
      .sort((a, b) => compareBytes(a.key, b.key));
    const found = this.#overlay.effectsIn(range, max).map((n) => seen(this.#overlay.entryOf(n)));
    expect(found).toEqual(expected.map(text));
  }

  #add(key: Uint8Array, stored: Uint8Array, tombstone: boolean): void {
    const effect = { key, stored, tombstone, revision: ++this.#revision };
    this.#effects.push(effect);
    const bytes = concatBytes(Uint8Array.of(9), key, stored);
    this.#overlay.add(bytes, 1, key.length, stored.length, tombstone, effect.revision);
  }

  #rollback(): void {
    this.#overlay.rollback(this.#mark.at);
    this.#effects.length = Math.min(this.#effects.length, this.#mark.effects);
    this.#revision = this.#effects.at(-1)?.revision ?? this.#revision;
  }

  #trim(to: number): void {
    this.#overlay.trimTo(to);
    this.#effects = this.#effects.filter((one) => one.revision > to);
    this.#remember();
  }

  #clear(): void {
    this.#overlay.clear();
    this.#effects = [];
    this.#remember();
  }

  #remember(): void {
    this.#mark = { at: this.#overlay.mark(), effects: this.#effects.length };
  }
}

describe("the overlay", () => {
  test.prop([fc.array(step, { maxLength: 60, size: "max" })], { numRuns: 40 })(
    "is a list of effects, found by key",
    (steps) => {
      const story = new Story();
      for (const one of steps) {
        story.run(one);
        story.check();
      }
    },
  );
});
