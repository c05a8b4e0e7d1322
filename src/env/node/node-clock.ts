/**
 * The process's clock. What counts the time that a machine sleeps differs:
 *
 *   Linux           performance.now() is CLOCK_MONOTONIC, which does not; os.uptime() reads
 *                   /proc/uptime, which is CLOCK_BOOTTIME in steps of 10 ms and does
 *   macOS, Windows  performance.now() does; os.uptime() has steps of a second on macOS
 */
import { uptime } from "node:os";
import type { Clock } from "../clock.js";

const MS_PER_SECOND = 1000;

export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  uptimeMs: process.platform === "linux" ? () => uptime() * MS_PER_SECOND : () => performance.now(),
  wallMs: () => Date.now(),
};
