/** Calls whose answer is a stream: ranges and snapshots, by gRPC and by JSON. */
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { readSnapshot } from "../support/snapshots.js";
import { frameOf } from "../../scripts/bench/grpc-client.js";
import type { GrpcStream } from "../../scripts/bench/grpc-client.js";
import { concatBytes } from "../../src/base/bytes.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { GRPC } from "../../src/gateway/status.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import { keyValue } from "./fake-backend.js";
import { backend, client, server, serveEach } from "./served.js";

const RANGE_STREAM = "/etcdserverpb.KV/RangeStream";
const SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot";
const OPEN = new Uint8Array([0]);

serveEach();

function rows(count: number, valueBytes: number): KeyValue[] {
  return Array.from({ length: count }, (_, i) =>
    keyValue(bytesOf(`k${String(i).padStart(6, "0")}`), new Uint8Array(valueBytes).fill(i), 3),
  );
}

function rangeStream(request: Message): GrpcStream {
  const stream = client.stream(RANGE_STREAM, "RangeStream");
  stream.write(frameOf("RangeRequest", request));
  stream.end();
  return stream;
}

function snapshot(): GrpcStream {
  const stream = client.stream(SNAPSHOT, "Snapshot");
  stream.send({});
  stream.end();
  return stream;
}

describe("a streamed range", () => {
  test("comes in parts of one revision, of which the last has header, count and more", async () => {
    backend.rows = rows(1000, 2000);
    const stream = rangeStream({ key: OPEN, range_end: OPEN, limit: 900n });
    const parts = (await stream.rest()).map((part) => part["range_response"] as Message);
    expect(await stream.ended).toEqual({ status: 0, message: "" });
    expect(parts.length).toBeGreaterThan(3);
    const kvs = parts.flatMap((part) => part["kvs"] as { key: Uint8Array }[]);
    expect(kvs.map(({ key }) => key)).toEqual(backend.rows.slice(0, 900).map(({ key }) => key));
    for (const part of parts.slice(0, -1)) expect(Object.keys(part)).toEqual(["kvs"]);
    expect(parts.at(-1)).toMatchObject({ header: { revision: 5n }, count: 1000n, more: true });
    expect(backend.ranges.map(({ revision, countOnly }) => [revision, countOnly])).toEqual([
      [0, true],
      [5, false],
    ]);
  });

  test("of nothing, or of a count alone, is one part", async () => {
    const wanted = { header: { revision: 5n } };
    expect(await rangeStream({ key: bytesOf("k") }).rest()).toMatchObject([
      { range_response: wanted },
    ]);
    backend.rows = rows(3, 1);
    expect(
      await rangeStream({ key: OPEN, range_end: OPEN, count_only: true }).rest(),
    ).toMatchObject([{ range_response: { ...wanted, count: 3n } }]);
    expect(backend.scanned).toBe(0);
  });

  test.each([
    ["without a key", {}, 3, "etcdserver: key is not provided"],
    ["backwards", { key: OPEN, sort_order: 2 }, 12, /order of keys/],
    ["by value", { key: OPEN, sort_target: 3 }, 12, /order of keys/],
    ["between revisions", { key: OPEN, min_mod_revision: 4n }, 12, /bounds of revisions/],
  ])("%s is refused", async (_, request, status, message) => {
    const stream = rangeStream(request);
    expect(await stream.rest()).toEqual([]);
    const ended = await stream.ended;
    expect(ended.status).toBe(status);
    expect(ended.message).toMatch(message);
  });

  test("that fails on its way ends with that", async () => {
    backend.rows = rows(1000, 2000);
    const stream = rangeStream({ key: OPEN, range_end: OPEN });
    expect(await stream.next()).toBeDefined();
    backend.error = notApplied("compacted", "gone");
    await stream.rest();
    const message = "etcdserver: mvcc: required revision has been compacted";
    expect(await stream.ended).toEqual({ status: GRPC.outOfRange, message });
  });
});

describe("a stream of answers", () => {
  test("is drawn while there is room, and ends with a client that goes", async () => {
    backend.rows = rows(20_000, 2000);
    const stream = rangeStream({ key: OPEN, range_end: OPEN });
    expect(await stream.next()).toBeDefined();
    const drawn = await settled(() => backend.scanned);
    expect(drawn).toBeLessThan(10_000);
    stream.cancel();
    await eventually(() => backend.scansEnded === 1);
    expect(backend.scanned).toBeLessThan(10_000);
  });

  test("ends with its deadline, and with its node", async () => {
    backend.rows = rows(2, 1);
    backend.gate = new Promise(() => undefined);
    const late = client.stream(SNAPSHOT, "Snapshot", { "grpc-timeout": "30m" });
    late.send({});
    expect(await late.next()).toBeUndefined();
    expect(await late.ended).toEqual({ status: 4, message: "context deadline exceeded" });
    const open = snapshot();
    await eventually(() => backend.entered === 2);
    void server.gateway.close();
    expect(await open.next()).toBeUndefined();
    expect(await open.ended).toEqual({ status: 14, message: "etcdserver: server stopped" });
  });

  test("is by JSON a line for each answer, or a plain refusal", async () => {
    backend.rows = rows(300, 2000);
    const body = '{"key":"AA==","range_end":"AA=="}';
    const { status, text } = await server.fetch("/v3/kv/rangestream", body);
    expect(status).toBe(200);
    const lines = text.trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({
      result: { range_response: { count: "300" } },
    });
    const refused = await server.fetch("/v3/kv/rangestream", "{}");
    expect(refused.status).toBe(400);
    expect(JSON.parse(refused.text)).toMatchObject({ code: 3 });
  });
});

describe("a snapshot", () => {
  test("is a whole one in blobs of 32 KiB, of one revision, and ends with its hash", async () => {
    backend.rows = rows(500, 999).map((row, i) => ({ ...row, lease: i === 7 ? 9n : 0n }));
    const blobs = await snapshot().rest();
    const sizes = blobs.map((one) => (one["blob"] as Uint8Array).length);
    expect(new Set(sizes.slice(0, -2))).toEqual(new Set([32 * 1024]));
    expect(sizes.at(-1)).toBe(32);
    const remaining = blobs.map((one) => Number(one["remaining_bytes"] ?? 0n));
    expect(remaining.slice(-2)).toEqual([32, 0]);
    expect(blobs[0]).toMatchObject({ version: "3.6.0" });
    expect(blobs[0]).not.toHaveProperty("header");
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect(remaining[0]).toBe(total - 32 * 1024);
    const { reader, kvs } = await readSnapshot(whole(blobs));
    expect(kvs).toEqual(backend.rows);
    expect(reader.leases).toEqual(new Map([3n, 9n, 2n ** 64n - 1n].map((id) => [id, 60])));
    expect(reader.revision).toBe(5);
    expect(backend.ranges.at(-1)).toMatchObject({ revision: 5, countOnly: false });
  });

  test("of nothing is a whole one, too", async () => {
    const { reader, kvs } = await readSnapshot(whole(await snapshot().rest()));
    expect([kvs, reader.revision]).toEqual([[], 5]);
  });
});

function whole(blobs: readonly Message[]): Uint8Array {
  return concatBytes(...blobs.map((one) => one["blob"] as Uint8Array));
}

/** The value that a counter stays at. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1; ;) {
    const now = count();
    if (now === before) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
