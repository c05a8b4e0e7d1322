/**
 * The engines under measurement behind one shape, each used as its own documentation advises: what
 * can be read without a promise is, scans take many entries a call where that is offered.
 * All get the same memory for writes that are gathered and for blocks that are kept.
 */
import { createRequire } from "node:module";
import { openStore } from "../../src/embedded/index.js";
import type { EmbeddedStore, StoreCursor } from "../../src/embedded/index.js";
import type { EngineName } from "./storage-settings.js";

const WRITE_BUFFER_BYTES = 16 * 1024 * 1024;
const CACHE_BYTES = 64 * 1024 * 1024;
const SCAN_CHUNK = 1000;

/** What a walk over entries adds up, so that no engine can leave a key or value unread. */
export interface Tally {
  entries: number;
  sum: number;
}

export interface StorageEngine {
  /** Writes keys[i] = values[i], whole and without waiting for the disk. */
  write(keys: readonly Buffer[], values: readonly Buffer[]): Promise<void>;
  /** Durable when it settles. */
  putSync(key: Buffer, value: Buffer): Promise<void>;
  get(key: Buffer): Uint8Array | undefined;
  /** Visits up to `count` entries from `key` on. */
  seek(key: Buffer, count: number, tally: Tally): Promise<void> | void;
  scan(tally: Tally): Promise<void>;
  /** Does now what the engine has put off until nothing is written any more. */
  idle?: () => Promise<void>;
  close(): Promise<void>;
}

/** `durable` is how the writes will be: lmdb has to know when it opens. */
export type OpenEngine = (directory: string, durable: boolean) => Promise<StorageEngine>;

const require = createRequire(import.meta.url);

/** Whether this engine's package is installed. */
export function isInstalled(name: EngineName): boolean {
  if (name === "ours") return true;
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

export const OPEN: Readonly<Record<EngineName, OpenEngine>> = {
  ours: openOurs,
  "classic-level": openLevel,
  lmdb: openLmdb,
};

async function openOurs(directory: string): Promise<StorageEngine> {
  const store = await openStore(directory, {
    memtableBytesMax: WRITE_BUFFER_BYTES,
    blockCacheBytes: CACHE_BYTES,
    scrubBytesPerSecond: 0,
  });
  const batch = store.batch();
  // Made at the first seek: a cursor shows the moment of its making.
  let held: StoreCursor | undefined = undefined;
  return {
    write: (keys, values) => {
      batch.clear();
      for (let i = 0; i < keys.length; i++) batch.put(keys[i]!, values[i]!);
      return store.write(batch, { sync: false });
    },
    putSync: (key, value) => store.put(key, value, { sync: true }),
    get: (key) => store.get(key),
    seek: (key, count, tally) => {
      held ??= store.cursor();
      held.seek(key);
      walk(held, count, tally);
    },
    scan: (tally) => scanOurs(store, tally),
    idle: () => store.idle(),
    close: () => store.close(),
  };
}

function walk(cursor: StoreCursor, count: number, tally: Tally): number {
  let left = count;
  while (left > 0 && cursor.next()) {
    const { bytes, keyOffset, valueBytes, valueOffset } = cursor.entry;
    tally.entries++;
    tally.sum += bytes[keyOffset + 15]! + valueBytes[valueOffset]!;
    left--;
  }
  return count - left;
}

async function scanOurs(store: EmbeddedStore, tally: Tally): Promise<void> {
  const cursor = store.cursor();
  while (walk(cursor, SCAN_CHUNK, tally) === SCAN_CHUNK) await turn();
  cursor.close();
}

/** The little of classic-level that is used. */
interface Level {
  open(): Promise<void>;
  batch(operations: readonly { type: "put"; key: Buffer; value: Buffer }[]): Promise<void>;
  put(key: Buffer, value: Buffer, options: { sync: boolean }): Promise<void>;
  getSync(key: Buffer): Buffer | undefined;
  iterator(options: { highWaterMarkBytes: number }): LevelIterator;
  close(): Promise<void>;
}

interface LevelIterator {
  seek(key: Buffer): void;
  nextv(count: number): Promise<(readonly [Buffer, Buffer])[]>;
  close(): Promise<void>;
}

type LevelClass = new (directory: string, options: object) => Level;

async function openLevel(directory: string): Promise<StorageEngine> {
  const { ClassicLevel } = require("classic-level") as { ClassicLevel: LevelClass };
  const level = new ClassicLevel(directory, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
    writeBufferSize: WRITE_BUFFER_BYTES,
    cacheSize: CACHE_BYTES,
  });
  await level.open();
  const walking = { highWaterMarkBytes: 4 * 1024 * 1024 };
  let held: LevelIterator | undefined = undefined;
  return {
    write: (keys, values) =>
      level.batch(keys.map((key, i) => ({ type: "put" as const, key, value: values[i]! }))),
    putSync: (key, value) => level.put(key, value, { sync: true }),
    get: (key) => level.getSync(key),
    seek: async (key, count, tally) => {
      held ??= level.iterator(walking);
      held.seek(key);
      for (const entry of await held.nextv(count)) add(tally, entry);
    },
    scan: async (tally) => {
      const iterator = level.iterator(walking);
      for (;;) {
        const entries = await iterator.nextv(SCAN_CHUNK);
        if (entries.length === 0) break;
        for (const entry of entries) add(tally, entry);
      }
      await iterator.close();
    },
    close: async () => {
      await held?.close();
      await level.close();
    },
  };
}

function add(tally: Tally, [key, value]: readonly [Buffer, Buffer]): void {
  tally.entries++;
  tally.sum += key[15]! + value[0]!;
}

/** The little of lmdb that is used. */
interface Lmdb {
  batch(write: () => void): Promise<unknown>;
  put(key: Buffer, value: Buffer): Promise<unknown>;
  get(key: Buffer): Buffer | undefined;
  getRange(options: object): Iterable<{ readonly key: Buffer; readonly value: Buffer }>;
  close(): Promise<void>;
}

async function openLmdb(directory: string, durable: boolean): Promise<StorageEngine> {
  const { open } = require("lmdb") as { open: (options: object) => Lmdb };
  const db = open({
    path: directory,
    keyEncoding: "binary",
    encoding: "binary",
    noSync: !durable,
    // A put then settles when it is durable, not when others see it.
    overlappingSync: false,
  });
  const range = (options: object, tally: Tally): number => {
    const before = tally.entries;
    for (const { key, value } of db.getRange(options)) add(tally, [key, value]);
    return tally.entries - before;
  };
  return {
    write: async (keys, values) => {
      await db.batch(() => {
        for (let i = 0; i < keys.length; i++) void db.put(keys[i]!, values[i]!);
      });
    },
    putSync: async (key, value) => void (await db.put(key, value)),
    get: (key) => db.get(key),
    seek: (start, limit, tally) => void range({ start, limit }, tally),
    scan: async (tally) => {
      let at = 0;
      for (const { key, value } of db.getRange({})) {
        add(tally, [key, value]);
        if (++at % SCAN_CHUNK === 0) await turn();
      }
    },
    close: () => db.close(),
  };
}

/** Lets other events in, as a program that scans beside serving would. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
