/** The watch stream over a real connection: what is told, in which order, and to a slow reader. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import type { GrpcStream } from "../../scripts/bench/grpc-client.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { notApplied } from "../../src/protocol/errors.js";
import { putEvent } from "./fake-backend.js";
import type { FakeWatch } from "./fake-backend.js";
import { backend, client, serve, server } from "./served.js";

const VALUE = bytesOf("v");

let stream: GrpcStream;

async function open(options: { readonly progressIntervalMs?: number } = {}): Promise<void> {
  await serve({ requestSizeBytesMax: 1024, ...options });
  stream = client.stream("/etcdserverpb.Watch/Watch", "Watch");
}

beforeEach(() => open());
afterEach(() => server.close());

/** Creates a watch; gives the response and, if it was created, what feeds it. */
async function create(request: Message): Promise<{ response: Message; feed: FakeWatch }> {
  stream.send({ create_request: { key: bytesOf("k"), ...request } });
  const response = await stream.next();
  return { response: response!, feed: backend.watches[backend.watches.length - 1]! };
}

const keysIn = (response: Message | undefined): readonly string[] =>
  ((response?.["events"] ?? []) as readonly { readonly kv: { readonly key: Uint8Array } }[]).map(
    ({ kv }) => String.fromCharCode(...kv.key),
  );

describe("creating", () => {
  test("is confirmed with the revision behind which it begins", async () => {
    const { response, feed } = await create({
      range_end: bytesOf("l"),
      prev_kv: true,
      filters: [1],
    });
    expect(response).toMatchObject({ header: { revision: 5n }, created: true });
    expect(response["watch_id"]).toBeUndefined();
    expect(feed.options).toEqual({
      key: bytesOf("k"),
      rangeEnd: bytesOf("l"),
      startRevision: 6,
      prevKv: true,
      noPut: false,
      noDelete: true,
    });
  });

  test("gives ids from 0 on, or the one that is wanted", async () => {
    const ids: unknown[] = [];
    for (const watch_id of [0n, 0n, 2n, 7n, 0n, 2n ** 53n + 1n, -5n]) {
      ids.push((await create({ watch_id })).response["watch_id"]);
    }
    expect(ids).toEqual([undefined, 1n, 2n, 7n, 3n, 2n ** 53n + 1n, -5n]);
    const { response } = await create({ watch_id: 7n });
    expect(response).toMatchObject({
      watch_id: -1n,
      created: true,
      canceled: true,
      cancel_reason: "mvcc: duplicate watch ID provided on the WatchStream",
    });
  });

  test("may begin at any revision there can be", async () => {
    const { response, feed } = await create({ start_revision: 2n ** 63n - 1n });
    expect(response).toMatchObject({ created: true });
    expect(feed.options.startRevision).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("is refused for a range that is empty, and for a start below zero", async () => {
    const refused = { watch_id: -1n, created: true, canceled: true };
    expect((await create({ range_end: bytesOf("a") })).response).toMatchObject({
      ...refused,
      cancel_reason: "mvcc: watcher range is empty",
    });
    expect((await create({ start_revision: -3n })).response).toMatchObject({
      ...refused,
      cancel_reason: "etcdserver: mvcc: required revision has been compacted",
    });
    expect(backend.watches).toEqual([]);
  });

  test("without a key means all keys from the first on", async () => {
    const { feed } = await create({ key: new Uint8Array(0), range_end: Uint8Array.of(0) });
    expect(feed.options).toMatchObject({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) });
  });
});

describe("events", () => {
  test("come with their watch's id; those that wait come together", async () => {
    const first = (await create({})).feed;
    const second = (await create({ key: bytesOf("other") })).feed;
    second.give({ revision: 6, events: [putEvent("b", 6, VALUE)] });
    expect(await stream.next()).toMatchObject({ watch_id: 1n, header: { revision: 6n } });
    first.give({ revision: 6, events: [putEvent("a", 6, VALUE), putEvent("b", 6, VALUE)] });
    first.give({ revision: 7, events: [putEvent("c", 7, VALUE)] });
    first.give({ progress: 9 });
    const together = await stream.next();
    expect(together).toMatchObject({ header: { revision: 9n } });
    expect(keysIn(together)).toEqual(["a", "b", "c"]);
  });

  test("of a delete have no more than key and revision", async () => {
    const { feed } = await create({});
    const gone = { ...putEvent("k", 6, VALUE), type: "delete" as const };
    const kv = { ...gone.kv, value: new Uint8Array(0), createRevision: 0, version: 0 };
    feed.give({ revision: 6, events: [{ ...gone, kv, prevKv: putEvent("k", 5, VALUE).kv }] });
    expect((await stream.next())?.["events"]).toEqual([
      {
        type: 1,
        kv: { key: bytesOf("k"), mod_revision: 6n },
        prev_kv: expect.objectContaining({ value: VALUE, mod_revision: 5n }) as unknown,
      },
    ]);
  });

  test("too large for a response come in fragments to who asked, and whole to others", async () => {
    const large = new Uint8Array(300_000);
    const events = ["a", "b", "c", "d"].map((key) => putEvent(key, 6, large));
    (await create({ fragment: true })).feed.give({ revision: 6, events });
    const parts = [
      await stream.next(),
      await stream.next(),
      await stream.next(),
      await stream.next(),
    ];
    expect(parts.map((part) => [keysIn(part), part?.["fragment"]])).toEqual([
      [["a"], true],
      [["b"], true],
      [["c"], true],
      [["d"], undefined],
    ]);
    const whole = (await create({ key: bytesOf("other") })).feed;
    whole.give({ revision: 7, events });
    expect(keysIn(await stream.next())).toEqual(["a", "b", "c", "d"]);
  });

  test("are drawn once for all who watch the same", async () => {
    const { feed } = await create({});
    await create({ fragment: true });
    await create({ prev_kv: true });
    expect(backend.watches.length).toBe(2);
    feed.give({ revision: 6, events: ["a", "b"].map((key) => putEvent(key, 6, VALUE)) });
    const told: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const part = await stream.next();
      told.push([part?.["watch_id"] ?? 0n, ...keysIn(part)]);
    }
    expect(told).toEqual([
      [0n, "a", "b"],
      [1n, "a", "b"],
    ]);
  });

  test("behind which a watch begins are not told to it", async () => {
    const { feed } = await create({});
    backend.now = 6;
    await create({ start_revision: 8n });
    feed.give({ revision: 6, events: [putEvent("k", 6, VALUE)] });
    feed.give({ revision: 8, events: [putEvent("k", 8, VALUE)] });
    const told: unknown[] = [];
    for (let i = 0; i < 2; i++) {
      const { watch_id = 0n, events } = (await stream.next()) as { watch_id?: bigint; events: [] };
      told.push([watch_id, events.length]);
    }
    expect(told).toEqual([
      [0n, 2],
      [1n, 1],
    ]);
  });

  test("wait with the backend while nobody reads", async () => {
    const { feed } = await create({});
    const large = new Uint8Array(100_000);
    for (let i = 0; i < 200; i++) {
      feed.give({ revision: 6 + i, events: [putEvent("k", 6 + i, large)] });
    }
    const settled = await eventually(async () => {
      const before = feed.waiting;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return feed.waiting === before ? before : false;
    });
    expect(settled).toBeGreaterThan(150);
    let seen = 0;
    while (seen < 200) seen += keysIn(await stream.next()).length;
    expect(feed.waiting).toBe(0);
  });
});

describe("the end of a watch", () => {
  test("by its client leaves the others alone; an unknown id gets no answer", async () => {
    const first = (await create({})).feed;
    const second = (await create({ key: bytesOf("other") })).feed;
    stream.send({ cancel_request: { watch_id: 55n } });
    stream.send({ cancel_request: { watch_id: 0n } });
    expect(await stream.next()).toMatchObject({ header: { revision: 5n }, canceled: true });
    expect([first.isCancelled, second.isCancelled]).toEqual([true, false]);
    second.give({ revision: 6, events: [putEvent("k", 6, VALUE)] });
    expect(await stream.next()).toMatchObject({ watch_id: 1n });
  });

  test("whose start is compacted tells the revision, and the stream goes on", async () => {
    const { feed } = await create({ start_revision: 2n });
    feed.break(notApplied("compacted", "gone", { bound: 4 }));
    expect(await stream.next()).toMatchObject({ canceled: true, compact_revision: 4n });
    expect((await create({})).response).toMatchObject({ watch_id: 1n, created: true });
  });

  test("by another failure ends the stream with its status", async () => {
    const { feed } = await create({});
    feed.break(notApplied("closed", "the client is closed"));
    expect(await stream.next()).toBeUndefined();
    expect(await stream.ended).toEqual({ status: 14, message: "etcdserver: server stopped" });
  });

  test("comes with its connection", async () => {
    const { feed } = await create({});
    expect(feed.isCancelled).toBe(false);
    stream.cancel();
    await eventually(() => feed.isCancelled);
  });
});

describe("progress", () => {
  test("is told on request once every watch has come so far", async () => {
    const first = (await create({})).feed;
    const second = (await create({ key: bytesOf("other") })).feed;
    backend.now = 8;
    stream.send({ progress_request: {} });
    await eventually(() => first.asked.includes(8) && second.asked.includes(8));
    first.give({ progress: 8 });
    second.give({ revision: 7, events: [putEvent("k", 7, VALUE)] });
    expect(keysIn(await stream.next())).toEqual(["k"]);
    second.give({ progress: 9 });
    expect(await stream.next()).toEqual({
      header: expect.objectContaining({ revision: 8n }) as unknown,
      watch_id: -1n,
    });
  });

  test("is told from time to time to who asked for it and has heard nothing else", async () => {
    await server.close();
    await open({ progressIntervalMs: 50 });
    await create({});
    const { feed } = await create({ progress_notify: true, key: bytesOf("other") });
    backend.now = 7;
    await eventually(() => feed.asked.includes(7));
    feed.give({ progress: 7 });
    const told = await stream.next();
    expect(told).toMatchObject({ watch_id: 1n, header: { revision: 7n } });
    expect(told?.["events"]).toBeUndefined();
  });
});

test("watches and their streams are counted while they are open", async () => {
  const counted = async (): Promise<readonly number[]> => {
    const { text } = await server.fetch("/metrics");
    return ["watch_stream", "watcher"].map((what) => {
      const name = `etcd_debugging_mvcc_${what}_total`;
      return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
    });
  };
  expect(await counted()).toEqual([1, 0]);
  await create({});
  await create({});
  await create({ watch_id: 1n });
  expect(await counted()).toEqual([1, 2]);
  stream.send({ cancel_request: { watch_id: 1n } });
  await stream.next();
  backend.watches[0]!.break(notApplied("compacted", "gone", { bound: 9 }));
  await stream.next();
  expect(await counted()).toEqual([1, 0]);
  await create({});
  stream.cancel();
  await eventually(async () => expect(await counted()).toEqual([0, 0]));
});
