/**
 * Who leads an election, from now on: each leader and each of his proclamations, in order. Between
 * two leaders it looks who is first in line; one who led for less time than that may be missed.
 */
import { KvError } from "../protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import type { BytesLike } from "./client-types.js";
import { frontOfLine, linePrefix } from "./waiting-line.js";
import type { RecipeClient, RecipeWatch } from "./waiting-line.js";

export interface LeaderSeen {
  /** Of the look that found him, with the revision of what was seen. */
  readonly header: ResponseHeader;
  /** The leader's key, with what he proclaims. */
  readonly kv: KeyValue;
}

export class LeaderWatch implements AsyncIterable<LeaderSeen> {
  readonly #client: RecipeClient;
  readonly #name: BytesLike;
  #watch: RecipeWatch | undefined;
  #isCancelled = false;

  constructor(client: RecipeClient, name: BytesLike) {
    this.#client = client;
    this.#name = name;
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#watch?.cancel();
  }

  /** Endless until cancelled; rejects where reading or watching fails. */
  async *[Symbol.asyncIterator](): AsyncGenerator<LeaderSeen, void, undefined> {
    while (!this.#isCancelled) {
      const { header, kv } = await frontOfLine(this.#client, this.#name);
      const seen = kv === undefined ? await this.#firstAfter(header) : { header, kv };
      if (seen === undefined || this.#isCancelled) continue;
      yield seen;
      yield* this.#reign(seen);
    }
  }

  /** Where nobody stands in line, the first who comes leads. */
  async #firstAfter(header: ResponseHeader): Promise<LeaderSeen | undefined> {
    const key = linePrefix(this.#name);
    const startRevision = header.revision + 1;
    const watch = this.#open({ key, prefix: true, startRevision, noDelete: true });
    for await (const seen of eventsOf(watch, header)) return seen;
    return undefined;
  }

  /** Everything that this leader proclaims. */
  async *#reign({ kv, header }: LeaderSeen): AsyncGenerator<LeaderSeen, void, undefined> {
    const watch = this.#open({ key: kv.key, startRevision: header.revision + 1 });
    for await (const seen of eventsOf(watch, header)) {
      if (seen === undefined) return;
      yield seen;
    }
  }

  #open(options: Parameters<RecipeClient["watch"]>[0]): RecipeWatch {
    this.#watch = this.#client.watch(options);
    if (this.#isCancelled) this.#watch.cancel();
    return this.#watch;
  }
}

/** Puts; undefined for a delete. Where the history was compacted meanwhile, nothing more. */
async function* eventsOf(
  watch: RecipeWatch,
  header: ResponseHeader,
): AsyncGenerator<LeaderSeen | undefined, void, undefined> {
  try {
    for await (const item of watch) {
      if (!("events" in item)) continue;
      for (const { type, kv } of item.events) {
        const { revision } = item;
        yield type === "put" ? { header: { ...header, revision }, kv } : undefined;
      }
    }
  } catch (error) {
    if (KvError.from(error).code !== "compacted") throw error;
  }
}
