/** The largest requests, to the byte: what an etcd with an id of nine bytes takes, and no more. */
import { describe, expect, test } from "vitest";
import { encodeMessage } from "../../src/gateway/message-codec.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { ETCD } from "../../src/gateway/messages.js";
import { WireWriter } from "../../src/gateway/wire.js";
import { bytesOf } from "../support/bytes-of.js";
import { backend, client, server, serve, serveEach } from "./served.js";

const TOO_LARGE = { status: 3, message: "etcdserver: request is too large" };
const key = bytesOf("k");

serveEach();

/** Requests of each kind by the length of what they carry. */
const KINDS: readonly (readonly [string, string, (bytes: Uint8Array) => Message])[] = [
  ["Put", "Put", (value) => ({ key, value })],
  ["DeleteRange", "DeleteRange", (range_end) => ({ key, range_end })],
  ["Txn", "Txn", (value) => ({ success: [{ request_put: { key, value } }] })],
  [
    "Txn",
    "Txn",
    (value) => {
      const inside = {
        compare: [{ key, target: 3, value }],
        success: [{ request_range: { key } }],
      };
      return { failure: [{ request_txn: inside }] };
    },
  ],
];

function sizeOf(name: string, request: Message): number {
  const out = new WireWriter();
  encodeMessage(out, ETCD.message(`etcdserverpb.${name}Request`), request);
  return out.length;
}

describe.each([
  ["etcd's default", 1_572_864, 1_572_847],
  ["a limit of 1 KiB", 1024, 1008],
])("with %s", (_what, requestSizeBytesMax, largest) => {
  test.each(KINDS)("a %s may be so large and no larger", async (path, name, made) => {
    await server.close();
    await serve({ requestSizeBytesMax });
    const filled = largest - sizeOf(name, made(new Uint8Array(largest)));
    const of = (bytes: number): Message => made(new Uint8Array(largest + filled + bytes));
    expect(sizeOf(name, of(0))).toBe(largest);
    const call = `/etcdserverpb.KV/${path}`;
    expect((await client.call(call, name, of(0))).status).toBe(0);
    const { entered } = backend;
    expect(await client.call(call, name, of(1))).toMatchObject(TOO_LARGE);
    expect(backend.entered).toBe(entered);
  });
});

test("what only reads is bounded as a message is", async () => {
  const value = new Uint8Array(1_572_864 + 400_000);
  const compare = [{ key, target: 3, value }];
  const request = { compare, success: [{ request_range: { key } }] };
  expect((await client.call("/etcdserverpb.KV/Txn", "Txn", request)).status).toBe(0);
});

test("what else is wrong with a request is told first", async () => {
  const value = new Uint8Array(1_572_864);
  const { message } = await client.call("/etcdserverpb.KV/Put", "Put", { value });
  expect(message).toBe("etcdserver: key is not provided");
});

test("JSON is measured as the message that it is", async () => {
  const put = async (bytes: number): Promise<number> => {
    const value = Buffer.alloc(bytes).toString("base64");
    return (await server.fetch("/v3/kv/put", JSON.stringify({ key: "aw==", value }))).status;
  };
  expect(await put(1_572_840)).toBe(200);
  expect(await put(1_572_841)).toBe(400);
});
