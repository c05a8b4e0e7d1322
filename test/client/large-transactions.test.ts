/** Transactions done in parts equal the same done at once, by the real state machine. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { connectBy } from "../../src/client/client.js";
import type { RangeResponse, TransactionResponse } from "../../src/client/client-types.js";
import { runTransaction } from "../../src/client/large-transaction.js";
import type { TransactionPort } from "../../src/client/large-transaction.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { ResponseHeader } from "../../src/protocol/key-value.js";
import type { RangeOperation, RangeResult, Transaction } from "../../src/protocol/operations.js";
import { transaction } from "../mvcc/arbitraries.js";
import { Replica, resultOf } from "../mvcc/replica.js";
import { bytesOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";
import { FakeCluster, preload } from "../support/fake-cluster.js";
import { nested, put, range, remove, txn } from "../support/operations.js";
import { testEnv } from "../support/test-env.js";

function headerOf(revision: number): ResponseHeader {
  return { revision, shardId: 1, nodeId: 1, raftTerm: 1, level: "linearizable", ageMs: 0 };
}

/** As a shard that does all it is asked for. */
function sendTo(replica: Replica, asked: Transaction): TransactionResponse {
  const evaluation = replica.transaction(asked);
  if (evaluation.error !== undefined) throw evaluation.error;
  replica.applyPending();
  return { header: headerOf(evaluation.revision), ...resultOf(evaluation) };
}

/** As a shard that refuses one transaction, for what it touches or answers. */
class RefusingPort implements TransactionPort {
  readonly #replica: Replica;
  readonly #refused: Transaction;
  readError: KvError | undefined;

  constructor(replica: Replica, refused: Transaction) {
    this.#replica = replica;
    this.#refused = refused;
  }

  async send(asked: Transaction): Promise<TransactionResponse> {
    if (asked === this.#refused) throw notApplied("limitExceeded", "too much at once");
    return sendTo(this.#replica, asked);
  }

  async range(operation: RangeOperation): Promise<RangeResponse> {
    const read = this.readError ?? this.#replica.read(txn([], [operation]));
    if (read instanceof KvError) throw read;
    return { header: headerOf(0), ...(read.results[0] as RangeResult) };
  }
}

async function outcomeOf(run: () => Promise<TransactionResponse>): Promise<unknown> {
  try {
    const { header, succeeded, results } = await run();
    return { revision: header.revision, succeeded, results };
  } catch (error) {
    return KvError.from(error).code;
  }
}

describe("a transaction in parts", () => {
  property.prop([fc.array(transaction, { maxLength: 12 })])("equals the whole", async (all) => {
    const [whole, parts] = [new Replica(), new Replica()];
    for (const each of all) {
      const expected = await outcomeOf(async () => sendTo(whole, each));
      const outcome = await outcomeOf(() => runTransaction(each, new RefusingPort(parts, each)));
      if (outcome === "limitExceeded") await outcomeOf(async () => sendTo(parts, each));
      else expect(outcome).toEqual(expected);
    }
  });

  test("sees its own writes, and what they replaced, in nested ones too", async () => {
    const [whole, parts] = [new Replica(), new Replica()];
    const before = [put("a", "1"), put("b", "2"), put("d", "4")];
    const asked = txn(
      [],
      [
        range("a", "b"),
        remove("a", "c", true),
        nested(txn([], [put("d", "5", { prevKv: true }), range("c", "e")])),
        remove("b", undefined, true),
      ],
    );
    for (const replica of [whole, parts]) sendTo(replica, txn([], before));
    const port = new RefusingPort(parts, asked);
    expect(await runTransaction(asked, port)).toEqual(sendTo(whole, asked));
  });

  test("stays refused where a range is between writes of its keys, or nothing is large", async () => {
    for (const asked of [
      txn([], [put("a"), range("a", "c"), put("b")]),
      txn([], [put("a"), remove("b", "c")]),
    ]) {
      const error = await errorOf(runTransaction(asked, new RefusingPort(new Replica(), asked)));
      expect([error.code, error.outcome]).toEqual(["limitExceeded", "notApplied"]);
    }
  });

  test("that was applied and cannot be answered is of unknown outcome", async () => {
    const replica = new Replica();
    sendTo(replica, txn([], [put("a", "1")]));
    const asked = txn([], [remove("a", "b", true)]);
    const port = new RefusingPort(replica, asked);
    port.readError = notApplied("compacted", "compacted meanwhile");
    const error = await errorOf(runTransaction(asked, port));
    expect([error.code, error.outcome]).toEqual(["unavailable", "unknown"]);
    const reads = txn([], [range("a", "b"), range("a")]);
    const refused = new RefusingPort(replica, reads);
    refused.readError = port.readError;
    expect((await errorOf(runTransaction(reads, refused))).code).toBe("compacted");
  });
});

test("a transaction that is one range is answered whole", async () => {
  const cluster = await FakeCluster.start([{ name: "default", kind: "range", cuts: [] }]);
  cluster.pageRows = 2;
  preload(cluster, "default", ["a", "b", "c", "d", "e"]);
  const env = testEnv({ time: "real", network: cluster.network });
  const client = await connectBy(env, { endpoints: cluster.endpoints });
  for (const limit of [0, 3]) {
    const one = range("a", "z", { limit });
    const { results } = await client.txn({ compares: [], success: [one], failure: [] });
    const { kvs, more, count } = await client.range({ key: "a", rangeEnd: bytesOf("z"), limit });
    expect(results).toEqual([{ kind: "range", kvs, more, count }]);
    expect(kvs).toHaveLength(limit || 5);
  }
  await client.close();
});
