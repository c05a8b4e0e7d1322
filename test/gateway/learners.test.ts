/** What a member that learns serves of etcd's API, and in which words it refuses the rest. */
import { once } from "node:events";
import { beforeEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { bytesOf } from "../support/bytes-of.js";
import { backend, client, server, serveEach } from "./served.js";

const MESSAGE = "etcdserver: rpc not supported for learner";
const REFUSED = { status: 14, message: MESSAGE };
const LINE = {
  grpc_code: 14,
  http_code: 503,
  message: MESSAGE,
  http_status: "Service Unavailable",
};
const key = bytesOf("k");
const RANGE = "/etcdserverpb.KV/Range";

serveEach();

beforeEach(() => {
  backend.isLearner = true;
});

describe("by gRPC", () => {
  test("its status and what is serializable are served", async () => {
    const range = await client.call(RANGE, "Range", { key, serializable: true });
    expect(range).toMatchObject({ status: 0, response: { count: 1n } });
    const status = await client.call("/etcdserverpb.Maintenance/Status", "Status", {});
    expect(status).toMatchObject({ status: 0, response: { isLearner: true } });
  });

  test("a linearizable range is refused, whatever is wrong with it", async () => {
    for (const request of [{ key }, {}]) {
      expect(await client.call(RANGE, "Range", request)).toMatchObject(REFUSED);
    }
    expect(backend.entered).toBe(0);
  });

  test.each([
    ["/etcdserverpb.KV/Put", "Put"],
    ["/etcdserverpb.KV/Txn", "Txn"],
    ["/etcdserverpb.KV/Compact", "Compaction"],
    ["/etcdserverpb.Lease/LeaseLeases", "LeaseLeases"],
    ["/etcdserverpb.Cluster/MemberList", "MemberList"],
    ["/etcdserverpb.Maintenance/Alarm", "Alarm"],
    ["/etcdserverpb.Maintenance/HashKV", "HashKV"],
    ["/etcdserverpb.Auth/UserList", "Status"],
    ["/v3lockpb.Lock/Lock", "v3lockpb.Lock"],
    ["/grpc.health.v1.Health/Check", "grpc.health.v1.HealthCheck"],
  ])("%s is refused before all else", async (path, name) => {
    backend.leaderNodeId = 0;
    const outcome = await client.call(path, name, {}, { hasleader: "true" });
    expect(outcome).toEqual({ ...REFUSED, response: undefined });
    expect(backend.entered).toBe(0);
  });

  test.each([
    ["/etcdserverpb.Watch/Watch", "Watch"],
    ["/etcdserverpb.Lease/LeaseKeepAlive", "LeaseKeepAlive"],
    ["/etcdserverpb.KV/RangeStream", "Range"],
    ["/etcdserverpb.Maintenance/Snapshot", "Snapshot"],
    ["/v3electionpb.Election/Observe", "v3electionpb.Leader"],
    ["/grpc.health.v1.Health/Watch", "grpc.health.v1.HealthCheck"],
  ])("the stream %s is refused before anything is sent", async (path, name) => {
    expect(await client.stream(path, name).ended).toEqual(REFUSED);
  });

  test("what is not there is still unknown", async () => {
    expect(await client.call("/etcdserverpb.KV/No", "Range", {})).toMatchObject({ status: 12 });
  });

  test("a member that was promoted serves", async () => {
    backend.isLearner = false;
    expect((await client.call(RANGE, "Range", { key })).status).toBe(0);
  });
});

describe("by JSON", () => {
  const post = async (path: string, body: object): Promise<unknown> => {
    const { status, text } = await server.fetch(`/v3${path}`, JSON.stringify(body));
    return { status, answer: JSON.parse(text) as unknown };
  };

  test("its status and what is serializable are served", async () => {
    const range = await post("/kv/range", { key: "aw==", serializable: true });
    expect(range).toMatchObject({ status: 200, answer: { count: "1" } });
    expect(await post("/maintenance/status", {})).toMatchObject({ status: 200 });
  });

  test.each(["/kv/range", "/kv/put", "/cluster/member/list", "/auth/user/list"])(
    "%s is refused",
    async (path) => {
      const answer = { error: MESSAGE, message: MESSAGE, code: 14 };
      expect(await post(path, { key: "aw==" })).toEqual({ status: 503, answer });
    },
  );

  test.each(["/watch", "/lease/keepalive", "/maintenance/snapshot", "/election/observe"])(
    "the stream %s is refused in the shape of its lines",
    async (path) => {
      const answer = { error: expect.objectContaining(LINE) as unknown };
      expect(await post(path, {})).toEqual({ status: 503, answer });
    },
  );

  test("a WebSocket is opened, told so, and closed", async () => {
    const webSocket = new WebSocket(`ws://${server.address}/v3/watch`);
    const closed = once(webSocket, "close");
    const [message] = (await once(webSocket, "message")) as [Buffer];
    expect(JSON.parse(message.toString())).toMatchObject({ error: LINE });
    await closed;
  });
});

test("its page of health reads as that of any member", async () => {
  expect(await server.fetch("/health")).toMatchObject({ status: 200 });
  expect((await server.fetch("/readyz/non_learner")).status).toBe(503);
});
