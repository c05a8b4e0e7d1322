/**
 * A copy of keys in another cluster that follows the first one: what is there at a revision, key by
 * key, and then every change, in order. Changes of one revision stay in one transaction where that
 * has room, and several revisions share one when they have gathered. Whatever is done again after
 * an unknown outcome comes to the same, for one writer alone goes through the changes.
 */
import { concatBytes, hex } from "../base/bytes.js";
import { REQUEST_SIZE_BYTES_MAX } from "../base/limits.js";
import type { WatchItem } from "../client/client-types.js";
import { KvError } from "../protocol/errors.js";
import type { KeyValue, WatchEvent } from "../protocol/key-value.js";
import { putOf } from "../protocol/operations.js";
import type { Operation } from "../protocol/operations.js";
import { runBounded } from "./bounded-pool.js";
import type { PoolBounds } from "./bounded-pool.js";
import type { ClientPort, WatchStream } from "./client-port.js";
import { type Patience, retrying } from "./retrying.js";
import type { KeySelection } from "./selection.js";

/** Changes that wait for the copy; beyond that no more are read. */
const WAITING_COUNT_MAX = 4096;
const TRANSACTION_BYTES_MAX: number = REQUEST_SIZE_BYTES_MAX / 2;

export interface MirrorPlan {
  readonly from: ClientPort;
  readonly to: ClientPort;
  readonly span: KeySelection;
  /** The key's first bytes that are replaced, and by what. */
  readonly prefix: Uint8Array;
  readonly destinationPrefix: Uint8Array;
  readonly transactionOperationsMax: number;
  readonly bounds: PoolBounds;
  readonly patience: Patience;
}

/** Changes of one revision, or the part of them that one transaction holds. */
type Change = readonly Operation[];

export class Mirror {
  readonly #plan: MirrorPlan;
  #waiting: Change[] = [];
  #waitingCount = 0;
  #wake: () => void = () => undefined;
  #isEnded = false;
  #stream: WatchStream | undefined;
  /** Keys that were written or deleted in the copy. */
  mirrored = 0;

  constructor(plan: MirrorPlan) {
    this.#plan = plan;
  }

  /** Copies what is there; gives the revision at which that was. */
  async copy(): Promise<number> {
    const { from, span, bounds } = this.#plan;
    const { header } = await from.range({ ...span, countOnly: true, fanOut: true });
    const { revision } = header;
    const rows = from.scan({ ...span, revision, fanOut: true });
    const sizeOf = (kv: KeyValue): number => kv.key.length + kv.value.length;
    await runBounded(rows, sizeOf, bounds, async ({ key, value }) => {
      await this.#done(() => this.#plan.to.put(this.#keyOf(key), value));
      this.mirrored++;
    });
    return revision;
  }

  /** Follows from a revision on, until `end`; rejects where it cannot go on. */
  async follow(startRevision: number): Promise<void> {
    const { from, span } = this.#plan;
    const stream = from.watch({ ...span, startRevision, fanOut: true });
    this.#stream = stream;
    const stop = (): void => {
      this.#isEnded = true;
      this.#wake();
      stream.cancel();
    };
    await Promise.all([this.#read(stream).finally(stop), this.#write().finally(stop)]);
  }

  end(): void {
    this.#isEnded = true;
    this.#stream?.cancel();
    this.#wake();
  }

  async #read(stream: WatchStream): Promise<void> {
    for await (const item of stream) {
      if (this.#isEnded) return;
      this.#take(item);
      while (this.#waitingCount > WAITING_COUNT_MAX && !this.#isEnded) await this.#changed();
    }
  }

  #take(item: WatchItem): void {
    if (!("events" in item)) return;
    const all = item.events.map((event) => this.#operationOf(event));
    const { transactionOperationsMax: most } = this.#plan;
    for (let at = 0; at < all.length; at += most) this.#waiting.push(all.slice(at, at + most));
    this.#waitingCount += all.length;
    this.#wake();
  }

  async #write(): Promise<void> {
    for (;;) {
      while (this.#waiting.length === 0) {
        if (this.#isEnded) return;
        await this.#changed();
      }
      const operations = this.#gather();
      await this.#apply(operations);
      this.mirrored += operations.length;
      this.#waitingCount -= operations.length;
      this.#wake();
    }
  }

  /** The next changes as far as one transaction takes them, which has a key but once. */
  #gather(): Change {
    const gathered: Operation[] = [];
    const keys = new Set<string>();
    let bytes = 0;
    let count = 0;
    for (const change of this.#waiting) {
      const names = change.map(nameOf);
      const size = change.reduce((sum, one) => sum + sizeOf(one), 0);
      const isTooMuch =
        gathered.length + change.length > this.#plan.transactionOperationsMax ||
        bytes + size > TRANSACTION_BYTES_MAX;
      if (count > 0 && (isTooMuch || names.some((name) => keys.has(name)))) break;
      gathered.push(...change);
      for (const name of names) keys.add(name);
      bytes += size;
      count++;
    }
    this.#waiting.splice(0, count);
    return gathered;
  }

  async #apply(operations: Change): Promise<void> {
    const { to } = this.#plan;
    const write = (success: Change): Promise<unknown> =>
      this.#done(() => to.txn({ compares: [], success, failure: [] }));
    try {
      await write(operations);
    } catch (error) {
      const { code } = KvError.from(error);
      const isTooMuch = code === "requestTooLarge" || code === "limitExceeded";
      if (code !== "crossShard" && !isTooMuch) throw error;
      for (const one of operations) await write([one]);
    }
  }

  async #done(attempt: () => Promise<unknown>): Promise<void> {
    const { value, error } = await retrying(attempt, this.#plan.patience);
    if (value === undefined && error !== undefined) throw error;
  }

  #operationOf({ type, kv }: WatchEvent): Operation {
    const key = this.#keyOf(kv.key);
    if (type === "delete") return { kind: "delete", key, rangeEnd: undefined, prevKv: false };
    return putOf(key, kv.value);
  }

  #keyOf(key: Uint8Array): Uint8Array {
    const { prefix, destinationPrefix } = this.#plan;
    return concatBytes(destinationPrefix, key.subarray(prefix.length));
  }

  /** Something was read, written or ended. */
  #changed(): Promise<void> {
    const before = this.#wake;
    return new Promise((resolve) => {
      this.#wake = () => {
        before();
        resolve();
        this.#wake = () => undefined;
      };
    });
  }
}

function nameOf(operation: Operation): string {
  return operation.kind === "txn" ? "" : hex(operation.key);
}

function sizeOf(operation: Operation): number {
  if (operation.kind === "txn") return 0;
  return operation.key.length + (operation.kind === "put" ? operation.value.length : 0) + 64;
}
