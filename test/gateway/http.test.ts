/** HTTP/1.1: JSON calls, the JSON watch, and the pages of a node. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { notApplied } from "../../src/protocol/errors.js";
import { REQUESTS_AHEAD_MAX } from "../../src/gateway/request-line.js";
import { putEvent } from "./fake-backend.js";
import { sent } from "./http-peer.js";
import { backend, server, serveEach } from "./served.js";

serveEach();

const HEADER =
  '{"cluster_id":"9223372036854775813","member_id":"77","revision":"5","raft_term":"3"}';

describe("a call by JSON", () => {
  test("is that of gRPC, in etcd's writing", async () => {
    const { status, text } = await server.fetch("/v3/kv/range", '{"key":"aw==","limit":"3"}');
    expect(status).toBe(200);
    const kv =
      '{"key":"aw==","create_revision":"5","mod_revision":"5","version":"1","value":"dg=="}';
    expect(text).toBe(`{"header":${HEADER},"kvs":[${kv}],"count":"1"}`);
    expect(backend.ranges).toMatchObject([{ key: bytesOf("k"), limit: 3 }]);
    expect((await server.fetch("/v3beta/kv/range", '{"key":"aw=="}')).status).toBe(200);
  });

  test.each([
    ["/v3/kv/range", "{}", 400, { code: 3, message: "etcdserver: key is not provided" }],
    ["/v3/kv/range", "nonsense", 400, { code: 3 }],
    ["/v3/auth/authenticate", "{}", 400, { code: 9 }],
    ["/v3/no/such", "{}", 404, { code: 5 }],
  ])("%s %s is refused with %i", async (path, body, status, wanted) => {
    const reply = await server.fetch(path, body);
    expect(reply.status).toBe(status);
    const answer = JSON.parse(reply.text) as { error: string; message: string };
    expect(answer).toMatchObject(wanted);
    expect(answer.error).toBe(answer.message);
  });

  test("is a POST, and refused in the words of etcd's gateway where it is not", async () => {
    const refused = async (path: string, method: string): Promise<unknown> => {
      const response = await fetch(`http://${server.address}${path}`, { method });
      return [response.status, await response.json()];
    };
    const notAllowed = { error: "Method Not Allowed", message: "Method Not Allowed", code: 12 };
    for (const method of ["GET", "PUT", "DELETE"]) {
      expect(await refused("/v3/kv/range", method)).toEqual([501, notAllowed]);
      expect(await refused("/v3/auth/authenticate", method)).toEqual([501, notAllowed]);
    }
    const notFound = { error: "Not Found", message: "Not Found", code: 5 };
    expect(await refused("/v3/no/such", "GET")).toEqual([404, notFound]);
    expect(await refused("/v3/no/such", "POST")).toEqual([404, notFound]);
  });

  test("is refused where it is larger than any request", async () => {
    const body = JSON.stringify({ key: "aw==", value: "A".repeat(5_000_000) });
    expect((await server.fetch("/v3/kv/put", body)).status).toBe(429);
    const value = "A".repeat(2_900_000);
    const large = await server.fetch("/v3/kv/put", JSON.stringify({ key: "aw==", value }));
    expect(large.text).toContain("grpc: received message larger than max (2175008 vs. 2097152)");
  });
});

describe("requests sent before the answer to the last one", () => {
  const post = (path: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\nhost: node\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

  const answersIn = (heard: string): number => heard.split("HTTP/1.1 200 OK").length - 1;

  test("are served one after the other, and answered in order", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const keys = ["YQ==", "Yg==", "Yw=="];
    const { socket, heard } = await sent(
      keys.map((key) => post("/v3/kv/range", `{"key":"${key}"}`)).join(""),
    );
    await eventually(() => backend.entered === 1);
    // Whatever has come is parsed and begun by now.
    expect((await server.fetch("/version")).status).toBe(200);
    expect(backend.entered).toBe(1);
    open();
    await eventually(() => answersIn(heard()) === keys.length);
    const found = keys.map((key) => heard().indexOf(`"key":"${key}"`));
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    expect(Math.min(...found)).toBeGreaterThan(0);
    socket.destroy();
  });

  test("are all answered, however long they are", async () => {
    const count = 200;
    const value = "A".repeat(100_000);
    const text = post("/v3/kv/put", `{"key":"aw==","value":"${value}"}`).repeat(count);
    const { socket, heard } = await sent(text);
    await eventually(() => answersIn(heard()) === count, 20_000);
    expect(backend.entered).toBe(count);
    socket.destroy();
  });

  test("end the connection where there are far too many", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const { socket } = await sent(
      post("/v3/kv/range", '{"key":"aw=="}').repeat(REQUESTS_AHEAD_MAX + 2),
    );
    socket.on("error", () => undefined);
    await once(socket, "close");
    open();
    expect((await server.fetch("/v3/kv/range", '{"key":"aw=="}')).status).toBe(200);
    expect(backend.entered).toBe(2);
  });

  test("are forgotten with their connection", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const { socket } = await sent(post("/v3/kv/range", '{"key":"aw=="}').repeat(5));
    await eventually(() => backend.entered === 1);
    socket.destroy();
    await server.fetch("/version");
    open();
    expect((await server.fetch("/v3/kv/range", '{"key":"aw=="}')).status).toBe(200);
    expect(backend.entered).toBe(2);
  });
});

describe("a watch by JSON", () => {
  test("gives a line for each response, and ends with its connection", async () => {
    const abort = new AbortController();
    const response = await fetch(`http://${server.address}/v3/watch`, {
      method: "POST",
      body: '{"create_request":{"key":"aw=="}}\n{"create_request":{"key":"bA=="}}',
      signal: abort.signal,
    });
    const lines = linesOf(response);
    expect((await lines.next()).value).toBe(`{"result":{"header":${HEADER},"created":true}}`);
    expect((await lines.next()).value).toContain('"watch_id":"1"');
    backend.watches[0]!.give({ revision: 6, events: [putEvent("k", 6, bytesOf("v"))] });
    const told = JSON.parse((await lines.next()).value ?? "") as object;
    expect(told).toMatchObject({
      result: { events: [{ kv: { key: "aw==", mod_revision: "6" } }] },
    });
    abort.abort();
    await eventually(() => backend.watches.every((watch) => watch.isCancelled));
  });

  test("is refused as a call is, and tells of a later error as its last line", async () => {
    const wrong = '{"create_request":{"key":5}}';
    const refused = await server.fetch("/v3/watch", wrong);
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([400, { code: 3 }]);
    const { status, text } = await server.fetch("/v3/watch", `{"progress_request":{}}${wrong}`);
    const [first = "", last = ""] = text.trimEnd().split("\n");
    expect(first).toContain('"watch_id":"-1"');
    expect([status, JSON.parse(last)]).toMatchObject([
      200,
      { error: { grpc_code: 3, http_code: 400, code: 3, http_status: "Bad Request" } },
    ]);
  });
});

describe("headers of a call by JSON", () => {
  interface Reply {
    readonly status: number;
    readonly lines: readonly unknown[];
  }

  async function post(path: string, body: string, headers: Record<string, string>): Promise<Reply> {
    const url = `http://${server.address}${path}`;
    const response = await fetch(url, { method: "POST", body, headers });
    const lines = (await response.text()).trimEnd().split("\n");
    return { status: response.status, lines: lines.map((line) => JSON.parse(line) as unknown) };
  }

  const KEY = '{"key":"aw=="}';
  const late = { message: "context deadline exceeded", code: 4 };
  const noLeader = { message: "etcdserver: no leader", code: 14 };
  const lineOf = (error: object, http: number): object => ({
    error: { ...error, http_code: http },
  });

  test("give it a deadline", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    for (const timeout of ["30m", "-1S"]) {
      const reply = await post("/v3/kv/put", KEY, { "grpc-timeout": timeout });
      expect(reply).toMatchObject({ status: 504, lines: [late] });
    }
    open();
    for (const timeout of ["5S", "0S", "123456789S"]) {
      expect((await post("/v3/kv/put", KEY, { "grpc-timeout": timeout })).status).toBe(200);
    }
  });

  test.each(["abc", "S", "5", "5x", "1.5S"])(
    "are refused with the deadline %s",
    async (timeout) => {
      const reply = await post("/v3/kv/range", KEY, { "grpc-timeout": timeout });
      const message = `invalid grpc-timeout: ${timeout}`;
      expect(reply).toMatchObject({ status: 400, lines: [{ message, code: 3 }] });
      expect(backend.entered).toBe(0);
    },
  );

  test("end a stream at its deadline", async () => {
    const timeout = { "grpc-timeout": "50m" };
    const watch = await post("/v3/watch", `{"create_request":${KEY}}`, timeout);
    const created = { result: { created: true } };
    expect(watch).toMatchObject({ status: 200, lines: [created, lineOf(late, 504)] });
    await eventually(() => backend.watches.every((one) => one.isCancelled));
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const range = await post("/v3/kv/rangestream", KEY, timeout);
    expect(range).toMatchObject({ status: 504, lines: [late] });
    open();
  });

  test("want a leader", async () => {
    const led = { "Grpc-Metadata-hasleader": "true" };
    expect((await post("/v3/kv/range", KEY, led)).status).toBe(200);
    backend.leaderNodeId = 0;
    const watch = `{"create_request":${KEY}}`;
    for (const [path, body] of [["/v3/kv/put", KEY] as const, ["/v3/watch", watch] as const]) {
      expect(await post(path, body, led)).toMatchObject({ status: 503, lines: [noLeader] });
    }
    expect((await post("/v3/kv/range", KEY, { hasleader: "true" })).status).toBe(200);
    backend.leaderNodeId = 77;
    const opened = post("/v3/watch", watch, led);
    await eventually(() => backend.watches.length === 1);
    backend.leaderNodeId = 0;
    expect((await opened).lines.at(-1)).toMatchObject(lineOf(noLeader, 503));
  });
});

test("pages from elsewhere may ask, as in etcd by default", async () => {
  const allowed = {
    "access-control-allow-headers": "accept, content-type, authorization",
    "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
    "access-control-allow-origin": "*",
  };
  const asked = [
    ["OPTIONS", "/v3/kv/range", undefined, 200],
    ["OPTIONS", "/no/such", undefined, 200],
    ["POST", "/v3/kv/range", '{"key":"aw=="}', 200],
    ["POST", "/v3/kv/range", "{}", 400],
    ["GET", "/version", undefined, 200],
  ] as const;
  for (const [method, path, body, status] of asked) {
    const url = `http://${server.address}${path}`;
    const response = await fetch(url, { method, body: body ?? null });
    expect(response.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toMatchObject(allowed);
    expect((await response.text()) === "").toBe(method === "OPTIONS");
  }
});

describe("pages", () => {
  test("tell that all is well", async () => {
    expect(await server.fetch("/health")).toEqual({
      status: 200,
      text: '{"health":"true","reason":""}',
    });
    expect(await server.fetch("/livez")).toEqual({ status: 200, text: "ok\n" });
    expect(await server.fetch("/readyz?verbose&exclude=non_learner")).toEqual({
      status: 200,
      text: "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\nok\n",
    });
    expect(JSON.parse((await server.fetch("/version")).text)).toEqual({
      etcdserver: "3.6.0",
      etcdcluster: "3.6.0",
      storage: "3.6.0",
    });
    expect((await server.fetch("/nothing")).status).toBe(404);
  });

  test("tell that reads fail, and how", async () => {
    backend.error = notApplied("unavailable", "nobody leads");
    expect(await server.fetch("/health")).toEqual({
      status: 503,
      text: '{"health":"false","reason":"RANGE ERROR:etcdserver: request timed out"}',
    });
    const { status, text } = await server.fetch("/readyz");
    const timedOut = "etcdserver: request timed out";
    expect([status, text]).toEqual([
      503,
      `[+]data_corruption ok\n[-]serializable_read failed: ${timedOut}\n` +
        `[-]linearizable_read failed: ${timedOut}\n[+]non_learner ok\n\n`,
    ]);
  });

  test("are there for each check of a probe", async () => {
    const readyz = ["data_corruption", "serializable_read", "linearizable_read", "non_learner"];
    for (const path of ["/livez/serializable_read", ...readyz.map((name) => `/readyz/${name}`)]) {
      expect(await server.fetch(path)).toEqual({ status: 200, text: "ok\n" });
    }
    expect(await server.fetch("/readyz/non_learner?verbose&exclude=non_learner")).toEqual({
      status: 200,
      text: "[+]non_learner ok\nok\n",
    });
    backend.raised = [{ memberId: 77n, kind: "corrupt" }];
    expect(await server.fetch("/readyz/data_corruption")).toEqual({
      status: 503,
      text: "[-]data_corruption failed: alarm activated: CORRUPT\n\n",
    });
    expect((await server.fetch("/readyz/serializable_read")).status).toBe(200);
    for (const path of [
      "/livez/linearizable_read",
      "/readyz/nothing",
      "/readyz/",
      "/readyz/non_learner/more",
      "/toString",
    ]) {
      expect((await server.fetch(path)).status).toBe(404);
    }
  });

  test("are for GET, as etcd's are, but for the metrics", async () => {
    for (const path of ["/health", "/livez", "/readyz/non_learner", "/version"]) {
      const response = await fetch(`http://${server.address}${path}`, { method: "POST" });
      expect([response.status, await response.text()]).toEqual([405, "Method Not Allowed\n"]);
      expect(response.headers.get("allow")).toBe("GET");
    }
    expect(await server.fetch("/metrics", "{}")).toMatchObject({ status: 200 });
    for (const body of [undefined, "{}"]) {
      const missing = { status: 404, text: "404 page not found\n" };
      expect(await server.fetch("/nothing", body)).toEqual(missing);
      expect(await server.fetch("/livez/", body)).toEqual(missing);
    }
  });

  test("tell of alarms, unless they are not wanted", async () => {
    backend.raised = [{ memberId: 77n, kind: "noSpace" }];
    expect(await server.fetch("/health")).toEqual({
      status: 503,
      text: '{"health":"false","reason":"ALARM NOSPACE"}',
    });
    expect((await server.fetch("/health?exclude=NOSPACE")).status).toBe(200);
    expect((await server.fetch("/readyz")).status).toBe(200);
    backend.raised = [{ memberId: 77n, kind: "corrupt" }];
    const { status, text } = await server.fetch("/readyz");
    expect([status, text]).toEqual([503, expect.stringContaining("[-]data_corruption failed")]);
  });

  test("have metrics that Prometheus can read", async () => {
    const { text } = await server.fetch("/metrics");
    for (const line of text.trimEnd().split("\n")) {
      expect(line).toMatch(/^(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[\w.+]+",?)+\})? [\d.]+)$/);
    }
    expect(text).toContain("etcd_server_has_leader 1\n");
    expect(text).toContain('etcd_server_id{server_id="4d"} 1\n');
    expect(text).toContain('etcd_server_version{server_version="3.6.0"} 1\n');
    expect(text).toContain('etcd_cluster_version{cluster_version="3.6"} 1\n');
    expect(text).toContain("etcd_mvcc_db_total_size_in_bytes 1000\n");
    expect(text).toContain("etcd_mvcc_db_total_size_in_use_in_bytes 700\n");
    expect(text).toContain("etcd_server_quota_backend_bytes 2000\n");
    expect(text).toContain("process_resident_memory_bytes 4096\n");
    expect(text).toContain("etcd_server_leader_changes_seen_total 4\n");
    expect(text).toContain("etcd_server_proposals_pending 6\n");
    expect(text).toContain("etcd_server_proposals_failed_total 2\n");
    const commits = "etcd_disk_backend_commit_duration_seconds";
    expect(text).toContain(`${commits}_bucket{le="+Inf"} 1\n${commits}_sum 0.000003\n`);
    const syncs = "etcd_disk_wal_fsync_duration_seconds";
    const bounds = ["0.000002", "0.000004", "0.000008", "0.000016"];
    [1, 1, 3, 3].forEach((count, at) => {
      expect(text).toContain(`${syncs}_bucket{le="${bounds[at]}"} ${count}\n`);
    });
    expect(text).toContain(`${syncs}_bucket{le="33.554432"} 3\n${syncs}_bucket{le="+Inf"} 4\n`);
    expect(text).toContain(`${syncs}_sum 34.0005\n${syncs}_count 4\n`);
  });
});

async function* linesOf(response: Response): AsyncGenerator<string, void, undefined> {
  let rest = "";
  for await (const chunk of response.body!) {
    const parts = (rest + Buffer.from(chunk as Uint8Array).toString()).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}
