/** Protobuf, by tables and by hand, and the tables held against the .proto files. */
import { readFileSync } from "node:fs";
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { equalBytes } from "../../src/base/bytes.js";
import { DecodeError } from "../../src/base/coding.js";
import { TRANSACTION_DEPTH_MAX } from "../../src/base/limits.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { readDelete, readPut, readRange, readTransaction } from "../../src/gateway/kv-requests.js";
import { HeaderWriter, writeRange, writeTransaction } from "../../src/gateway/kv-responses.js";
import { messageFromJson, messageToJson } from "../../src/gateway/json-codec.js";
import { decodeMessage, encodeMessage } from "../../src/gateway/message-codec.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { ETCD } from "../../src/gateway/messages.js";
import { LeaderMonitor } from "../../src/gateway/leader-monitor.js";
import { methodsOf } from "../../src/gateway/methods.js";
import type { Field, MessageType } from "../../src/gateway/schema.js";
import { StatusError } from "../../src/gateway/status.js";
import { WireReader, WireWriter } from "../../src/gateway/wire.js";
import { readWatchRequest } from "../../src/gateway/watch-messages.js";
import type { Operation, OperationResult, Transaction } from "../../src/protocol/operations.js";
import { FakeBackend, keyValue } from "./fake-backend.js";

const MESSAGES: readonly MessageType[] = [...ETCD.messages.values()];

function encoded(type: string, message: Message): Uint8Array {
  const out = new WireWriter();
  encodeMessage(out, ETCD.message(type), message);
  return out.copy();
}

/** A message with values in some of its fields, none of them a default. */
function anyMessage(type: MessageType, depth = 0): fc.Arbitrary<Message> {
  const fields = Object.fromEntries(
    type.fields
      .filter(({ type: of }) => depth < 3 || of.kind !== "message")
      .map((field) => [field.name, anyField(field, depth)]),
  );
  return fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Message>;
}

function anyField(field: Field, depth: number): fc.Arbitrary<unknown> {
  const one = anyValue(field, depth);
  return field.repeated ? fc.array(one, { minLength: 1, maxLength: 3 }) : one;
}

function anyValue({ type }: Field, depth: number): fc.Arbitrary<unknown> {
  switch (type.kind) {
    case "bytes":
      return fc.uint8Array({ minLength: 1, maxLength: 200 });
    case "string":
      return fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" });
    case "bool":
      return fc.constant(true);
    case "int64":
      return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).filter((n) => n !== 0n);
    case "uint64":
      return fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
    case "uint32":
      return fc.integer({ min: 1, max: 0xffff_ffff });
    case "enum":
      return fc.integer({ min: 1, max: type.type.values.length - 1 });
    case "message":
      return anyMessage(type.type, depth + 1);
  }
}

const anyTyped = fc
  .constantFrom(...MESSAGES)
  .chain((type) => anyMessage(type).map((message) => ({ type, message })));

/** A field that no message has, of each wire type. */
const UNKNOWN = [
  [0xf8, 0x7f, 0xff, 0x01],
  [0xfa, 0x7f, 2, 9, 9],
  [0xf9, 0x7f, 1, 2, 3, 4, 5, 6, 7, 8],
  [0xfd, 0x7f, 1, 2, 3, 4],
].flat();

describe("messages by their tables", () => {
  property.prop([anyTyped])("are read as they were written", ({ type, message }) => {
    expect(decodeMessage(type, encoded(type.name, message))).toEqual(message);
  });

  property.prop([anyTyped])("are read past what nobody knows", ({ type, message }) => {
    const bytes = Uint8Array.from([...UNKNOWN, ...encoded(type.name, message), ...UNKNOWN]);
    expect(decodeMessage(type, bytes)).toEqual(message);
  });

  property.prop([anyTyped, fc.nat()])("cut short are refused, or shorter", (typed, at) => {
    const bytes = encoded(typed.type.name, typed.message);
    const cut = bytes.subarray(0, at % (bytes.length + 1));
    try {
      decodeMessage(typed.type, cut);
    } catch (error) {
      expect(error).toBeInstanceOf(DecodeError);
    }
  });

  property.prop([fc.constantFrom(...MESSAGES), fc.uint8Array({ maxLength: 80 })])(
    "that are any bytes are refused, or read",
    (type, bytes) => {
      try {
        decodeMessage(type, bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
      }
    },
  );

  test("may be nested as deep as transactions can be", () => {
    const type = ETCD.message("etcdserverpb.TxnRequest");
    let message: Message = {};
    for (let i = 0; i < TRANSACTION_DEPTH_MAX; i++) {
      message = { [i % 2 === 0 ? "success" : "failure"]: [{ request_txn: message }] };
    }
    const out = new WireWriter();
    encodeMessage(out, type, message);
    expect(decodeMessage(type, out.view())).toEqual(message);
    expect(messageFromJson(type, messageToJson(type, message))).toEqual(message);
    const { transaction } = readTransaction(new WireReader(out.view()));
    let depth = 0;
    for (let txn: Transaction | undefined = transaction; txn !== undefined; depth++) {
      const inner: Operation | undefined = [...txn.success, ...txn.failure][0];
      txn = inner?.kind === "txn" ? inner.txn : undefined;
    }
    expect(depth).toBe(TRANSACTION_DEPTH_MAX + 1);
  });

  test("of results are written as they are read, however deep and large", () => {
    const kv = keyValue(bytesOf("k"), new Uint8Array(40_000), 3);
    let results: OperationResult[] = [{ kind: "range", kvs: [kv], more: false, count: 1 }];
    for (let i = 0; i < TRANSACTION_DEPTH_MAX; i++) {
      results = [{ kind: "txn", result: { succeeded: true, results } }];
    }
    const out = new WireWriter();
    writeTransaction(out, { revision: 3, succeeded: true, results });
    const response = decodeMessage(ETCD.message("etcdserverpb.TxnResponse"), out.view());
    const again = new WireWriter();
    encodeMessage(again, ETCD.message("etcdserverpb.TxnResponse"), response);
    expect(again.length).toBeGreaterThan(40_000);
    expect(response["responses"]).toHaveLength(1);
  });

  test("are refused where they are nested without end", () => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < 2 * TRANSACTION_DEPTH_MAX + 20; i++) {
      const out = new WireWriter();
      out.item(i % 2 === 0 ? 2 : 4, bytes);
      bytes = out.copy();
    }
    expect(() => decodeMessage(ETCD.message("etcdserverpb.RequestOp"), bytes)).toThrow(DecodeError);
    const transaction = new WireWriter();
    transaction.item(2, bytes);
    expect(() => readTransaction(new WireReader(transaction.view()))).toThrow(/nested too deeply/);
  });
});

describe("nested messages", () => {
  test.each([0, 1, 127, 128, 129, 16_383, 16_384, 70_000])(
    "keep their place where %i bytes were guessed wrongly",
    (size) => {
      for (const hint of [0, 127, 128, 20_000, 3_000_000]) {
        const out = new WireWriter(8);
        const start = out.begin(3, hint);
        out.raw(new Uint8Array(size).fill(7));
        out.end(start, hint);
        out.int64(4, 9);
        const reader = new WireReader(out.copy());
        expect(reader.tag()).toBe(0x1a);
        expect(equalBytes(reader.blob(), new Uint8Array(size).fill(7))).toBe(true);
        expect([reader.tag(), reader.int64(), reader.tag()]).toEqual([0x20, 9, 0]);
      }
    },
  );
});

const anyKv = (name: string): fc.Arbitrary<Message> => anyMessage(ETCD.message(name));
const number = (value: Message[string]): number => {
  const whole = Number(value ?? 0n);
  return whole < 0 ? 0 : Math.min(whole, Number.MAX_SAFE_INTEGER);
};

const isBarred = (message: Message): boolean =>
  ["max_mod_revision", "max_create_revision"].some((name) => Number(message[name] ?? 0n) < 0);

test("a tag may have 64 bits, of which 32 count as the number of the field", () => {
  const tagOf = (tag: bigint): number => {
    const out = new WireWriter();
    out.varintBig(tag);
    return new WireReader(out.copy()).tag();
  };
  expect(tagOf((1n << 35n) | 0x1an)).toBe(0x1a);
  expect(tagOf((1n << 33n) | 0x1an)).toBe(2 ** 33 + 0x1a);
  for (const none of [2n, 1n << 35n, 1n << 34n, (1n << 34n) | 0x1an]) {
    expect(() => tagOf(none)).toThrow("no field has that tag");
  }
});

describe("hot requests, read by hand, are what the tables say", () => {
  property.prop([anyKv("etcdserverpb.RangeRequest").filter((one) => "key" in one)])(
    "range",
    (message) => {
      const bytes = encoded("etcdserverpb.RangeRequest", message);
      const { operation, consistency } = readRange(new WireReader(bytes));
      expect(operation).toEqual({
        kind: "range",
        key: message["key"],
        rangeEnd: message["range_end"],
        limit: number(message["limit"]),
        revision: number(message["revision"]),
        sortOrder: ["none", "ascend", "descend"][number(message["sort_order"])],
        sortTarget: ["key", "version", "create", "mod", "value"][number(message["sort_target"])],
        keysOnly: message["keys_only"] === true,
        countOnly: message["count_only"] === true,
        minModRevision: isBarred(message)
          ? Number.MAX_SAFE_INTEGER
          : number(message["min_mod_revision"]),
        maxModRevision: number(message["max_mod_revision"]),
        minCreateRevision: number(message["min_create_revision"]),
        maxCreateRevision: number(message["max_create_revision"]),
      });
      expect(consistency === "serializable").toBe(message["serializable"] === true);
    },
  );

  property.prop([
    fc.uint8Array({ minLength: 1 }),
    fc.uint8Array(),
    fc.bigInt({ min: 1n, max: 9n }),
  ])("put and delete", (key, value, lease) => {
    const put = encoded("etcdserverpb.PutRequest", { key, value, lease, prev_kv: true });
    expect(readPut(new WireReader(put))).toMatchObject({ key, value, lease, prevKv: true });
    const end = value.length === 0 ? undefined : value;
    const gone = encoded("etcdserverpb.DeleteRangeRequest", { key, range_end: value });
    expect(readDelete(new WireReader(gone))).toMatchObject({ key, rangeEnd: end, prevKv: false });
  });

  property.prop([anyKv("etcdserverpb.WatchCreateRequest")])("watch", (message) => {
    const bytes = encoded("etcdserverpb.WatchRequest", { create_request: message });
    const filters = (message["filters"] ?? []) as readonly number[];
    expect(readWatchRequest(new WireReader(bytes))).toMatchObject({
      kind: "create",
      create: {
        key: message["key"] ?? new Uint8Array(0),
        startRevision: Math.min(Number(message["start_revision"] ?? 0n), Number.MAX_SAFE_INTEGER),
        watchId: message["watch_id"] ?? 0n,
        noPut: filters.includes(0),
        noDelete: filters.includes(1),
        fragment: message["fragment"] === true,
      },
    });
  });

  test("a transaction, with one inside", () => {
    const inner = { compare: [], success: [], failure: [{ request_put: { key: bytesOf("i") } }] };
    const message = {
      compare: [
        { key: bytesOf("a"), target: 3, result: 1, value: bytesOf("x"), range_end: bytesOf("b") },
        { key: bytesOf("a"), target: 4, result: 3, lease: 2n ** 62n },
        { key: bytesOf("a"), mod_revision: 4n, target: 2 },
      ],
      success: [{ request_range: { key: bytesOf("r"), serializable: true } }],
      failure: [{ request_txn: inner }, { request_delete_range: { key: bytesOf("d") } }],
    };
    const bytes = encoded("etcdserverpb.TxnRequest", message);
    const { transaction, consistency } = readTransaction(new WireReader(bytes));
    expect(consistency).toBe("linearizable");
    expect(transaction.compares).toMatchObject([
      { result: "greater", target: { kind: "value", value: bytesOf("x") }, rangeEnd: bytesOf("b") },
      { result: "notEqual", target: { kind: "lease", value: 2n ** 62n } },
      { result: "equal", target: { kind: "mod", value: 4 } },
    ]);
    expect(transaction.success).toMatchObject([{ kind: "range", key: bytesOf("r") }]);
    expect(transaction.failure).toMatchObject([
      { kind: "txn", txn: { failure: [{ kind: "put", key: bytesOf("i") }] } },
      { kind: "delete", key: bytesOf("d") },
    ]);
  });

  test("a compare takes no number that was given for another target", () => {
    const compare = [{ key: bytesOf("a"), target: 1, mod_revision: 4n }];
    const bytes = encoded("etcdserverpb.TxnRequest", { compare });
    const [read] = readTransaction(new WireReader(bytes)).transaction.compares;
    expect(read?.target).toEqual({ kind: "create", value: 0 });
  });

  test("ranges that may all be read anywhere make a transaction that may", () => {
    const local = { request_range: { key: bytesOf("a"), serializable: true } };
    const read = (success: readonly Message[]): string =>
      readTransaction(new WireReader(encoded("etcdserverpb.TxnRequest", { success }))).consistency;
    expect(read([local, local])).toBe("serializable");
    expect(read([local, { request_range: { key: bytesOf("b") } }])).toBe("linearizable");
    expect(read([])).toBe("linearizable");
  });
});

describe("answers, written by hand", () => {
  const header = new HeaderWriter(() => ({ clusterId: 2n ** 64n - 1n, memberId: 3n, raftTerm: 4 }));

  test("of a range are what the tables read", () => {
    const out = new WireWriter();
    header.write(out, 2 ** 40);
    const kvs = [{ ...keyValue(bytesOf("k"), new Uint8Array(300).fill(1), 7), lease: -1n }];
    writeRange(out, { kvs, more: true, count: 9 });
    expect(decodeMessage(ETCD.message("etcdserverpb.RangeResponse"), out.copy())).toEqual({
      header: {
        cluster_id: 2n ** 64n - 1n,
        member_id: 3n,
        revision: 2n ** 40n,
        raft_term: 4n,
      },
      kvs: [
        {
          key: bytesOf("k"),
          create_revision: 7n,
          mod_revision: 7n,
          version: 1n,
          value: new Uint8Array(300).fill(1),
          lease: -1n,
        },
      ],
      more: true,
      count: 9n,
    });
  });

  test("of a transaction say in each result which revision it shows", () => {
    const out = new WireWriter();
    const range = { kind: "range", kvs: [], more: false, count: 0 } as const;
    const gone = { kind: "delete", deleted: 0, prevKvs: [] } as const;
    const put = { kind: "put", prevKv: undefined } as const;
    const nested = { kind: "txn", result: { succeeded: true, results: [range] } } as const;
    writeTransaction(out, {
      revision: 8,
      succeeded: true,
      results: [range, gone, put, range, nested],
    });
    const message = decodeMessage(ETCD.message("etcdserverpb.TxnResponse"), out.copy());
    expect(message["responses"]).toMatchObject([
      { response_range: { header: { revision: 7n } } },
      { response_delete_range: { header: { revision: 7n } } },
      { response_put: { header: { revision: 8n } } },
      { response_range: { header: { revision: 8n } } },
      { response_txn: { header: {}, responses: [{ response_range: {} }] } },
    ]);
  });
});

describe("the .proto files", () => {
  const texts = ["kv", "rpc", "lock", "election", "health"].map((name) =>
    readFileSync(`src/gateway/proto/${name}.proto`, "utf8"),
  );
  const said = texts.flatMap(fieldsIn).sort();

  test("have the fields of the tables, and no others", () => {
    const known = MESSAGES.flatMap((type) =>
      type.fields.map((field) => lineOf(type, field)),
    ).sort();
    expect(said).toEqual(known);
  });

  test("have the names of the tables' enums, in their order", () => {
    for (const { name, values } of ETCD.enums.values()) {
      const text = values.map((value, i) => `${value} = ${i};`).join(" ");
      const short = name.split(".").pop() ?? "";
      const all = texts.map((one) => one.replace(/\s+/g, " ")).join(" ");
      expect(all).toContain(`enum ${short} { ${text} }`);
    }
  });

  test("have the calls that are served", () => {
    const backend = new FakeBackend();
    const host = {
      backend,
      header: new HeaderWriter(() => backend.origin),
      timers: nodeTimers,
      counts: { watches: 0, watchStreams: 0 },
      requestBytesMax: 1000,
      fragmentBytesMax: 1000,
      progressIntervalMs: 1000,
    };
    const methods = methodsOf(host, new LeaderMonitor(backend, nodeTimers));
    let pack = "";
    let service = "";
    let calls = 0;
    for (const line of texts.join("\n").split("\n")) {
      pack = /^package ([\w.]+);/.exec(line)?.[1] ?? pack;
      service = /^service (\w+)/.exec(line)?.[1] ?? service;
      const rpc = /rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)/.exec(line);
      if (rpc === null) continue;
      const method = methods.byPath(`/${pack}.${service}/${rpc[1]}`);
      if (method instanceof StatusError) throw method;
      expect([method.request.name, method.response.name]).toEqual([
        `${pack}.${rpc[3]}`,
        `${pack}.${rpc[5]}`,
      ]);
      const streams = [method.session !== undefined, method.serve === undefined];
      expect(streams).toEqual([rpc[2] !== undefined, rpc[4] !== undefined]);
      calls++;
    }
    expect(calls).toBe(34);
  });
});

/** As "message number name type". */
function lineOf(message: MessageType, { name, number: at, type, repeated }: Field): string {
  const kind = type.kind === "enum" || type.kind === "message" ? type.type.name : type.kind;
  const short = kind.split(".").pop();
  return `${message.name} ${at} ${name} ${repeated ? "repeated " : ""}${short}`;
}

function fieldsIn(text: string): string[] {
  const found: string[] = [];
  const pack = /^package ([\w.]+);/m.exec(text)?.[1] ?? "";
  let message = "";
  for (const line of text.split("\n")) {
    message = /^message (\w+)/.exec(line)?.[1] ?? message;
    const field = /^ {2,4}(repeated )?([\w.]+) (\w+) = (\d+);$/.exec(line);
    if (field === null || message === "") continue;
    const [, repeated = "", type = "", name = "", at = ""] = field;
    found.push(`${pack}.${message} ${at} ${name} ${repeated}${type.split(".").pop()}`);
  }
  return found;
}
