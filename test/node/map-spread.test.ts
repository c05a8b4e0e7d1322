/** That a change of the map is waited for until all who live have it, and not for ever. */
import { expect, test } from "vitest";
import { ALIVE_MS, HealthBook } from "../../src/node/cluster-health.js";
import { MapSpread } from "../../src/node/map-spread.js";
import type { NodeHeartbeat } from "../../src/node/placement-messages.js";
import { FakeTimers } from "../support/fake-timers.js";

class Bench {
  readonly time: FakeTimers = new FakeTimers();
  readonly book: HealthBook = new HealthBook(this.time);
  readonly spread: MapSpread = new MapSpread(this.time, this.book);
  ended = 0;

  beat(nodeId: number, mapVersion: number): void {
    const beat = { node: { nodeId }, mapVersion, leads: [], reports: [] };
    this.book.heard(beat as unknown as NodeHeartbeat);
    this.spread.heard();
  }

  async wait(version: number): Promise<void> {
    await this.spread.until(version);
    this.ended++;
  }

  async endedNow(): Promise<number> {
    await Promise.resolve();
    await Promise.resolve();
    return this.ended;
  }
}

test("who waits goes on when the last one that lives has the version, or a newer one", async () => {
  const bench = new Bench();
  for (const nodeId of [1, 2, 3]) bench.beat(nodeId, 7);
  void bench.wait(7);
  expect(await bench.endedNow()).toBe(1);
  void bench.wait(8);
  bench.beat(1, 8);
  bench.beat(2, 9);
  expect(await bench.endedNow()).toBe(1);
  bench.beat(3, 8);
  expect(await bench.endedNow()).toBe(2);
});

test("one that says nothing more is waited for a while only", async () => {
  const bench = new Bench();
  bench.beat(1, 7);
  bench.beat(2, 7);
  void bench.wait(8);
  bench.beat(1, 8);
  expect(await bench.endedNow()).toBe(0);
  bench.time.advance(ALIVE_MS);
  expect(await bench.endedNow()).toBe(1);
  expect(bench.time.waiting).toBe(0);
});
