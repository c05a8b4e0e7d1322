/** The package's door to a store of one's own: a directory on the real disk, without a cluster. */
import type { Env } from "../env/env.js";
import { createNodeEnv } from "../env/node/node-env.js";
import { EmbeddedStore } from "./embedded-store.js";
import type { EmbeddedOptions } from "./embedded-types.js";

/** One flush and one merge may run at the same time. */
const WORKERS_MAX = 2;

/**
 * Opens the store in a directory, or makes one there. Rejects with KvError: "unavailable" where
 * another process has it open, "corrupt" where files are damaged.
 */
export async function openStore(
  directory: string,
  options: EmbeddedOptions = {},
): Promise<EmbeddedStore> {
  const worker = new URL("../store/worker.js", import.meta.url);
  const env: Env = createNodeEnv({
    tracer: { level: "error" },
    jobs: { worker, workersMax: WORKERS_MAX },
  });
  return EmbeddedStore.open(env, directory, options);
}

export { EmbeddedStore } from "./embedded-store.js";
export type {
  BytesLike,
  EmbeddedOptions,
  EmbeddedStats,
  KeyAndValue,
  RangeOptions,
  Reader,
  ScanOptions,
  StoreCursor,
  WriteOptions,
} from "./embedded-types.js";
export type { EntryView } from "../lsm/entry.js";
export { Snapshot } from "./snapshot.js";
export { WriteBatch } from "./write-batch.js";
export { KvError } from "../protocol/errors.js";
export type { ErrorCode, Outcome } from "../protocol/errors.js";
