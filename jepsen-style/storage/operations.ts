/**
 * What is done to a store, as data: a list of operations drawn from a seed. It says what clients of
 * the shards see and nothing of flushes, restarts or faults, so that the same list can be run under
 * every configuration and must give the same answers.
 */
import { utf8, utf8Text } from "../../src/base/bytes.js";
import type { Prng } from "../../src/base/prng.js";

/** An entry of a shard's log: what a replica applies. */
export type Change =
  | { readonly kind: "put"; readonly key: string; readonly size: number }
  | { readonly kind: "delete"; readonly key: string }
  /** Revisions older than the last `keep` may be forgotten. */
  | { readonly kind: "forget"; readonly keep: number };

export type Question =
  | { readonly kind: "get"; readonly key: string; readonly back: number }
  | {
      readonly kind: "scan";
      readonly from: string;
      readonly to: string;
      readonly back: number;
      readonly mode: "newest" | "all";
    };

export type Operation =
  | { readonly kind: "create" | "drop"; readonly shardId: number }
  | { readonly kind: "change"; readonly shardId: number; readonly change: Change }
  | { readonly kind: "ask"; readonly shardId: number; readonly question: Question };

export interface Shape {
  readonly operations: number;
  readonly keys: number;
  /** Of a hundred changes, how many delete; few of them and few keys make long chains. */
  readonly deletePercent: number;
  readonly sizes: readonly number[];
  /** Of a hundred operations, how many ask. */
  readonly askPercent: number;
}

const SHARDS_MAX = 3;

/** A shape drawn from chance: many keys and deletes, or long chains of versions of few keys. */
export function drawShape(prng: Prng, operations: number): Shape {
  const chains = prng.chance(0.25);
  return {
    operations,
    keys: chains ? prng.between(1, 6) : prng.between(10, 120),
    deletePercent: chains ? prng.between(0, 4) : prng.between(10, 50),
    sizes: prng.chance(0.3) ? [0, 10, 60] : [0, 10, 60, 300, 1023, 1024, 5000],
    askPercent: prng.between(15, 40),
  };
}

export function drawOperations(prng: Prng, shape: Shape): readonly Operation[] {
  const operations: Operation[] = [];
  const living: number[] = [];
  let created = 0;
  const create = (): void => {
    const shardId = ++created;
    living.push(shardId);
    operations.push({ kind: "create", shardId });
  };
  create();
  while (operations.length < shape.operations) {
    const draw = prng.between(0, 999);
    if (draw < 5 && living.length < SHARDS_MAX) {
      create();
    } else if (draw < 8 && living.length > 1) {
      const [shardId] = living.splice(prng.between(0, living.length - 1), 1);
      operations.push({ kind: "drop", shardId: shardId! });
    } else {
      const shardId = living[prng.between(0, living.length - 1)]!;
      const asks = prng.between(1, 100) <= shape.askPercent;
      if (asks) operations.push({ kind: "ask", shardId, question: drawQuestion(prng, shape) });
      else operations.push({ kind: "change", shardId, change: drawChange(prng, shape) });
    }
  }
  return operations;
}

export function encodeChange(change: Change): Uint8Array {
  return utf8(JSON.stringify(change));
}

export function decodeChange(bytes: Uint8Array): Change {
  return JSON.parse(utf8Text(bytes)) as Change;
}

/** One change; those of a long run are drawn one by one. */
export function drawChange(prng: Prng, shape: Shape): Change {
  if (prng.chance(0.06)) return { kind: "forget", keep: prng.between(0, 40) };
  const key = drawKey(prng, shape);
  if (prng.between(1, 100) <= shape.deletePercent) return { kind: "delete", key };
  return { kind: "put", key, size: shape.sizes[prng.between(0, shape.sizes.length - 1)]! };
}

function drawQuestion(prng: Prng, shape: Shape): Question {
  const back = prng.chance(0.5) ? 0 : prng.between(0, 60);
  if (prng.chance(0.6)) return { kind: "get", key: drawKey(prng, shape), back };
  const [from, to] = [drawKey(prng, shape), drawKey(prng, shape)].sort();
  return { kind: "scan", from: from!, to: to!, back, mode: prng.chance(0.5) ? "newest" : "all" };
}

/** Keys of several lengths, many of them with a common beginning. */
function drawKey(prng: Prng, shape: Shape): string {
  const number = prng.between(0, shape.keys - 1);
  return number % 3 === 0 ? `k${number}` : `a/common/beginning/${"x".repeat(number % 7)}${number}`;
}
