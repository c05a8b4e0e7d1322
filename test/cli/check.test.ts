/** flotilla check and inspect: a flipped bit in any kind of file is named with place and loss. */
import { describe, expect, test } from "vitest";
import { runFlotilla } from "../../src/cli/run-flotilla.js";
import type { Disk } from "../../src/env/disk.js";
import { writeTextFile } from "../../src/node/text-file.js";
import { checkStore } from "../../src/store/store-check.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, flushedAt, openStore, write } from "../store/store-bench.js";
import { FakeTerminal } from "./fake-terminal.js";

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function flotilla(disk: Disk, ...args: readonly string[]): Promise<Ran> {
  const terminal = new FakeTerminal();
  const code = await runFlotilla(args, terminal, {
    connect: () => Promise.reject(new Error("no cluster here")),
    startNode: () => Promise.reject(new Error("no node here")),
    openDisk: () => Promise.resolve(disk),
    openEnv: () => Promise.reject(new Error("no env here")),
  });
  return { code, out: terminal.out.text, err: terminal.err.text };
}

/** The data of a stopped node: two trees, a few tables, two segments of the log. */
async function stopped(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, { compaction: { enabled: false } });
  const tree = store.createTree(1, ALL, stateAt(0));
  for (let index = 1; index <= 40; index++) {
    await write(store, tree, index);
    if (index === 20) await store.flushNow(tree, flushedAt(index));
  }
  store.createTree(2, ALL, stateAt(0));
  await store.close();
  writeTextFile(disk, "/", "node.json", "{}\n");
  return disk;
}

function find(disk: MemoryDisk, directory: string, pattern: RegExp): string {
  return `${directory}/${disk.list(directory).find((name) => pattern.test(name))!}`;
}

const TABLE = (disk: MemoryDisk): string => find(disk, "/store/tables", /sst$/);
const LOG = (disk: MemoryDisk): string => find(disk, "/store/log", /log$/);
const MANIFEST = (disk: MemoryDisk): string => find(disk, "/store", /^manifest-\d+$/);

describe("flotilla check", () => {
  test("finds nothing in what a node left, and changes nothing", async () => {
    const disk = await stopped();
    const before = disk.operations;
    const { code, out, err } = await flotilla(disk, "check", "/");
    expect(out).toMatch(/^store [0-9a-f]{32}: 2 trees, 1 table, \d log segments?, .* no damage\n$/);
    expect([code, err]).toEqual([0, ""]);
    expect((await flotilla(disk, "check", "/store")).out).toBe(out);
    expect(disk.operations).toBe(before);
  });

  const PLACES: readonly (readonly [
    string,
    (disk: MemoryDisk) => readonly [string, number],
    RegExp,
  ])[] = [
    ["identity", () => ["/store/identity", 20], /at 0: it fails its checksum\n {2}lost: nothing/],
    ["manifest", (disk) => [MANIFEST(disk), 80], /at 64: a record fails.*\n {2}lost: nothing/],
    ["manifest's header", (disk) => [MANIFEST(disk), 9], /at 0: the header.*\n {2}lost: nothing/],
    ["manifest's copy", (disk) => [`${MANIFEST(disk)}.copy`, 80], /copy at 64: a record/],
    [
      "key block",
      (disk) => [TABLE(disk), 60],
      /sst at 0: a block fails.*\n {2}lost: entries of family data with keys from key1 to key8/,
    ],
    [
      "footer",
      (disk) => [TABLE(disk), disk.content(TABLE(disk)).length - 20],
      /footer fails.*\n {2}lost: every entry of the table, for shard 1/,
    ],
    ["segment", (disk) => [LOG(disk), 30], /log at 0: the first block.*\n {2}lost: nothing/],
    [
      "batch's header",
      (disk) => [LOG(disk), 8192 + 10],
      /log at 8192: the header of a batch is damaged; its copy is not\n {2}lost: nothing/,
    ],
    [
      "entries",
      (disk) => [LOG(disk), 8192 + 96 + 4],
      /log at 8292: one bit of a batch's entries has flipped\n {2}lost: nothing: the next start/,
    ],
    ["node's file", () => ["/node.json", 0], /node.json at 0: the file fails.*\n {2}lost: nothing/],
  ];

  test.each(PLACES)("names a flipped bit in the %s", async (_kind, placeIn, expected) => {
    const disk = await stopped();
    const [path, offset] = placeIn(disk);
    disk.flipBit(path, offset * 8 + 3);
    const before = disk.operations;
    const { code, out, err } = await flotilla(disk, "check", "/");
    expect(out).toContain(`damage: ${path}`);
    expect(out).toMatch(expected);
    expect(out).toMatch(/, \d+ damaged places?\n$/);
    expect([code, err]).toMatchObject([
      1,
      expect.stringMatching(/^nothing was changed; next: start it/),
    ]);
    expect(disk.operations).toBe(before);
  });

  test("names what is lost where more than one bit of a batch's entries has flipped", async () => {
    const disk = await stopped();
    for (const bit of [3, 4]) disk.flipBit(LOG(disk), (8192 + 96 + 4) * 8 + bit);
    const { code, out } = await flotilla(disk, "check", "/");
    expect(out).toMatch(/the entries of a batch fail.*\n {2}lost: entries \d+ to \d+ of shard 1/);
    expect(code).toBe(1);
  });

  test("no byte of a table, and none of the log that was written, may change unseen", async () => {
    const disk = await stopped();
    for (const [path, stride] of [
      [TABLE(disk), 13],
      [LOG(disk), 211],
    ] as const) {
      // Behind its last batch a segment is what it was prepared as.
      const end = path === LOG(disk) ? 8192 + 30 * 4096 : disk.content(path).length;
      for (let at = 0; at < Math.min(end, disk.content(path).length); at += stride) {
        if (path === LOG(disk) && at >= 512 && at < 4096) continue;
        disk.flipBit(path, at * 8);
        const { findings } = checkStore(disk, "/store");
        disk.flipBit(path, at * 8);
        expect(findings, `${path} at ${at}`).not.toEqual([]);
      }
    }
    expect(checkStore(disk, "/store").findings).toEqual([]);
  });

  test("says which table is missing, and what nothing refers to", async () => {
    const disk = await stopped();
    const table = TABLE(disk);
    const bytes = disk.content(table);
    disk.remove(table);
    disk.setContent("/store/tables/000000900.sst", bytes);
    const { code, out } = await flotilla(disk, "check", "/store");
    expect(out).toContain(`damage: ${table} at 0: the file is not there\n`);
    expect(out).toContain("note: /store/tables/000000900.sst at 0: nothing refers to the file");
    expect(code).toBe(1);
  });

  test("refuses a running node, and what is no store", async () => {
    const disk = new MemoryDisk();
    const { store } = await openStore(disk);
    const running = await flotilla(disk, "check", "/store");
    expect(running.code).toBe(1);
    expect(running.err).toContain("a running node holds /store");
    await store.close();
    const none = await flotilla(disk, "check", "/store/log");
    expect(none.code).toBe(6);
    expect(none.err).toContain("there is no store in /store/log");
  });

  test("says to replace the node where what makes it a member is lost, or everything", async () => {
    const cases: readonly ((disk: MemoryDisk) => readonly [string, string])[] = [
      (disk) => {
        disk.spoil(LOG(disk), 0);
        return ["standing", "start it"];
      },
      (disk) => {
        for (const path of ["/node.json", "/node.json.copy"]) disk.flipBit(path, 3);
        return ["standing", "start it"];
      },
      (disk) => {
        for (const suffix of ["", ".copy"]) disk.flipBit(MANIFEST(disk) + suffix, 80 * 8);
        return ["everything", "start it"];
      },
    ];
    for (const damage of cases) {
      const disk = await stopped();
      const [kind, other] = damage(disk);
      const { err } = await flotilla(disk, "check", "/");
      expect(err).toContain("replace it by a new node");
      expect(err).not.toContain(other);
      const { out } = await flotilla(disk, "check", "/", "--json");
      const { findings } = JSON.parse(out) as { findings: { loss: string }[] };
      expect(findings.map(({ loss }) => loss)).toContain(kind);
    }
  });

  test("prints JSON", async () => {
    const disk = await stopped();
    disk.flipBit(TABLE(disk), 700);
    const { out } = await flotilla(disk, "check", "/store", "--json");
    const told = JSON.parse(out) as { damages: number; findings: { path: string }[] };
    expect(told).toMatchObject({ trees: 2, tables: 1, damages: 1 });
    expect(told.findings[0]!.path).toBe(TABLE(disk));
  });
});

describe("flotilla inspect", () => {
  test("log: segments, and the batches of one", async () => {
    const disk = await stopped();
    const all = await flotilla(disk, "inspect", "log", "/store");
    expect(all.out).toMatch(
      /0000000003\.log store [0-9a-f]{32} end \d+ batches \d+ shards 1: \d+-40/,
    );
    const one = await flotilla(disk, "inspect", "log", LOG(disk));
    expect(one.out).toMatch(/^ {2}8192 \+4096 synced \d+ shard 1 entries \d+-\d+ term 1$/m);
    expect(one.code).toBe(0);
    const json = await flotilla(disk, "inspect", "log", LOG(disk), "--json");
    const [segment] = JSON.parse(json.out) as { number: number; batches: unknown[] }[];
    expect(segment!.batches.length).toBeGreaterThan(1);
  });

  test("log: a segment that is being prepared is not damaged", async () => {
    const disk = await stopped();
    const names = disk.list("/store/log").filter((name) => name.endsWith(".log"));
    const next = `${String(Number.parseInt(names.at(-1)!, 10) + 1).padStart(10, "0")}.log`;
    disk.setContent(`/store/log/${next}`, new Uint8Array(16 * 1024));
    const all = await flotilla(disk, "inspect", "log", "/store");
    expect(all.out).toContain(`/store/log/${next} store ? end 4096 batches 0 no entries`);
    expect(all.code).toBe(0);
  });

  test("sstable: sections, and damage", async () => {
    const disk = await stopped();
    const { out, code } = await flotilla(disk, "inspect", "sstable", "/");
    expect(out).toMatch(/^ {2}data: 20 entries of \d+ keys, \d+ tombstones, versions 1 to 20, /m);
    expect(out).toMatch(/^ {2}meta: 1 entries of 1 keys/m);
    expect(code).toBe(0);
    disk.flipBit(TABLE(disk), 700);
    const damaged = await flotilla(disk, "inspect", "sstable", TABLE(disk), "--json");
    const [table] = JSON.parse(damaged.out) as { findings: unknown[] }[];
    expect(table!.findings).toHaveLength(1);
    expect(damaged.code).toBe(1);
  });

  test("manifest: trees and their slices", async () => {
    const disk = await stopped();
    const { out, code } = await flotilla(disk, "inspect", "manifest", "/store");
    expect(out).toContain(
      "  tree 1: flushed to index 20 term 1 revision 20, compacted to 10, 3 slices\n",
    );
    expect(out).toMatch(/^ {4}table \d+ data tier 0: 20 entries, versions 1 to 20, /m);
    expect(code).toBe(0);
    const json = await flotilla(disk, "inspect", "manifest", MANIFEST(disk), "--json");
    const { trees } = JSON.parse(json.out) as { trees: { shardId: number }[] };
    expect(trees.map(({ shardId }) => shardId)).toEqual([1, 2]);
  });

  test("says what a path is not", async () => {
    const { code, err } = await flotilla(new MemoryDisk(), "inspect", "log", "/nowhere");
    expect(code).toBe(6);
    expect(err).toContain("there is no file or directory /nowhere");
  });
});
