/** What a node without a leader says: to gRPC's health checks, and to calls that want a leader. */
import { describe, expect, test } from "vitest";
import { LeaderMonitor } from "../../src/gateway/leader-monitor.js";
import { bytesOf } from "../support/bytes-of.js";
import { FakeTimers } from "../support/fake-timers.js";
import { backend, client, serveEach } from "./served.js";

const CHECK = "grpc.health.v1.HealthCheck";
const HAS_LEADER = { hasleader: "true" };
const NO_LEADER = { status: 14, message: "etcdserver: no leader" };

serveEach();

describe("gRPC's health", () => {
  test.each(["", "etcdserverpb.KV", "etcdserverpb.Maintenance"])(
    "of '%s' is serving while there is a leader",
    async (service) => {
      const check = () => client.call("/grpc.health.v1.Health/Check", CHECK, { service });
      expect((await check()).response).toEqual({ status: 1 });
      backend.leaderNodeId = 0;
      expect((await check()).response).toEqual({ status: 2 });
    },
  );

  test("of a service that is not there is unknown", async () => {
    const request = { service: "no.Such" };
    const outcome = await client.call("/grpc.health.v1.Health/Check", CHECK, request);
    expect([outcome.status, outcome.message]).toEqual([5, "unknown service"]);
    const stream = client.stream("/grpc.health.v1.Health/Watch", CHECK);
    stream.send(request);
    expect(await stream.next()).toEqual({ status: 3 });
    stream.cancel();
  });

  test("is told to watchers as it is, and when it changes", async () => {
    const stream = client.stream("/grpc.health.v1.Health/Watch", CHECK);
    stream.send({});
    expect(await stream.next()).toEqual({ status: 1 });
    backend.leaderNodeId = 0;
    expect(await stream.next()).toEqual({ status: 2 });
    backend.leaderNodeId = 5;
    expect(await stream.next()).toEqual({ status: 1 });
    stream.cancel();
  });
});

describe("a call that wants a leader", () => {
  const RANGE = "/etcdserverpb.KV/Range";
  const WATCH = "/etcdserverpb.Watch/Watch";
  const request = { key: bytesOf("k") };

  test("is served where there is one", async () => {
    expect((await client.call(RANGE, "Range", request, HAS_LEADER)).status).toBe(0);
    const stream = client.stream(WATCH, "Watch", HAS_LEADER);
    stream.send({ create_request: request });
    expect(await stream.next()).toMatchObject({ created: true });
    stream.cancel();
  });

  test("is refused before anybody is asked where there is none", async () => {
    backend.leaderNodeId = 0;
    const outcome = await client.call(RANGE, "Range", request, HAS_LEADER);
    expect(outcome).toEqual({ ...NO_LEADER, response: undefined });
    expect(backend.entered).toBe(0);
    const stream = client.stream(WATCH, "Watch", HAS_LEADER);
    expect(await stream.next()).toBeUndefined();
    expect(await stream.ended).toEqual(NO_LEADER);
    expect((await client.call(RANGE, "Range", request)).status).toBe(0);
  });

  test("ends as a stream when there was none for a while, and only then", async () => {
    const [wanting, other] = [HAS_LEADER, {}].map((headers) =>
      client.stream(WATCH, "Watch", headers),
    );
    for (const stream of [wanting!, other!]) {
      stream.send({ create_request: request });
      expect(await stream.next()).toMatchObject({ created: true });
    }
    backend.leaderNodeId = 0;
    expect(await wanting!.next()).toBeUndefined();
    expect(await wanting!.ended).toEqual(NO_LEADER);
    other!.send({ progress_request: {} });
    expect(await other!.next()).toMatchObject({ watch_id: -1n });
    other!.cancel();
  });
});

test.each([
  ["elections of nearly three seconds", 2900, false],
  ["a loss of a little more", 3600, true],
])("%s is looked at often enough to tell one from the other", async (_what, goneMs, isLost) => {
  const timers = new FakeTimers();
  const monitor = new LeaderMonitor(backend, timers);
  let lost = false;
  const unfollow = monitor.followLoss(() => (lost = true));
  for (let ms = 0; ms < 10_000; ms += 50) {
    backend.leaderNodeId = ms >= 3210 && ms < 3210 + goneMs ? 0 : 77;
    timers.advance(50);
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
  expect(lost).toBe(isLost);
  unfollow();
});
