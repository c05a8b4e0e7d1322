/**
 * The clocks of a node that was started for a test: Date.now, performance.now and os.uptime as the
 * harness wants them. The monotonic clock never goes backwards and never jumps: another rate holds
 * from the moment at which it was ordered.
 */
import os from "node:os";
import { syncBuiltinESMExports } from "node:module";
import { NO_SKEW } from "./orders.js";
import type { ClockSkew } from "./orders.js";

const trueWallMs = Date.now.bind(Date);
const trueMonotonicMs = performance.now.bind(performance);
const trueUptime = os.uptime.bind(os);

let skew: ClockSkew = NO_SKEW;
/** What was gained by all rates before the present one, and since when that holds. */
let gainedMs = 0;
let rateFromMs = 0;
let frozenAtMs = 0;
/** Uptime is ahead of the monotonic clock by as much. */
let sleptMs = 0;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export function installClocks(): void {
  Date.now = wallMs;
  performance.now = monotonicMs;
  os.uptime = () => trueUptime() + (gainMs() + sleptMs) / 1000;
  syncBuiltinESMExports();
}

export function setClocks(next: ClockSkew): void {
  gainedMs = gainMs();
  rateFromMs = trueMonotonicMs();
  if (next.frozen && !skew.frozen) frozenAtMs = wallMs();
  skew = next;
  if (next.sleepMs > 0) sleep(next.sleepMs);
}

/** The thread that does everything but jobs stands still, and its monotonic clock with it. */
function sleep(sleepMs: number): void {
  const before = monotonicMs();
  Atomics.wait(sleeper, 0, 0, sleepMs);
  const passedMs = monotonicMs() - before;
  gainedMs -= passedMs;
  sleptMs += passedMs;
}

function monotonicMs(): number {
  return trueMonotonicMs() + gainMs();
}

function gainMs(): number {
  return gainedMs + (trueMonotonicMs() - rateFromMs) * (skew.rate - 1);
}

function wallMs(): number {
  if (skew.frozen) return frozenAtMs;
  const now = trueWallMs();
  const isAway = skew.strobeMs === 0 || Math.floor(now / skew.strobeMs) % 2 === 1;
  return now + (isAway ? skew.wallMs : 0);
}
