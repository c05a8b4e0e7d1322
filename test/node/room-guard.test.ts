/** When writes are refused for want of room, why, and that they come back by themselves. */
import { describe, expect, test } from "vitest";
import { singleRun } from "../../src/base/entry-run.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import { RoomGuard } from "../../src/node/room-guard.js";
import type { Store } from "../../src/store/store.js";
import { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";
import type { TestEnv } from "../support/test-env.js";

const QUOTA_BYTES = 10_000;
const RESERVED_BYTES = 1000;
const ELECTION_ROOM_BYTES = 10;
const CHECK_INTERVAL_MS = 500;
const STUCK_AFTER_MS = 8000;

/** The little of a store that the guard asks. */
class FakeStore {
  full = false;
  memoryRoom = true;
  logRoom = true;
  isFlushing = false;
  flushCount = 0;
  readonly log: Pick<Store["log"], "hasRoom" | "hasRoomForElection"> = {
    hasRoom: () => this.logRoom,
    hasRoomForElection: (bytes) => this.logRoom || bytes <= ELECTION_ROOM_BYTES,
  };

  hasRoom(): boolean {
    return !this.full && this.memoryRoom && this.logRoom;
  }
}

class Bench {
  readonly disk: MemoryDisk = new MemoryDisk({ quotaBytes: QUOTA_BYTES });
  readonly store: FakeStore = new FakeStore();
  readonly traced: string[] = [];
  readonly env: TestEnv = testEnv({
    disk: this.disk,
    tracer: { trace: (_level: string, message: string) => this.traced.push(message) },
  });
  readonly guard: RoomGuard;

  constructor() {
    this.disk.makeDirectory("/data");
    const config = { ...DEFAULT_CONFIG, dataDirectory: "/data", reservedBytes: RESERVED_BYTES };
    this.guard = new RoomGuard(this.env, this.store as unknown as Store, config, () => undefined);
  }

  /** Lets other files take so much that `bytes` are left. */
  leave(bytes: number): void {
    this.disk.setContent("/data/others", new Uint8Array(QUOTA_BYTES - bytes));
  }

  code(): string | undefined {
    return this.guard.refusal?.code;
  }
}

describe("a disk", () => {
  test("with no more free than is kept back refuses writes at the next check", () => {
    const bench = new Bench();
    bench.leave(RESERVED_BYTES);
    expect(bench.code()).toBeUndefined();
    bench.env.fake.advance(CHECK_INTERVAL_MS);
    expect(bench.guard.refusal).toMatchObject({ code: "noSpace", outcome: "notApplied" });
    expect(bench.guard.takesEntries).toBe(true);
    const { freeBytes, reservedBytes } = bench.guard;
    expect([freeBytes, reservedBytes]).toEqual([RESERVED_BYTES, RESERVED_BYTES]);
  });

  test("that has room again takes writes again, and each change is said once", () => {
    const bench = new Bench();
    bench.leave(RESERVED_BYTES);
    bench.env.fake.advance(3 * CHECK_INTERVAL_MS);
    bench.leave(RESERVED_BYTES + 1);
    expect(bench.code()).toBeUndefined();
    bench.env.fake.advance(3 * CHECK_INTERVAL_MS);
    expect(bench.traced).toEqual([
      "the disk is full: writes are refused",
      "the disk has room again",
    ]);
  });

  test("is looked at no more once the guard is closed", () => {
    const bench = new Bench();
    bench.guard.close();
    expect(bench.env.fake.waiting).toBe(0);
  });
});

describe("a store", () => {
  test.each([
    ["whose flush met a full disk", { full: true }, "noSpace"],
    ["whose log has no room left", { logRoom: false }, "noSpace"],
    ["whose memory is full", { memoryRoom: false }, "overloaded"],
  ])("%s refuses at once, and no longer than that", (_what, state, code) => {
    const bench = new Bench();
    const before = { full: false, logRoom: true, memoryRoom: true };
    Object.assign(bench.store, state);
    expect(bench.code()).toBe(code);
    expect(bench.guard.takesEntries).toBe(bench.store.logRoom);
    Object.assign(bench.store, before);
    expect(bench.code()).toBeUndefined();
  });

  test("whose log has no room left takes what makes a new leader one, and no more", () => {
    const { guard, store } = new Bench();
    const run = singleRun("noop", 1, 1, new Uint8Array(0));
    store.logRoom = false;
    expect(guard.takes([run, run], true)).toBe(true);
    expect(guard.takes([run], false)).toBe(false);
    expect(guard.takes([run, run, run], true)).toBe(false);
    expect(guard.takes([], false)).toBe(true);
    store.logRoom = true;
    expect(guard.takes([run, run, run], false)).toBe(true);
  });

  test("whose flushes do not end is to lead nothing, until one does", () => {
    const bench = new Bench();
    const intervals = STUCK_AFTER_MS / CHECK_INTERVAL_MS;
    bench.store.isFlushing = true;
    for (let i = 0; i < 2 * intervals; i++) {
      // There is always one under way, but they end.
      if (i % (intervals / 2) === 0) bench.store.flushCount++;
      bench.env.fake.advance(CHECK_INTERVAL_MS);
    }
    expect(bench.guard.isStuck).toBe(false);
    bench.env.fake.advance(STUCK_AFTER_MS);
    expect(bench.guard.isStuck).toBe(true);
    bench.store.flushCount++;
    bench.env.fake.advance(CHECK_INTERVAL_MS);
    expect(bench.guard.isStuck).toBe(false);
    expect(bench.traced).toEqual([
      "no flush ends any more: others have to lead",
      "flushes end again",
    ]);
  });
});
