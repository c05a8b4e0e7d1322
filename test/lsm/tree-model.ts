/** What the tests of this folder share: entries as plain objects and a dumb sorted model. */
import { compareBytes } from "../../src/base/bytes.js";
import type { KeyRange } from "../../src/base/key-range.js";
import { rangeContains } from "../../src/base/key-range.js";
import type { CursorMode, EntryView, FlushedState } from "../../src/lsm/entry.js";
import { EntrySlot } from "../../src/lsm/entry-slot.js";
import type { FamilyId } from "../../src/lsm/families.js";

export interface Item {
  readonly key: Uint8Array;
  readonly version: number;
  readonly tombstone: boolean;
  readonly value: Uint8Array;
}

export function compareItems(a: Item, b: Item): number {
  return compareBytes(a.key, b.key) || b.version - a.version;
}

export function itemOf(view: EntryView): Item {
  return {
    key: view.bytes.slice(view.keyOffset, view.keyOffset + view.keyLength),
    version: view.version,
    tombstone: view.tombstone,
    value: view.valueBytes.slice(view.valueOffset, view.valueOffset + view.valueLength),
  };
}

export function slotOf(item: Item): EntrySlot {
  const slot = new EntrySlot();
  slot.bytes = item.key;
  slot.keyLength = item.key.length;
  slot.version = item.version;
  slot.tombstone = item.tombstone;
  slot.inlineBytes = item.value;
  slot.valueLength = item.value.length;
  return slot;
}

export function collect(cursor: { next(): boolean; readonly entry: EntryView }): Item[] {
  const items: Item[] = [];
  while (cursor.next()) items.push(itemOf(cursor.entry));
  return items;
}

export function stateAt(index: number, changes: Partial<FlushedState> = {}): FlushedState {
  return {
    index,
    term: 1,
    revision: index,
    compactedRevision: 0,
    closedRevision: 0,
    logicalClock: 0,
    configuration: Uint8Array.of(index % 256),
    ...changes,
  };
}

/** All entries that were ever added, in order; answers by looking at every one of them. */
export class TreeModel {
  readonly families: Map<FamilyId, Item[]> = new Map();

  add(family: FamilyId, item: Item): void {
    const items = this.families.get(family) ?? [];
    this.families.set(family, items);
    if (items.some((other) => compareItems(other, item) === 0)) return;
    items.push(item);
    items.sort(compareItems);
  }

  get(family: FamilyId, key: Uint8Array, maxVersion: number): Item | undefined {
    return (this.families.get(family) ?? []).find(
      (item) => compareBytes(item.key, key) === 0 && item.version <= maxVersion,
    );
  }

  scan(family: FamilyId, range: KeyRange, maxVersion: number, mode: CursorMode): Item[] {
    const seen = (this.families.get(family) ?? []).filter(
      (item) => rangeContains(range, item.key) && item.version <= maxVersion,
    );
    if (mode === "all") return seen;
    return seen.filter((item, at) => at === 0 || compareBytes(seen[at - 1]!.key, item.key) !== 0);
  }
}
