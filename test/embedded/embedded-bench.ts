/** What the tests of this folder share: an embedded store on the in-memory disk, and a model. */
import { compareBytes, utf8 } from "../../src/base/bytes.js";
import { EmbeddedStore } from "../../src/embedded/embedded-store.js";
import type { EmbeddedOptions, KeyAndValue } from "../../src/embedded/embedded-types.js";
import type { CheckJob, StoreJob } from "../../src/store/jobs.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { MemoryDisk } from "../../jepsen-style/sim/memory-disk.js";
import { testEnv } from "../support/test-env.js";

export const DIRECTORY = "/embedded";

const SMALL: EmbeddedOptions = {
  memtableBytesMax: 24 * 1024,
  blockCacheBytes: 64 * 1024,
  logSegmentSizeBytes: 256 * 1024,
};

/** Every opening draws ids of its own. */
let opened = 0;

export function openOn(
  disk: MemoryDisk,
  options: EmbeddedOptions = {},
  directory: string = DIRECTORY,
  beforeJob: () => Promise<void> = () => Promise.resolve(),
): Promise<EmbeddedStore> {
  const job = async (given: unknown): Promise<unknown> => {
    await beforeJob();
    return runStoreJob(disk, given as StoreJob | CheckJob);
  };
  const env = testEnv({ disk, time: "real", job, seed: ++opened });
  return EmbeddedStore.open(env, directory, {
    ...SMALL,
    ...options,
  });
}

/** A sorted map, by way of sorting it whenever it is asked. */
export class Model {
  readonly #values: Map<string, Uint8Array>;

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#values = new Map(values);
  }

  put(key: string, value: Uint8Array): void {
    this.#values.set(key, value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  copy(): Model {
    return new Model(this.#values);
  }

  range(start = "", end?: string): KeyAndValue[] {
    return [...this.#values]
      .map(([key, value]) => [utf8(key), value] as const)
      .filter(([key]) => compareBytes(key, utf8(start)) >= 0)
      .filter(([key]) => end === undefined || compareBytes(key, utf8(end)) < 0)
      .toSorted(([a], [b]) => compareBytes(a, b));
  }
}
