/** What no good client sends to the KV service, answered as etcd answers it. */
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { concatBytes } from "../../src/base/bytes.js";
import { DecodeError } from "../../src/base/coding.js";
import { readGrant, readLeaseId } from "../../src/gateway/lease-messages.js";
import { readDelete, readPut, readRange, readTransaction } from "../../src/gateway/kv-requests.js";
import { decodeMessage, encodeMessage } from "../../src/gateway/message-codec.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { ETCD } from "../../src/gateway/messages.js";
import { readWatchRequest } from "../../src/gateway/watch-messages.js";
import { WireReader, WireWriter } from "../../src/gateway/wire.js";
import type { Compare } from "../../src/protocol/operations.js";

const KEY = { key: bytesOf("k") };

function bytesOfMessage(name: string, message: Message, ...more: readonly number[]): WireReader {
  const out = new WireWriter();
  encodeMessage(out, ETCD.message(`etcdserverpb.${name}`), message);
  return new WireReader(concatBytes(out.view(), Uint8Array.from(more)));
}

describe("a known field of another wire type", () => {
  test.each([
    ["RangeRequest", readRange],
    ["PutRequest", readPut],
    ["DeleteRangeRequest", readDelete],
    ["TxnRequest", readTransaction],
    ["WatchRequest", readWatchRequest],
    ["LeaseGrantRequest", readGrant],
    ["LeaseRevokeRequest", readLeaseId],
  ] as const)("makes a %s no message", (name, read) => {
    const wrong = [0x0d, 1, 2, 3, 4];
    expect(() => read(bytesOfMessage(name, {}, ...wrong))).toThrow(DecodeError);
    const { bytes } = bytesOfMessage(name, {}, ...wrong);
    expect(() => decodeMessage(ETCD.message(`etcdserverpb.${name}`), bytes)).toThrow(DecodeError);
  });

  test("is refused also inside", () => {
    const put = { request_put: KEY };
    const out = new WireWriter();
    out.item(2, concatBytes(bytesOfMessage("RequestOp", put).bytes, Uint8Array.of(0x20, 1)));
    expect(() => readTransaction(new WireReader(out.view()))).toThrow(DecodeError);
  });
});

describe("a group", () => {
  test("that nobody knows is passed over, with those inside of it", () => {
    const group = [0xa3, 0x06, 0x08, 0x01, 0xab, 0x06, 0x12, 0x01, 0x61, 0xac, 0x06, 0xa4, 0x06];
    expect(readDelete(bytesOfMessage("DeleteRangeRequest", KEY, ...group)).key).toEqual(KEY.key);
  });

  test.each([[[0xa3, 0x06]], [[0xa3, 0x06, 0xac, 0x06]], [[0xa4, 0x06]], [[0x03, 0x04]]])(
    "that does not end as it began is refused: %j",
    (group) => {
      expect(() => readDelete(bytesOfMessage("DeleteRangeRequest", KEY, ...group))).toThrow(
        DecodeError,
      );
    },
  );
});

describe("of what is wrong with a transaction", () => {
  const noKey = { request_range: {} };
  const noKind = {};
  const twoValues = { request_put: { ...KEY, value: bytesOf("v"), ignore_value: true } };
  const many = Array.from({ length: 129 }, () => noKey);

  test.each<[string, Message, RegExp]>([
    ["first in its order", { success: [twoValues, noKey] }, /value is provided/],
    ["a compare before operations", { compare: [{}], success: [twoValues] }, /key is not provided/],
    ["success before failure", { failure: [noKey], success: [noKind] }, /key not found/],
    ["what is inside", { success: [{ request_txn: { failure: [noKind] } }] }, /key not found/],
    ["their number before all", { success: many }, /too many operations/],
    [
      "a number that is too large together with what is around",
      { compare: [{}], success: [{ request_txn: { success: many.slice(1) } }] },
      /key is not provided/,
    ],
  ])("%s is told", (_, message, told) => {
    expect(() => readTransaction(bytesOfMessage("TxnRequest", message))).toThrow(told);
  });

  test("bytes that are no message come before all", () => {
    const read = (): unknown =>
      readTransaction(bytesOfMessage("TxnRequest", { success: [noKey] }, 0x12, 0x05));
    expect(read).toThrow(DecodeError);
  });
});

describe("numbers that no key can have", () => {
  function compareOf(result: number, version: bigint): Compare {
    const compare = [{ ...KEY, result, version }];
    return readTransaction(bytesOfMessage("TxnRequest", { compare })).transaction.compares[0]!;
  }

  /** Whether a key of this version satisfies. */
  function holds({ result, target }: Compare, version: number): boolean {
    const wanted = Number(target.value);
    if (result === "equal") return version === wanted;
    if (result === "notEqual") return version !== wanted;
    return result === "greater" ? version > wanted : version < wanted;
  }

  test.each([-(2n ** 63n), -1n, 2n ** 53n + 1n, 2n ** 63n - 1n])("compare as %s does", (number) => {
    for (const version of [0, 1, 1000]) {
      const answers = [0, 1, 2, 3].map((result) => holds(compareOf(result, number), version));
      expect(answers).toEqual([false, number < 0n, number > 0n, true]);
    }
    expect(compareOf(0, number).target.value).toBeLessThanOrEqual(Number.MAX_SAFE_INTEGER);
  });

  test("are not taken from another alternative, of which the last one counts", () => {
    const out = new WireWriter();
    out.item(1, bytesOfMessage("Compare", { ...KEY, version: 1n, value: bytesOf("v") }).bytes);
    const [compare] = readTransaction(new WireReader(out.view())).transaction.compares;
    expect(compare?.target).toEqual({ kind: "version", value: 0 });
  });

  test("bound a range as they are: below zero nothing is", () => {
    for (const name of ["max_mod_revision", "max_create_revision"]) {
      const { operation } = readRange(bytesOfMessage("RangeRequest", { ...KEY, [name]: -1n }));
      expect(operation.minModRevision).toBe(Number.MAX_SAFE_INTEGER);
    }
    const { operation } = readRange(
      bytesOfMessage("RangeRequest", { ...KEY, min_mod_revision: -1n }),
    );
    expect(operation.minModRevision).toBe(0);
  });
});
