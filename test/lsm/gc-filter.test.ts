/** The three policies of garbage collection, as tables of what stays of a key's versions. */
import { describe, expect, test } from "vitest";
import type { GcPolicy } from "../../src/lsm/families.js";
import { GcFilter } from "../../src/lsm/gc-filter.js";

/**
 * One key's versions from the newest to the oldest, "x" marking a tombstone, and what is kept of
 * them. The horizon is 10.
 */
interface Row {
  readonly versions: string;
  readonly kept: string;
  readonly keptAtBottom: string;
}

const TABLES: Readonly<Record<GcPolicy, readonly Row[]>> = {
  mvcc: [
    { versions: "12 11", kept: "12 11", keptAtBottom: "12 11" },
    { versions: "12 10 9", kept: "12 10", keptAtBottom: "12 10" },
    { versions: "9 8 7", kept: "9", keptAtBottom: "9" },
    { versions: "12 9x 8", kept: "12 9x", keptAtBottom: "12" },
    { versions: "10x 8", kept: "10x", keptAtBottom: "10x" },
    { versions: "11x 10x 8", kept: "11x 10x", keptAtBottom: "11x 10x" },
    { versions: "9x 8x 7", kept: "9x", keptAtBottom: "" },
    { versions: "9 8x 7", kept: "9", keptAtBottom: "9" },
  ],
  dropBelow: [
    { versions: "12 10 9", kept: "12 10", keptAtBottom: "12 10" },
    { versions: "9 8", kept: "", keptAtBottom: "" },
  ],
  newestOnly: [
    { versions: "12 11 3", kept: "12", keptAtBottom: "12" },
    { versions: "12x 11", kept: "12x", keptAtBottom: "" },
    { versions: "3x", kept: "3x", keptAtBottom: "" },
  ],
};

function filtered(filter: GcFilter, versions: string): string {
  const kept: string[] = [];
  for (const [at, text] of versions.split(" ").entries()) {
    if (filter.keeps(at === 0, Number.parseInt(text, 10), text.endsWith("x"))) kept.push(text);
  }
  return kept.join(" ");
}

describe.each(Object.entries(TABLES))("gc policy %s", (policy, rows) => {
  test.each(rows)("$versions", ({ versions, kept, keptAtBottom }) => {
    expect(filtered(new GcFilter(policy as GcPolicy, 10, false), versions)).toBe(kept);
    expect(filtered(new GcFilter(policy as GcPolicy, 10, true), versions)).toBe(keptAtBottom);
  });

  test("keys do not influence each other", () => {
    const filter = new GcFilter(policy as GcPolicy, 10, true);
    for (const { versions, keptAtBottom } of rows) {
      expect(filtered(filter, versions)).toBe(keptAtBottom);
    }
  });
});
