/** When the workers of a store rest, and that they do. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { PIECE_SIZE_BYTES } from "../../src/env/disk.js";
import { nodeDisk } from "../../src/env/node/node-disk.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { Paced, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import { Pace, REST_MICROS, SHORT_REST_MICROS } from "../../src/store/pace.js";
import { pacedDisk } from "../../src/store/paced-disk.js";
import { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { FakeTimers } from "../support/fake-timers.js";
import { testEnv, turnsUntil } from "../support/test-env.js";
import { stateAt } from "../lsm/tree-model.js";
import { ALL, DIRECTORY, applyEntry, flushedAt, write } from "./store-bench.js";

function micros(shared: SharedArrayBuffer): number {
  return Atomics.load(new Int32Array(shared), 0);
}

describe("the pace of a store", () => {
  test("has rests while somebody writes, and none while nobody does", () => {
    const pace = new Pace(new FakeTimers());
    const seen = [0, 4096, 8192, 8192, 12_288].map((writtenBytes) => {
      pace.review(writtenBytes, false);
      return micros(pace.shared);
    });
    expect(seen).toEqual([0, REST_MICROS, REST_MICROS, 0, REST_MICROS]);
    // A write that the disk keeps long is one, too.
    pace.review(12_288, true);
    expect(micros(pace.shared)).toBe(REST_MICROS);
  });

  test("has none for a while after anything pressed", () => {
    const fake = new FakeTimers();
    const pace = new Pace(fake);
    let writtenBytes = 0;
    const reviewed = (): number => {
      pace.review(++writtenBytes, false);
      return micros(pace.shared);
    };
    expect(reviewed()).toBe(REST_MICROS);
    pace.press();
    expect(micros(pace.shared)).toBe(0);
    fake.advance(1900);
    expect(reviewed()).toBe(0);
    fake.advance(200);
    expect(reviewed()).toBe(REST_MICROS);
  });

  test("has short ones for a while where tables pile up, and none where anything presses", () => {
    const fake = new FakeTimers();
    const pace = new Pace(fake);
    let writtenBytes = 0;
    const reviewed = (): number => {
      pace.review(++writtenBytes, false);
      return micros(pace.shared);
    };
    // Nobody rests yet, and nobody begins to for that.
    pace.hurry();
    expect(micros(pace.shared)).toBe(0);
    expect(reviewed()).toBe(SHORT_REST_MICROS);
    fake.advance(2100);
    expect(reviewed()).toBe(REST_MICROS);
    pace.hurry();
    expect(micros(pace.shared)).toBe(SHORT_REST_MICROS);
    pace.press();
    pace.hurry();
    expect(micros(pace.shared)).toBe(0);
    expect(reviewed()).toBe(0);
    pace.review(writtenBytes, false);
    expect(micros(pace.shared)).toBe(0);
    fake.advance(2100);
    expect(reviewed()).toBe(REST_MICROS);
  });

  test("has none as long as somebody waits for an outcome, whichever it is", async () => {
    const pace = new Pace(new FakeTimers());
    const waits = [Promise.resolve(7), Promise.reject(new Error("gone"))];
    const outcomes = Promise.allSettled(waits.map((wait) => pace.awaiting(wait)));
    pace.review(1, false);
    expect(micros(pace.shared)).toBe(0);
    expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    pace.review(2, false);
    expect(micros(pace.shared)).toBe(REST_MICROS);
  });
});

interface HeldStore {
  readonly store: EmbeddedStore;
  readonly fake: FakeTimers;
  /** Of each job that was let go. */
  readonly paces: number[];
  readonly held: (() => void)[];
}

/** A store whose jobs wait until they are let go, those of `kinds` at least. */
async function heldStore(kinds: readonly StoreJob["kind"][] = ["flush"]): Promise<HeldStore> {
  const disk = new MemoryDisk();
  const env = testEnv({ disk });
  const paces: number[] = [];
  const held: (() => void)[] = [];
  const run = (job: unknown): Promise<unknown> =>
    new Promise((resolve) => {
      const paced = job as Paced<StoreJob>;
      if (!kinds.includes(paced.kind)) return resolve(runStoreJob(disk, paced));
      held.push(() => {
        paces.push(micros(must(paced.pace)));
        resolve(runStoreJob(disk, paced));
      });
    });
  const jobs = { run, close: () => Promise.resolve() };
  const store = await EmbeddedStore.open({ ...env, jobs }, "/embedded", {
    memtableBytesMax: 64 * 1024,
    scrubBytesPerSecond: 0,
  });
  return { store, fake: env.fake, paces, held };
}

/** More than a memtable; the write is in the log when it resolves. */
async function fillMemtable(store: EmbeddedStore, fake: FakeTimers, name: string): Promise<void> {
  const batch = store.batch();
  for (let i = 0; i < 200; i++) batch.put(`${name}${i}`, new Uint8Array(500));
  await withTurns(fake, store.write(batch, { sync: false }));
}

/** Ends turns, each after `before`, until the promise is settled. */
async function withTurns(
  fake: FakeTimers,
  outcome: Promise<void>,
  before: () => void = () => undefined,
): Promise<void> {
  let isSettled = false;
  const settled = outcome.finally(() => (isSettled = true));
  await turnsUntil(() => {
    before();
    fake.endTurn();
    return isSettled;
  });
  await settled;
}

describe("a store that is written to", () => {
  test("lets a flush rest, and a second one that waits for it press", async () => {
    const { store, fake, paces, held } = await heldStore();
    await fillMemtable(store, fake, "first");
    fake.advance(200);
    await turnsUntil(() => held.length === 1);
    held.shift()!();
    await turnsUntil(() => {
      fake.endTurn();
      return store.stats().flushes === 1;
    });
    await fillMemtable(store, fake, "second");
    fake.advance(200);
    await turnsUntil(() => held.length === 1);
    await fillMemtable(store, fake, "third");
    held.shift()!();
    expect(paces).toEqual([REST_MICROS, 0]);
    await finish(store, fake, held);
  });

  test.each([
    ["little where there are more tables than it keeps", 14, SHORT_REST_MICROS],
    ["no more where there are nearly as many as writes wait for", 17, 0],
  ])("lets merges rest %s", async (_, tables, micros) => {
    const { store, fake, paces, held } = await heldStore(["compact"]);
    let flushes = 0;
    const flush = async (): Promise<void> => {
      await fillMemtable(store, fake, "same");
      flushes++;
      await turnsUntil(() => {
        fake.endTurn();
        return store.stats().flushes === flushes;
      });
      // Longer than anything presses.
      fake.advance(2100);
    };
    while (held.length === 0) await flush();
    await fillMemtable(store, fake, "log");
    fake.advance(200);
    held.shift()!();
    await turnsUntil(() => {
      fake.endTurn();
      return store.stats().compactions === 1;
    });
    flushes++;
    for (let i = 0; i < tables; i++) await flush();
    await fillMemtable(store, fake, "last");
    await turnsUntil(() => {
      fake.endTurn();
      return store.stats().flushes > flushes;
    });
    held.shift()!();
    expect(paces).toEqual([REST_MICROS, micros]);
    await finish(store, fake, held);
  });

  test("presses as long as somebody waits for its merges, whatever others do", async () => {
    const disk = new MemoryDisk();
    let go = (): void => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    let pace = new SharedArrayBuffer(4);
    const job = async (each: unknown): Promise<unknown> => {
      const paced = each as Paced<StoreJob>;
      pace = must(paced.pace);
      if (paced.kind === "compact") await gate;
      return runStoreJob(disk, paced);
    };
    const env = testEnv({ disk, job });
    const { store } = await Store.open(env, DIRECTORY, { sharedTableBytesMax: 0 });
    const behind = store.createTree(1, ALL, stateAt(0));
    const other = store.createTree(2, ALL, stateAt(0));
    let index = 0;
    /** The other tree is written to for three seconds; all paces that are seen meanwhile. */
    const pacesSeen = (): ReadonlySet<number> => {
      const seen = new Set<number>();
      for (let step = 0; step < 15; step++) {
        void write(store, other, ++index);
        env.fake.advance(200);
        seen.add(micros(pace));
      }
      return seen;
    };
    for (let flushes = 1; !store.lags(behind); flushes++) {
      applyEntry(behind, flushes);
      await withTurns(env.fake, store.flushNow(behind, flushedAt(flushes)));
    }
    expect(pacesSeen()).toContain(REST_MICROS);
    expect(store.isBehind(behind)).toBe(true);
    expect(pacesSeen()).toEqual(new Set([0]));
    go();
    await turnsUntil(() => !store.lags(behind));
    pacesSeen();
    expect(pacesSeen()).toEqual(new Set([REST_MICROS]));
    await withTurns(env.fake, store.close());
  });

  test("deletes one file after the other", async () => {
    const { store, fake, held } = await heldStore(["remove"]);
    for (let flushes = 1; flushes <= 4; flushes++) {
      await fillMemtable(store, fake, "same");
      await turnsUntil(() => {
        fake.endTurn();
        return store.stats().flushes === flushes;
      });
    }
    for (let left = 4; left > 0; left--) {
      await turnsUntil(() => {
        fake.endTurn();
        return held.length > 0;
      });
      expect(held).toHaveLength(1);
      held.shift()!();
    }
    await finish(store, fake, held);
  });

  test("lets nobody rest whom somebody waits for", async () => {
    const { store, fake, paces, held } = await heldStore();
    await fillMemtable(store, fake, "first");
    fake.advance(200);
    await turnsUntil(() => held.length === 1);
    const idle = store.idle();
    held.shift()!();
    await turnsUntil(() => {
      fake.endTurn();
      return store.stats().flushes === 1;
    });
    await idle;
    expect(paces).toEqual([0]);
    await finish(store, fake, held);
  });
});

function finish(store: EmbeddedStore, fake: FakeTimers, held: (() => void)[]): Promise<void> {
  return withTurns(fake, store.close(), () => held.shift()?.());
}

describe("the disk of a worker", () => {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-pace-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  test("rests after every piece and deletion, and not after a read", () => {
    const shared = new SharedArrayBuffer(4);
    const disk = pacedDisk(nodeDisk, shared);
    const path = `${directory}/1`;
    const file = disk.open(path, { create: true });
    file.writeSync(new Uint8Array(10), 0, 10, 0);
    const pace = new Int32Array(shared);
    // A read that rested would take a minute.
    pace[0] = 60_000_000;
    file.readSync(new Uint8Array(10), 0, 10, 0);
    pace[0] = 10_000;
    const beganMs = performance.now();
    file.writeSync(new Uint8Array(PIECE_SIZE_BYTES), 0, PIECE_SIZE_BYTES, 0);
    const wroteMs = performance.now() - beganMs;
    file.close();
    disk.remove(path);
    expect(wroteMs).toBeGreaterThan(9);
    expect(performance.now() - beganMs).toBeGreaterThan(wroteMs + 70);
  });

  test("wakes up when the pace changes", async () => {
    const pace = new Pace(new FakeTimers());
    pace.review(1, false);
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       parentPort.postMessage("rests");
       const rest = new Int32Array(workerData);
       // A minute, which the test does not have.
       parentPort.postMessage(Atomics.wait(rest, 0, ${REST_MICROS}, 60_000));`,
      { eval: true, workerData: pace.shared },
    );
    await once(worker, "message");
    const woken = once(worker, "message");
    // Nothing tells that it waits by now; where it does not yet, it will not.
    await new Promise((resolve) => setTimeout(resolve, 100));
    pace.press();
    expect(["ok", "not-equal"]).toContain((await woken)[0]);
    await worker.terminate();
  });
});
