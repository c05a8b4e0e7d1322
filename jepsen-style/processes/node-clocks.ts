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
let sleptMs = 0;

export function installClocks(): void {
  Date.now = wallMs;
  performance.now = () => trueMonotonicMs() + gainMs();
  os.uptime = () => trueUptime() + (gainMs() + sleptMs) / 1000;
  syncBuiltinESMExports();
}

export function setClocks(next: ClockSkew): void {
  gainedMs = gainMs();
  rateFromMs = trueMonotonicMs();
  if (next.frozen && !skew.frozen) frozenAtMs = wallMs();
  sleptMs += next.sleptMs;
  skew = next;
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
