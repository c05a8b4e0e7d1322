/** JSON: base64, messages both ways, and objects cut from a stream. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { fromBase64, toBase64 } from "../../src/gateway/base64.js";
import { messageFromJson, messageToJson, withLongIntegers } from "../../src/gateway/json-codec.js";
import { JsonSplitter } from "../../src/gateway/json-splitter.js";
import { ETCD } from "../../src/gateway/messages.js";

describe("base64", () => {
  property.prop([fc.uint8Array({ maxLength: 100 })])("is what Node takes it for", (bytes) => {
    const text = Buffer.from(bytes).toString("base64");
    expect(toBase64(bytes)).toBe(text);
    expect(fromBase64(text)).toEqual(bytes);
    expect(fromBase64(text.replace(/=+$/, ""))).toEqual(bytes);
    expect(fromBase64(Buffer.from(bytes).toString("base64url"))).toEqual(bytes);
  });

  test.each(["a", "ab=c", "%%%%", "aaaa====", "ä123"])("refuses %s", (text) => {
    expect(fromBase64(text)).toBeUndefined();
  });
});

describe("messages", () => {
  const range = ETCD.message("etcdserverpb.RangeRequest");
  const compare = ETCD.message("etcdserverpb.Compare");

  test("are read with either name, numbers as text or number, enums by name or number", () => {
    const wanted = { key: bytesOf("k"), range_end: bytesOf("l"), limit: 7n, sort_order: 2 };
    const forms = [
      { key: "aw==", range_end: "bA==", limit: "7", sort_order: "DESCEND", other: { a: [1] } },
      { key: "aw==", rangeEnd: "bA==", limit: 7, sortOrder: 2, revision: null },
    ];
    for (const form of forms) expect(messageFromJson(range, form)).toEqual(wanted);
    // Whether a number is one of the enum is for who serves it to say.
    expect(messageFromJson(range, { sort_order: -1 })).toEqual({ sort_order: -1 });
  });

  test("keep the last digit of long integers, written as numbers", () => {
    const text = '{"limit": 9007199254740993, "revision":-9223372036854775808, "key":"\\u0030"}';
    const long =
      '{"limit": "9007199254740993", "revision":"-9223372036854775808", "key":"\\u0030"}';
    expect(withLongIntegers(text)).toBe(long);
    const others =
      '{"a":"9007199254740993, \\" 9007199254740993","b":0.12345678901234567890,"c":1}';
    expect(withLongIntegers(others)).toBe(others);
  });

  test("are written without what is a default, but for alternatives that were chosen", () => {
    expect(
      messageToJson(range, { key: new Uint8Array(0), limit: 0n, serializable: false }),
    ).toEqual({});
    expect(messageToJson(compare, { target: 2, mod_revision: 0n })).toEqual({
      target: "MOD",
      mod_revision: "0",
    });
    const response = ETCD.message("etcdserverpb.RangeResponse");
    const message = { header: { cluster_id: 2n ** 64n - 1n }, kvs: [{ value: bytesOf("v") }] };
    expect(messageToJson(response, message)).toEqual({
      header: { cluster_id: "18446744073709551615" },
      kvs: [{ value: "dg==" }],
    });
  });

  test.each([
    [[], /an object/],
    [{ key: "*" }, /key must be base64/],
    [{ key: 5 }, /key must be base64/],
    [{ limit: "seven" }, /limit must be an integer/],
    [{ limit: "01" }, /limit must be an integer/],
    [{ limit: 1.5 }, /limit must be an integer/],
    [{ sort_order: "UP" }, /sort_order must be one of NONE, ASCEND, DESCEND/],
    [{ limit: "9223372036854775808" }, /limit must be within int64/],
    [{ sort_order: 2 ** 31 }, /sort_order must be one of NONE, ASCEND, DESCEND/],
    [{ serializable: "yes" }, /serializable must be true or false/],
  ])("that are none are refused: %j", (json, reason) => {
    expect(() => messageFromJson(range, json)).toThrow(reason);
  });
});

test("two alternatives in one message are refused", () => {
  const compare = ETCD.message("etcdserverpb.Compare");
  const both = { key: "aw==", version: 1, value: "dg==" };
  expect(() => messageFromJson(compare, both)).toThrow(/value must be absent where version is/);
});

describe("a stream of objects", () => {
  property.prop([
    fc.array(fc.object({ maxDepth: 3 }), { maxLength: 5 }),
    fc.integer({ min: 1, max: 9 }),
  ])("is cut where they end, however its bytes come", (objects, size) => {
    const bytes = bytesOf(objects.map((one) => JSON.stringify(one)).join(" \n"));
    const splitter = new JsonSplitter(100_000);
    const texts: string[] = [];
    for (let at = 0; at < bytes.length; at += size) {
      texts.push(...splitter.push(bytes.subarray(at, at + size)));
    }
    expect(texts.map((text) => JSON.parse(text) as unknown)).toEqual(
      objects.map((one) => JSON.parse(JSON.stringify(one)) as unknown),
    );
  });

  test("is refused where it is something else, or too large", () => {
    expect(() => new JsonSplitter(10).push(bytesOf("[1]"))).toThrow(/an object is wanted/);
    expect(() => new JsonSplitter(5).push(bytesOf('{"a":12345'))).toThrow(/too large/);
  });
});
