/**
 * A waiting line in the store, of which locks and elections are made: each who waits has a key
 * `<name>/<lease in hexadecimal>`, which lives as long as his lease, and the keys' create revisions
 * say who came first. Who waits watches only the key of the one before him, and his own. A lease
 * has one place in a line. All keys of a line must lie in one shard.
 *
 * That somebody's turn has come was true when it was read, no longer: he may have lost his lease
 * since. Who must be sure hands the place's create revision, which grows from turn to turn, to
 * whatever he changes, and has it refuse smaller ones.
 */
import { must } from "../base/assert.js";
import { concatBytes, EMPTY_BYTES, prefixEnd, utf8 } from "../base/bytes.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { KeyValue, ResponseHeader } from "../protocol/key-value.js";
import { putOf, rangeOf } from "../protocol/operations.js";
import type {
  Compare,
  OperationResult,
  RangeOperation,
  Transaction,
} from "../protocol/operations.js";
import type {
  BytesLike,
  ReadOptions,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "./client-types.js";
import { bytesFrom } from "./key-span.js";

/** The part of a client that recipes use. */
export interface RecipeClient {
  txn(transaction: Transaction, options?: ReadOptions): Promise<TransactionResponse>;
  watch(options: WatchOptions): RecipeWatch;
}

export interface RecipeWatch extends AsyncIterable<WatchItem> {
  cancel(): void;
}

export interface Place {
  readonly key: Uint8Array;
  /** What the place is known by, and how far in front it is. */
  readonly createRevision: number;
}

export interface Joining {
  readonly name: BytesLike;
  readonly lease: bigint;
  readonly value?: BytesLike | undefined;
}

/** A place in the line; `kv` is what was there before, if this lease had a place already. */
export interface Joined {
  readonly place: Place;
  readonly kv: KeyValue | undefined;
}

export function linePrefix(name: BytesLike): Uint8Array {
  return concatBytes(bytesFrom(name), SLASH);
}

/** Rejects with `leaseNotFound` where there is no such lease. */
export async function joinLine(client: RecipeClient, joining: Joining): Promise<Joined> {
  const { lease } = joining;
  if (lease === 0n) throw notApplied("invalidArgument", "a place in a line needs a lease");
  const hex = BigInt.asUintN(64, lease).toString(16);
  const key = concatBytes(linePrefix(joining.name), utf8(hex));
  const value = bytesFrom(joining.value ?? EMPTY_BYTES);
  const answer = await repeatable(client, {
    compares: [createdAt({ key, createRevision: 0 })],
    success: [putOf(key, value, { lease })],
    failure: [oneKey(key)],
  });
  if (answer.succeeded) {
    return { place: { key, createRevision: answer.header.revision }, kv: undefined };
  }
  const kv = must(firstOf(answer.results[0]), "the key that exists");
  return { place: { key, createRevision: kv.createRevision }, kv };
}

/**
 * Resolves when everybody before `place` has left. Where that fails, or `signal` is aborted, the
 * place is given up: rejects with `sessionExpired` where the key was gone, by its lease's end or
 * otherwise, with `cancelled` for the signal.
 */
export async function waitInLine(
  client: RecipeClient,
  name: BytesLike,
  place: Place,
  signal: AbortSignal | undefined,
): Promise<ResponseHeader> {
  try {
    for (;;) {
      const { header, before } = await lookAhead(client, linePrefix(name), place);
      if (signal?.aborted === true) throw notApplied("cancelled", "the waiting was given up");
      if (before === undefined) return header;
      await oneDeleted(client, [before.key, place.key], header.revision, signal);
    }
  } catch (error) {
    // What cannot be deleted now ends with its lease.
    await leaveLine(client, place).catch(() => undefined);
    throw error;
  }
}

/** Deletes the key, unless it is no longer the one of this place. */
export async function leaveLine(client: RecipeClient, place: Place): Promise<ResponseHeader> {
  const { key } = place;
  const { header } = await repeatable(client, {
    compares: [createdAt(place)],
    success: [{ kind: "delete", key, rangeEnd: undefined, prevKv: false }],
    failure: [],
  });
  return header;
}

/** Resolves when the key is no longer the one of this place; by `signal` too. */
export async function untilLost(
  client: RecipeClient,
  place: Place,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const { header, results } = await read(client, [oneKey(place.key)]);
    if (firstOf(results[0])?.createRevision !== place.createRevision) return;
    await oneDeleted(client, [place.key], header.revision, signal);
  }
}

/** Whose turn it is. */
export async function frontOfLine(
  client: RecipeClient,
  name: BytesLike,
): Promise<{ readonly header: ResponseHeader; readonly kv: KeyValue | undefined }> {
  const range: RangeOperation = { ...wholeLine(linePrefix(name)), sortOrder: "ascend", limit: 1 };
  const { header, results } = await read(client, [range]);
  return { header, kv: firstOf(results[0]) };
}

export function createdAt({ key, createRevision }: Place): Compare {
  const target = { kind: "create", value: createRevision } as const;
  return { key, rangeEnd: undefined, result: "equal", target };
}

interface Ahead {
  readonly header: ResponseHeader;
  /** The last of those before the place. */
  readonly before: KeyValue | undefined;
}

async function lookAhead(client: RecipeClient, prefix: Uint8Array, place: Place): Promise<Ahead> {
  const others: RangeOperation = {
    ...wholeLine(prefix),
    keysOnly: true,
    sortOrder: "descend",
    limit: 1,
    maxCreateRevision: place.createRevision - 1,
  };
  const own: RangeOperation = { ...oneKey(place.key), keysOnly: true };
  const { header, results } = await read(client, [own, others]);
  if (firstOf(results[0])?.createRevision !== place.createRevision) {
    throw notApplied("sessionExpired", "the place in the line is gone, or its lease");
  }
  return { header, before: firstOf(results[1]) };
}

/** Resolves when a key was deleted after the revision, or may have been; by `signal` too. */
async function oneDeleted(
  client: RecipeClient,
  keys: readonly Uint8Array[],
  revision: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (signal?.aborted === true) return;
  const watches = keys.map((key) =>
    client.watch({ key, startRevision: revision + 1, noPut: true }),
  );
  const cancel = (): void => {
    for (const watch of watches) watch.cancel();
  };
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    await Promise.race(watches.map(untilEvent));
  } catch (error) {
    if (KvError.from(error).code !== "compacted") throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    cancel();
  }
}

async function untilEvent(watch: RecipeWatch): Promise<void> {
  for await (const item of watch) {
    if ("events" in item) return;
  }
}

/** A write that does nothing when it was applied before: a lost answer is no reason to fail. */
async function repeatable(client: RecipeClient, txn: Transaction): Promise<TransactionResponse> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.txn(txn);
    } catch (error) {
      const { code, outcome } = KvError.from(error);
      const isLost = outcome === "unknown" && (code === "unavailable" || code === "timeout");
      if (!isLost || attempt === ATTEMPTS) throw error;
    }
  }
}

/** At one revision, the newest, whatever level the client reads by. */
function read(
  client: RecipeClient,
  success: readonly RangeOperation[],
): Promise<TransactionResponse> {
  return client.txn({ compares: [], success, failure: [] }, { level: "linearizable" });
}

function oneKey(key: Uint8Array): RangeOperation {
  return rangeOf(key);
}

function wholeLine(prefix: Uint8Array): RangeOperation {
  return rangeOf(prefix, must(prefixEnd(prefix)), { sortTarget: "create" });
}

function firstOf(result: OperationResult | undefined): KeyValue | undefined {
  return result?.kind === "range" ? result.kvs[0] : undefined;
}

/** Each of them takes the client's whole time for a request at most. */
const ATTEMPTS = 3;
const SLASH: Uint8Array = utf8("/");
