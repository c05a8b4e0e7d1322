/** etcd's Lease service: by gRPC and JSON, and its stream of keep-alives. */
import { beforeEach, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import type { GrpcClient, GrpcStream } from "../../scripts/bench/grpc-client.js";
import { must } from "../../src/base/assert.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { AskedKeepAlive } from "./fake-leases.js";
import { backend, client, server, serveEach } from "./served.js";

const lease = (name: string): string => `/etcdserverpb.Lease/Lease${name}`;

serveEach();

describe("a lease", () => {
  test("is granted, with an id or without, and for no less than no time", async () => {
    const call = (request: object): ReturnType<GrpcClient["call"]> =>
      client.call(lease("Grant"), "LeaseGrant", request as never);
    expect((await call({ TTL: 60n, ID: 5n })).response).toMatchObject({ ID: 5n, TTL: 60n });
    expect((await call({})).response).toMatchObject({ ID: 2n ** 62n, TTL: 2n });
    expect((await call({ TTL: -5n, ID: -5n })).response).toMatchObject({ ID: -5n, TTL: 2n });
    expect(backend.leases.granted).toEqual([
      { ttlSeconds: 60, id: 5n },
      { ttlSeconds: 0, id: 0n },
      { ttlSeconds: 0, id: 2n ** 64n - 5n },
    ]);
    expect(await call({ TTL: 60n, ID: 7n })).toMatchObject({
      status: 9,
      message: "etcdserver: lease already exists",
    });
    expect(await call({ TTL: 2n ** 62n })).toMatchObject({
      status: 11,
      message: "etcdserver: too large lease TTL",
    });
  });

  test("is revoked", async () => {
    const revoked = await client.call(lease("Revoke"), "LeaseRevoke", { ID: -1n });
    expect(revoked.response).toMatchObject({ header: { revision: 6n, member_id: 77n } });
    expect(backend.leases.revoked).toEqual([2n ** 64n - 1n]);
    expect(await client.call(lease("Revoke"), "LeaseRevoke", { ID: 404n })).toMatchObject({
      status: 5,
      message: "etcdserver: requested lease not found",
    });
  });

  test("says what is left of it; one that is not there has less than nothing", async () => {
    const ask = async (request: object): Promise<unknown> =>
      (await client.call(lease("TimeToLive"), "LeaseTimeToLive", request as never)).response;
    const times = { ID: 5n, TTL: 59n, grantedTTL: 60n };
    expect(await ask({ ID: 5n, keys: true })).toMatchObject({
      ...times,
      keys: [bytesOf("a"), bytesOf("b")],
    });
    expect(await ask({ ID: 5n })).not.toHaveProperty("keys");
    expect(await ask({ ID: 404n })).toMatchObject({ ID: 404n, TTL: -1n });
    const { response } = await client.call(lease("Leases"), "LeaseLeases", {});
    expect(response?.["leases"]).toEqual([{ ID: 3n }, { ID: -1n }]);
  });

  test("is all that by JSON too", async () => {
    const post = async (path: string, body: string): Promise<unknown> =>
      JSON.parse((await server.fetch(path, body)).text);
    expect(await post("/v3/lease/grant", '{"TTL":"60","ID":3}')).toMatchObject({
      ID: "3",
      TTL: "60",
    });
    for (const path of ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"]) {
      const answer = await post(path, '{"ID":"3","keys":true}');
      expect(answer).toMatchObject({ TTL: "59", grantedTTL: "60", keys: ["YQ==", "Yg=="] });
    }
    const leases = { leases: [{ ID: "3" }, { ID: "-1" }] };
    expect(await post("/v3/kv/lease/leases", "{}")).toMatchObject(leases);
    expect((await server.fetch("/v3/kv/lease/revoke", '{"ID":"3"}')).status).toBe(200);
    expect((await server.fetch("/v3/lease/revoke", '{"ID":404}')).status).toBe(404);
  });
});

describe("a stream of keep-alives", () => {
  let stream: GrpcStream;

  beforeEach(() => {
    stream = client.stream(lease("KeepAlive"), "LeaseKeepAlive");
  });

  function asked(id: bigint): AskedKeepAlive {
    return must(backend.leases.keepAlives.find((one) => one.id === id));
  }

  async function sendAll(...ids: bigint[]): Promise<void> {
    backend.leases.ttlSeconds = undefined;
    for (const ID of ids) stream.send({ ID });
    await eventually(() => backend.leases.keepAlives.length === ids.length);
  }

  test("renews one after the other; a lease that is not there has no time", async () => {
    stream.send({ ID: 5n });
    expect(await stream.next()).toMatchObject({ header: { revision: 5n }, ID: 5n, TTL: 60n });
    stream.send({ ID: 404n });
    const gone = await stream.next();
    expect([gone?.["ID"], gone?.["TTL"]]).toEqual([404n, undefined]);
    stream.send({ ID: -5n });
    expect(await stream.next()).toMatchObject({ ID: -5n, TTL: 60n });
    stream.end();
    expect(await stream.next()).toBeUndefined();
    expect((await stream.ended).status).toBe(0);
  });

  test("answers in the order of its requests, and ends when all are answered", async () => {
    await sendAll(1n, 2n, 3n);
    stream.end();
    asked(3n).answer(33);
    asked(2n).answer(22);
    await new Promise((resolve) => setTimeout(resolve, 20));
    asked(1n).answer(11);
    for (const [id, ttl] of [
      [1n, 11n],
      [2n, 22n],
      [3n, 33n],
    ]) {
      expect(await stream.next()).toMatchObject({ ID: id, TTL: ttl });
    }
    expect(await stream.next()).toBeUndefined();
    expect((await stream.ended).status).toBe(0);
  });

  test("ends with the first request that fails, after all before it", async () => {
    await sendAll(1n, 2n, 3n);
    asked(3n).answer(33);
    asked(2n).fail(notApplied("unavailable", "nobody leads"));
    asked(1n).answer(11);
    expect(await stream.next()).toMatchObject({ ID: 1n });
    expect(await stream.next()).toBeUndefined();
    expect(await stream.ended).toEqual({ status: 14, message: "etcdserver: request timed out" });
  });

  test("reads no more than it can hold answers for", async () => {
    backend.leases.ttlSeconds = undefined;
    for (let id = 1n; id <= 20_000n; id++) stream.send({ ID: id });
    await eventually(() => backend.leases.keepAlives.length >= 256);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // What came in one piece with the last that may come is served with it.
    expect(backend.leases.keepAlives.length).toBeLessThan(5000);
    backend.leases.ttlSeconds = 60;
    for (const one of backend.leases.keepAlives) one.answer(60);
    for (let id = 1n; id <= 20_000n; id++) {
      if ((await stream.next())?.["ID"] !== id) throw new Error(`${id} is out of order`);
    }
  });

  test("that its client gives up is over, whatever is answered then", async () => {
    await sendAll(1n, 2n);
    stream.cancel();
    await stream.ended;
    asked(1n).answer(11);
    asked(2n).fail(notApplied("closed", "gone"));
    backend.leases.ttlSeconds = 60;
    const other = client.stream(lease("KeepAlive"), "LeaseKeepAlive");
    other.send({ ID: 9n });
    expect(await other.next()).toMatchObject({ ID: 9n });
  });

  test("is told when the node ends", async () => {
    stream.send({ ID: 5n });
    expect(await stream.next()).toMatchObject({ ID: 5n });
    const closing = server.gateway.close();
    expect(await stream.ended).toEqual({ status: 14, message: "etcdserver: server stopped" });
    await closing;
  });

  test("of bytes that are no message is an error", async () => {
    stream.write(Uint8Array.from([0, 0, 0, 0, 1, 0x80]));
    expect((await stream.ended).status).toBe(13);
  });
});

describe("keep-alives by JSON", () => {
  const PATH = "/v3/lease/keepalive";

  test("are a line each", async () => {
    const { status, text } = await server.fetch(PATH, '{"ID":"5"}{"ID":404}\n{"ID":"6"}');
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as object);
    expect([status, lines]).toMatchObject([
      200,
      [{ result: { ID: "5", TTL: "60" } }, { result: { ID: "404" } }, { result: { ID: "6" } }],
    ]);
    expect(lines[1]).not.toHaveProperty(["result", "TTL"]);
    expect(await server.fetch(PATH, "")).toEqual({ status: 200, text: "" });
  });

  test("are refused as calls are", async () => {
    expect((await server.fetch(PATH, '{"ID":"x"}')).status).toBe(400);
    backend.leases.ttlSeconds = undefined;
    const refused = server.fetch(PATH, '{"ID":"5"}');
    await eventually(() => backend.leases.keepAlives.length === 1);
    backend.leases.keepAlives[0]!.fail(notApplied("unavailable", "nobody leads"));
    const { status, text } = await refused;
    expect([status, JSON.parse(text)]).toMatchObject([503, { code: 14 }]);
  });
});
