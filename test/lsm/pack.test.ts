/** Packs: how they are written and read, what the catalog says of them, and which are rewritten. */
import { describe, expect, test } from "vitest";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { must } from "../../src/base/assert.js";
import { ByteReader, ByteWriter } from "../../src/base/coding.js";
import { utf8 } from "../../src/base/bytes.js";
import { BlockCache } from "../../src/lsm/block-cache.js";
import { Catalog } from "../../src/lsm/catalog.js";
import { CatalogSnapshot } from "../../src/lsm/catalog-snapshot.js";
import type { CatalogPack } from "../../src/lsm/catalog.js";
import { FAMILY } from "../../src/lsm/families.js";
import { OpenFiles } from "../../src/lsm/open-files.js";
import { pickPacks } from "../../src/lsm/pack-picker.js";
import { PackWriter } from "../../src/lsm/pack-writer.js";
import type { WrittenTable } from "../../src/lsm/sstable-writer.js";
import { Sstable } from "../../src/lsm/sstable-reader.js";
import { packPath } from "../../src/lsm/table-set.js";
import { sliceOf } from "../../src/lsm/version.js";
import type { VersionEdit } from "../../src/lsm/version-edit.js";
import { readEdit, writeEdit } from "../../src/lsm/version-edit.js";
import { slotOf, stateAt } from "./tree-model.js";

const PATH = packPath("/t", 9);
const ALL = { start: new Uint8Array(0), end: undefined };

function addTable(pack: PackWriter, fileNumber: number): WrittenTable {
  const target = { directory: "/t", fileNumber, salt: fileNumber * 7 };
  const table = pack.add(target, (writer) => {
    writer.beginFamily(FAMILY.data);
    for (let i = 0; i < 20; i++) {
      const value = new Uint8Array(fileNumber * 3).fill(fileNumber);
      const key = utf8(`key${String(i).padStart(3, "0")}`);
      writer.add(slotOf({ key, version: i + 1, tombstone: false, value }));
    }
    writer.endFamily();
    return 20;
  });
  return must(table, "table");
}

function packed(disk: MemoryDisk): { readonly tables: WrittenTable[]; readonly edit: VersionEdit } {
  disk.makeDirectory("/t");
  const file = disk.open(PATH, { create: true });
  const writer = new PackWriter(file, 9);
  const tables = [addTable(writer, 10), addTable(writer, 11), addTable(writer, 12)];
  const pack = must(writer.finish(), "pack");
  file.close();
  const edit: VersionEdit = [
    { kind: "addPack", pack },
    ...tables.flatMap(({ file: each, sections }, at) => [
      { kind: "createTree" as const, shardId: at + 1, range: ALL, flushed: stateAt(at) },
      { kind: "addFile" as const, file: each },
      {
        kind: "addSlice" as const,
        shardId: at + 1,
        slice: sliceOf(each.fileNumber, sections[0]!, 0),
      },
    ]),
  ];
  return { tables, edit };
}

describe("a pack", () => {
  test("gives back each of its tables, whole", () => {
    const disk = new MemoryDisk();
    const { tables } = packed(disk);
    const files = new OpenFiles(disk, 1);
    for (const { file } of tables) {
      const table = new Sstable(files, PATH, file, new BlockCache(1 << 20));
      table.verify();
      const section = table.section(FAMILY.data);
      expect(section.info.entryCount).toBe(20);
      const slot = slotOf({ key: utf8("x"), version: 0, tombstone: true, value: utf8("") });
      section.frame(0).block.show(3, slot, section);
      expect(slot.valueLength).toBe(file.fileNumber * 3);
    }
    files.closeAll();
  });

  test("has no file where nothing is left of its tables", () => {
    const disk = new MemoryDisk();
    disk.makeDirectory("/t");
    const writer = new PackWriter(disk.open(PATH, { create: true }), 9);
    expect(writer.add({ directory: "/t", fileNumber: 10, salt: 1 }, () => 0)).toBeUndefined();
    expect(writer.finish()).toBeUndefined();
  });

  test("does not take one of its tables for another", () => {
    const disk = new MemoryDisk();
    const [one, other] = packed(disk).tables;
    const swapped = { ...one!.file, home: other!.file.home };
    const table = new Sstable(new OpenFiles(disk, 1), PATH, swapped, new BlockCache(1 << 20));
    expect(() => table.sections()).toThrow(PATH);
  });
});

describe("the catalog", () => {
  test("keeps a pack as long as any of its tables", () => {
    const catalog = new Catalog();
    const { edit } = packed(new MemoryDisk());
    catalog.apply(edit);
    const whole = must(catalog.packs.get(9));
    expect([...whole.tables]).toEqual([10, 11, 12]);
    catalog.apply([{ kind: "dropTree", shardId: 1 }]);
    catalog.apply([{ kind: "dropTree", shardId: 3 }]);
    const left = must(catalog.packs.get(9));
    expect([...left.tables]).toEqual([11]);
    expect(left.liveBytes).toBe(must(catalog.files.get(11)).sizeBytes);
    catalog.apply([{ kind: "dropTree", shardId: 2 }]);
    expect(catalog.packs.size).toBe(0);
    expect(catalog.files.size).toBe(0);
  });

  test("is the same after its edits were written and read", () => {
    const catalog = new Catalog();
    catalog.apply(packed(new MemoryDisk()).edit);
    const writer = new ByteWriter();
    writeEdit(writer, new CatalogSnapshot(catalog).next(Infinity) ?? []);
    const again = new Catalog();
    again.apply(readEdit(new ByteReader(writer.copy())));
    expect(new CatalogSnapshot(again).next(Infinity) ?? []).toEqual(
      new CatalogSnapshot(catalog).next(Infinity) ?? [],
    );
    expect(again.nextFileNumber).toBe(13);
  });

  test("refuses a table that does not lie in its pack, and a pack without tables", () => {
    const { edit, tables } = packed(new MemoryDisk());
    const { file } = tables[2]!;
    const [pack, ...rest] = edit;
    expect(() => new Catalog().apply(rest)).toThrow("there is no pack 9");
    expect(() => new Catalog().apply([pack!])).toThrow("pack 9 has no tables");
    const home = { packNumber: 9, offset: file.home!.offset + 8 };
    const beyond: VersionEdit = [pack!, { kind: "addFile", file: { ...file, home } }];
    expect(() => new Catalog().apply(beyond)).toThrow("the place of table 12");
  });
});

describe("the picker of packs", () => {
  const none = new Set<number>();

  function packOf(packNumber: number, sizeBytes: number, liveBytes: number): CatalogPack {
    return { packNumber, sizeBytes, liveBytes, tables: new Set([packNumber + 1]) };
  }

  test("takes those that are mostly garbage", () => {
    const packs = [packOf(1, 1000, 900), packOf(2, 1000, 499), packOf(3, 1000, 500)];
    expect(pickPacks(packs, none)).toEqual([2]);
    expect(pickPacks(packs, new Set([2]))).toEqual([]);
  });

  test("takes small ones where there are many", () => {
    const packs = Array.from({ length: 33 }, (_, at) => packOf(at, 1000, 1000));
    expect(pickPacks(packs, none)).toHaveLength(33);
    expect(pickPacks(packs.slice(1), none)).toEqual([]);
  });
});

test("no more files are open than may be, whatever is read", () => {
  const disk = new MemoryDisk();
  for (const name of ["a", "b", "c"]) {
    const file = disk.open(`/${name}`, { create: true });
    file.writeSync(utf8(name), 0, 1, 0);
    file.close();
  }
  const files = new OpenFiles(disk, 2);
  const read = (name: string): string => {
    const byte = new Uint8Array(1);
    files.handle(`/${name}`).readSync(byte, 0, 1, 0);
    return String.fromCharCode(byte[0]!);
  };
  expect(["a", "b", "a", "c", "a", "b"].map(read)).toEqual(["a", "b", "a", "c", "a", "b"]);
  expect(files.count).toBe(2);
  files.closeAll();
  expect(files.count).toBe(0);
});
