/**
 * Under what a list of operations is run: sizes of everything, and how often a store is flushed,
 * restarted, cut off, or has a tree replaced by its own snapshot. The first ones are made by hand,
 * each at an end of something; all others are drawn.
 */
import { Prng } from "../../src/base/prng.js";
import type { StoreOptions } from "../../src/store/store-options.js";

export interface Configuration {
  readonly name: string;
  readonly store: StoreOptions;
  /** Chances after each operation. */
  readonly flush: number;
  readonly restart: number;
  /** A power cut: what was not synced is lost, kept or torn. */
  readonly powerCut: number;
  /** A checkpoint of a tree that is installed in its place. */
  readonly roundTrip: number;
  /** How likely a waiting job runs after an operation. */
  readonly job: number;
}

const KIB = 1024;

const CALM: Omit<Configuration, "name"> = {
  store: {
    scrubBytesPerSecond: 0,
    logOptions: { segmentSizeBytes: 64 * KIB, firstSegmentSizeBytes: 64 * KIB },
  },
  flush: 0.03,
  restart: 0,
  powerCut: 0,
  roundTrip: 0,
  job: 0.5,
};

function made(name: string, changes: Partial<Configuration>): Configuration {
  return { ...CALM, ...changes, name, store: { ...CALM.store, ...changes.store } };
}

const BY_HAND: readonly Configuration[] = [
  made("all in memory", { flush: 0 }),
  made("a table for each entry", { flush: 1, job: 1 }),
  made("no cache", { store: { blockCacheBytes: 0 }, flush: 0.1 }),
  made("a cache of a few frames", {
    store: { blockCacheBytes: 4 * KIB, blockSizeBytes: 128 },
    flush: 0.1,
  }),
  made("a block for each entry", { store: { blockSizeBytes: 1 }, flush: 0.1 }),
  made("no compaction", { store: { compaction: { enabled: false } }, flush: 0.1 }),
  made("merged at once", { store: { compaction: { fanIn: 2 } }, flush: 0.3, job: 1 }),
  made("levels of tiny tables", {
    store: {
      compaction: {
        style: "leveled",
        fanIn: 2,
        levelBaseBytes: KIB,
        levelFanOut: 2,
        similarBytes: 0,
        tableBytesMax: KIB,
      },
    },
    flush: 0.2,
    job: 1,
  }),
  made("manifests are written anew", {
    store: { manifestBytesMax: 1 },
    flush: 0.3,
    restart: 0.02,
    powerCut: 0.02,
  }),
  made("jobs are late", { flush: 0.2, job: 0.02 }),
  made("restarts", { restart: 0.05, flush: 0.05 }),
  made("power cuts", { powerCut: 0.05, flush: 0.1 }),
  made("snapshots", { roundTrip: 0.05, flush: 0.05 }),
  made("everything at once", { restart: 0.02, powerCut: 0.02, roundTrip: 0.02, flush: 0.1 }),
];

/** The n-th configuration of a seed. */
export function configurationOf(seed: number, n: number): Configuration {
  return BY_HAND[n] ?? drawConfiguration(new Prng(seed * 1000 + n), n);
}

function drawConfiguration(prng: Prng, n: number): Configuration {
  const segmentSizeBytes = oneOf(prng, [32, 64, 256]) * KIB;
  return {
    name: `drawn ${n}`,
    store: {
      memtableBytesMax: oneOf(prng, [1, 4, 64, 1024]) * KIB,
      memtablesBytesMax: oneOf(prng, [2048, 16 * 1024]) * KIB,
      blockCacheBytes: oneOf(prng, [0, 4, 64, 1024]) * KIB,
      blockSizeBytes: oneOf(prng, [64, 256, 1024, 16 * 1024]),
      manifestBytesMax: oneOf(prng, [1, 4 * KIB, undefined]),
      logSegmentsMax: prng.between(1, 6),
      logBytesHeldMax: oneOf(prng, [64, 1024]) * KIB,
      scrubBytesPerSecond: oneOf(prng, [0, 1024 * KIB]),
      logOptions: {
        segmentSizeBytes,
        firstSegmentSizeBytes: oneOf(prng, [32 * KIB, segmentSizeBytes]),
        batchSizeBytesMax: oneOf(prng, [12, 16]) * KIB,
      },
      compaction: {
        enabled: prng.chance(0.9),
        style: oneOf(prng, ["auto", "tiered", "leveled"]),
        fanIn: prng.between(2, 6),
        similarBytes: oneOf(prng, [0, 1, 64]) * KIB,
        leveledFromBytes: oneOf(prng, [2, 16, 1024]) * KIB,
        levelBaseBytes: oneOf(prng, [1, 4, 64]) * KIB,
        levelFanOut: oneOf(prng, [2, 4, 8]),
        tableBytesMax: oneOf(prng, [1, 2, 16, 1024]) * KIB,
        jobsMax: prng.between(1, 3),
      },
    },
    flush: oneOf(prng, [0, 0.02, 0.1, 0.5]),
    restart: oneOf(prng, [0, 0.01, 0.05]),
    powerCut: oneOf(prng, [0, 0.01, 0.05]),
    roundTrip: oneOf(prng, [0, 0.01, 0.03]),
    job: oneOf(prng, [0.02, 0.2, 0.5, 1]),
  };
}

function oneOf<T>(prng: Prng, values: readonly T[]): T {
  return values[prng.between(0, values.length - 1)] as T;
}
