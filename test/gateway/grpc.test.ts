/** gRPC over a real connection: calls, their errors, deadlines, sizes, and the end of a node. */
import { beforeEach, describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { frameOf } from "../../scripts/bench/grpc-client.js";
import type { GrpcClient } from "../../scripts/bench/grpc-client.js";
import { must } from "../../src/base/assert.js";
import { equalBytes } from "../../src/base/bytes.js";
import { grpcMessage, timeoutMsOf } from "../../src/gateway/grpc-headers.js";
import { GRPC } from "../../src/gateway/status.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { ErrorCode } from "../../src/protocol/errors.js";
import { node } from "./fake-backend.js";
import { backend, client, server, serveEach } from "./served.js";

const RANGE = "/etcdserverpb.KV/Range";
const PUT = "/etcdserverpb.KV/Put";

serveEach();

describe("a call", () => {
  test("is answered with the header of this node", async () => {
    const { status, response } = await client.call(RANGE, "Range", { key: bytesOf("k") });
    expect(status).toBe(GRPC.ok);
    expect(response).toMatchObject({
      header: { cluster_id: 2n ** 63n + 5n, member_id: 77n, revision: 5n, raft_term: 3n },
      kvs: [{ key: bytesOf("k"), value: bytesOf("v") }],
      count: 1n,
    });
  });

  test("may come in pieces, and many may run at once", async () => {
    const stream = client.stream(PUT, "Put");
    for (const byte of frameOf("PutRequest", { key: bytesOf("k"), value: bytesOf("v") })) {
      stream.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const many = Array.from({ length: 50 }, () => client.call(PUT, "Put", { key: bytesOf("k") }));
    expect((await Promise.all(many)).map(({ status }) => status)).toEqual(many.map(() => GRPC.ok));
    expect(await stream.next()).toMatchObject({ header: { member_id: 77n } });
    expect((await stream.ended).status).toBe(GRPC.ok);
  });

  test("with a large answer is answered whole", async () => {
    backend.value = new Uint8Array(3_000_000).fill(9);
    const { response } = await client.call(RANGE, "Range", { key: bytesOf("k") });
    const [kv] = must(response?.["kvs"]) as readonly { readonly value: Uint8Array }[];
    expect(equalBytes(must(kv).value, backend.value)).toBe(true);
  });
});

describe("calls are counted", () => {
  const METHOD = 'grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"';
  const WATCH = 'grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"';

  async function linesOf(start: string): Promise<readonly string[]> {
    const { text } = await server.fetch("/metrics");
    return text.split("\n").filter((line) => line.startsWith(start));
  }

  test("by method, and by what they ended with", async () => {
    expect(await linesOf("grpc_server")).toEqual([]);
    await client.call(PUT, "Put", { key: bytesOf("k") });
    await client.call(PUT, "Put", { key: bytesOf("k") });
    backend.error = notApplied("compacted", "gone");
    await client.call(PUT, "Put", { key: bytesOf("k") });
    expect(await linesOf("grpc_server")).toEqual([
      `grpc_server_started_total{${METHOD}} 3`,
      `grpc_server_handled_total{grpc_code="OK",${METHOD}} 2`,
      `grpc_server_handled_total{grpc_code="OutOfRange",${METHOD}} 1`,
    ]);
  });

  test("also while they last, and where the client gives them up", async () => {
    const stream = client.stream("/etcdserverpb.Watch/Watch", "Watch");
    stream.send({ create_request: { key: bytesOf("k") } });
    await stream.next();
    expect(await linesOf("grpc_server")).toEqual([`grpc_server_started_total{${WATCH}} 1`]);
    stream.cancel();
    const cancelled = `grpc_server_handled_total{grpc_code="Canceled",${WATCH}} 1`;
    await eventually(async () => expect(await linesOf("grpc_server_h")).toEqual([cancelled]));
  });

  test("with their bytes", async () => {
    await client.call(PUT, "Put", { key: bytesOf("k"), value: new Uint8Array(10_000) });
    const [received] = await linesOf("etcd_network_client_grpc_received_bytes_total");
    expect(Number(received!.split(" ")[1])).toBeGreaterThan(10_000);
    const [sent] = await linesOf("etcd_network_client_grpc_sent_bytes_total");
    expect(Number(sent!.split(" ")[1])).toBeGreaterThan(20);
  });
});

describe("an error", () => {
  const WORDS: readonly (readonly [ErrorCode, number, string])[] = [
    ["compacted", 11, "etcdserver: mvcc: required revision has been compacted"],
    ["futureRevision", 11, "etcdserver: mvcc: required revision is a future revision"],
    ["duplicateKey", 3, "etcdserver: duplicate key given in txn request"],
    ["tooManyOperations", 3, "etcdserver: too many operations in txn request"],
    ["requestTooLarge", 3, "etcdserver: request is too large"],
    ["limitExceeded", 3, "etcdserver: request is too large: ä 100%"],
    ["keyNotFound", 3, "etcdserver: key not found"],
    ["leaseNotFound", 5, "etcdserver: requested lease not found"],
    ["leaseExists", 9, "etcdserver: lease already exists"],
    ["leaseTtlTooLarge", 11, "etcdserver: too large lease TTL"],
    ["noSpace", 8, "etcdserver: mvcc: database space exceeded"],
    ["overloaded", 8, "etcdserver: too many requests"],
    ["timeout", 14, "etcdserver: request timed out"],
    ["closed", 14, "etcdserver: server stopped"],
    ["corrupt", 15, "etcdserver: corrupt cluster"],
    ["crossShard", 9, "flotilla: ä 100%"],
    ["internal", 13, "flotilla: ä 100%"],
  ];

  test.each(WORDS)("%s has etcd's code and words where there are any", async (code, grpc, text) => {
    backend.error = notApplied(code, "ä 100%");
    const outcome = await client.call(PUT, "Put", { key: bytesOf("k") });
    expect([outcome.status, outcome.message, outcome.response]).toEqual([grpc, text, undefined]);
  });

  test("that was not foreseen is internal", async () => {
    backend.error = new TypeError("oops");
    const outcome = await client.call(PUT, "Put", { key: bytesOf("k") });
    expect([outcome.status, outcome.message]).toEqual([GRPC.internal, "flotilla: oops"]);
  });

  test.each([
    [RANGE, "Range", {}, 3, "etcdserver: key is not provided"],
    [RANGE, "Range", { key: bytesOf("k"), sort_order: 9 }, 3, "etcdserver: invalid sort option"],
    [
      PUT,
      "Put",
      { key: bytesOf("k"), ignore_value: true, value: bytesOf("v") },
      3,
      "etcdserver: value is provided",
    ],
    [
      PUT,
      "Put",
      { key: bytesOf("k"), ignore_lease: true, lease: 1n },
      3,
      "etcdserver: lease is provided",
    ],
  ])(
    "of a request shows without asking anybody: %s %s",
    async (path, name, request, code, text) => {
      backend.error = new KvError("internal", "nobody should ask", "unknown");
      const outcome = await client.call(path, name, request);
      expect([outcome.status, outcome.message]).toEqual([code, text]);
    },
  );

  test.each([
    ["/etcdserverpb.Auth/Authenticate", 9, "etcdserver: authentication is not enabled"],
    ["/nobody.Knows/This", 12, "unknown service nobody.Knows"],
    ["/etcdserverpb.KV/Guess", 12, "unknown method Guess for service etcdserverpb.KV"],
    ["/KV", 12, 'malformed method name: "/KV"'],
  ])("is what there is at %s", async (path, code, text) => {
    const outcome = await client.call(path, "Put", { key: bytesOf("k") });
    expect([outcome.status, outcome.message]).toEqual([code, text]);
  });
});

describe("what a client should not send", () => {
  test.each([
    ["gzip", 1, 12, 'grpc: Decompressor is not installed for grpc-encoding "gzip"'],
    ["gzip", 0, 12, 'grpc: Decompressor is not installed for grpc-encoding "gzip"'],
    ["", 1, 13, "grpc: compressed flag set with identity or empty encoding"],
    ["identity", 1, 13, "grpc: compressed flag set with identity or empty encoding"],
    ["", 2, 13, "grpc: received unexpected payload format 2"],
    ["identity", 0, 0, ""],
  ])(
    "a message compressed by '%s' and marked %i is refused",
    async (encoding, mark, code, text) => {
      const frame = frameOf("PutRequest", { key: bytesOf("k") });
      frame[0] = mark;
      const headers = encoding === "" ? {} : { "grpc-encoding": encoding };
      const { status, message } = await client.raw(PUT, "Put", frame, headers);
      expect([status, message]).toEqual([code, text]);
      if (encoding !== "gzip") return;
      const stream = client.stream("/etcdserverpb.Watch/Watch", "Watch", headers);
      expect(await stream.ended).toEqual({ status: code, message: text });
    },
  );

  test("a message too large is refused before it has come", async () => {
    const frame = frameOf("PutRequest", { key: bytesOf("k"), value: new Uint8Array(3_000_000) });
    const stream = client.stream(PUT, "Put");
    stream.write(frame.subarray(0, 1000));
    const { status, message } = await stream.ended;
    expect(status).toBe(GRPC.resourceExhausted);
    expect(message).toMatch(/^grpc: received message larger than max \(\d+ vs. 2097152\)$/);
  });

  test("bytes that are no message, or none at all, are internal errors", async () => {
    const broken = Uint8Array.from([0, 0, 0, 0, 2, 0x0a, 9]);
    const outcome = await client.raw(PUT, "Put", broken);
    expect(outcome.status).toBe(GRPC.internal);
    expect(outcome.message).toMatch(/^grpc: error unmarshalling request: /);
    expect((await client.raw(PUT, "Put", new Uint8Array(0))).status).toBe(GRPC.internal);
    expect((await client.raw(PUT, "Put", broken.subarray(0, 6))).status).toBe(GRPC.internal);
  });

  test("HTTP/2 that is no gRPC is refused as such", async () => {
    const outcome = await client.raw(PUT, "Put", new Uint8Array(0), {
      "content-type": "text/html",
    });
    expect(outcome.status).toBe(-1);
    expect((await client.call(PUT, "Put", { key: bytesOf("k") })).status).toBe(GRPC.ok);
  });
});

describe("deadlines", () => {
  test("end a call that is late, and its answer is dropped", async () => {
    let open: () => void = () => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const request = { key: bytesOf("k") };
    const outcome = await client.call(PUT, "Put", request, { "grpc-timeout": "30m" });
    expect([outcome.status, outcome.message]).toEqual([4, "context deadline exceeded"]);
    open();
    expect((await client.call(PUT, "Put", request, { "grpc-timeout": "1M" })).status).toBe(GRPC.ok);
  });

  test.each(["Watch/Watch", "Lease/LeaseKeepAlive"])("end a stream of %s", async (path) => {
    const name = path.slice(path.indexOf("/") + 1);
    const headers = { "grpc-timeout": "30m" };
    const stream = client.stream(`/etcdserverpb.${path}`, name, headers);
    stream.send(name === "Watch" ? { create_request: { key: bytesOf("k") } } : { ID: 1n });
    while ((await stream.next()) !== undefined);
    expect(await stream.ended).toEqual({ status: 4, message: "context deadline exceeded" });
    await eventually(() => backend.watches.every((watch) => watch.isCancelled));
  });

  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["1500u", 2],
    ["1n", 1],
    ["99999999H", 2_147_483_647],
    ["0S", 0],
  ])("are read from %s", (header, timeoutMs) => {
    expect(timeoutMsOf(header)).toBe(timeoutMs);
  });

  test.each([
    ["", 'transport: timeout string is too short: ""'],
    ["5", 'transport: timeout string is too short: "5"'],
    ["123456789m", 'transport: timeout string is too long: "123456789m"'],
    ["5x", 'transport: timeout unit is not recognized: "5x"'],
    ["-1S", 'strconv.ParseUint: parsing "-1": invalid syntax'],
    ["1.5S", 'strconv.ParseUint: parsing "1.5": invalid syntax'],
  ])("that are written '%s' are refused", async (header, fault) => {
    const request = { key: bytesOf("k") };
    const outcome = await client.call(PUT, "Put", request, { "grpc-timeout": header });
    expect([outcome.status, outcome.message]).toEqual([13, `malformed grpc-timeout: ${fault}`]);
    expect(backend.entered).toBe(0);
  });

  test("a call that its client gives up harms nobody", async () => {
    let open: () => void = () => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const stream = client.stream(PUT, "Put");
    stream.write(frameOf("PutRequest", { key: bytesOf("k") }));
    stream.cancel();
    await stream.ended;
    open();
    expect((await client.call(PUT, "Put", { key: bytesOf("k") })).status).toBe(GRPC.ok);
  });
});

test("messages of errors are ASCII on the wire", () => {
  expect(grpcMessage("a%b\nä~")).toBe("a%25b%0A%C3%A4~");
});

test("whoever is connected when the node ends is told to go", async () => {
  const stream = client.stream("/etcdserverpb.Watch/Watch", "Watch");
  stream.send({ create_request: { key: bytesOf("k") } });
  expect(await stream.next()).toMatchObject({ created: true });
  const closing = server.gateway.close();
  await client.goneAway;
  expect(await stream.next()).toBeUndefined();
  expect(await stream.ended).toEqual({ status: 14, message: "etcdserver: server stopped" });
  await closing;
  expect(backend.watches[0]?.isCancelled).toBe(true);
});

describe("members", () => {
  const path = (name: string): string => `/etcdserverpb.Cluster/${name}`;
  const call = (name: string, request = {}): ReturnType<GrpcClient["call"]> =>
    client.call(path(name), name, request);

  beforeEach(() => {
    backend.nodes = [node(1), node(2, { learner: true }), node(3, { incarnation: "" })];
  });

  test("are listed with URLs, and without a name before they have started", async () => {
    const { response } = await call("MemberList");
    expect(response?.["members"]).toEqual([
      {
        ID: 1n,
        name: "n1",
        peerURLs: ["http://10.0.0.1:2380"],
        clientURLs: ["http://10.0.0.1:2379"],
      },
      expect.objectContaining({ ID: 2n, isLearner: true }),
      expect.not.objectContaining({ name: "n3" }),
    ]);
  });

  test("that have joined and cannot be reached yet have not started either", async () => {
    backend.nodes = [node(3, { clientAddress: "" })];
    const { response } = await call("MemberList");
    expect(response?.["members"]).toEqual([{ ID: 3n, peerURLs: ["http://10.0.0.3:2380"] }]);
  });

  test("have a name before they have started where the cluster was founded with them", async () => {
    const notStarted = { incarnation: "", clientAddress: "" };
    backend.nodes = [{ ...node(3, notStarted), isNamed: true }];
    const { response } = await call("MemberList");
    expect(response?.["members"]).toEqual([
      { ID: 3n, name: "n3", peerURLs: ["http://10.0.0.3:2380"] },
    ]);
  });

  test("are confirmed where that is asked for, as etcd does it", async () => {
    const linearizable = { linearizable: true };
    expect((await call("MemberList", linearizable)).response).toMatchObject({
      members: [{ ID: 1n }, { ID: 2n }, { ID: 3n }],
    });
    backend.isCutOff = true;
    const refused = await call("MemberList", linearizable);
    expect([refused.status, refused.message]).toEqual([14, "etcdserver: request timed out"]);
    expect((await call("MemberList", { linearizable: false })).response).toMatchObject({
      members: [{ ID: 1n }, { ID: 2n }, { ID: 3n }],
    });
    // What a change is checked by is confirmed too.
    const removed = await call("MemberRemove", { ID: 99n });
    expect([removed.status, removed.message]).toEqual([14, "etcdserver: request timed out"]);
  });

  test("are added by one URL that nobody has", async () => {
    const added = await call("MemberAdd", { peerURLs: ["http://10.0.0.9:2380"], isLearner: true });
    expect(added.response).toMatchObject({
      member: { ID: 9n, peerURLs: ["http://10.0.0.9:2380"], isLearner: true },
    });
    expect(must(added.response)["members"]).toHaveLength(4);
    const taken = await call("MemberAdd", { peerURLs: ["http://10.0.0.1:2380/"] });
    expect([taken.status, taken.message]).toEqual([9, "etcdserver: Peer URLs already exists"]);
    for (const url of ["https://10.0.0.8:2380", "10.0.0.8:2380", "http://10.0.0.8", ""]) {
      const refused = await call("MemberAdd", { peerURLs: [url] });
      expect([refused.status, refused.message]).toEqual([
        3,
        "etcdserver: given member URLs are invalid",
      ]);
    }
  });

  test.each([
    ["MemberRemove", { ID: 99n }, 5, "etcdserver: member not found"],
    ["MemberPromote", { ID: 99n }, 5, "etcdserver: member not found"],
    ["MemberPromote", { ID: 1n }, 9, "etcdserver: can only promote a learner member"],
    [
      "MemberUpdate",
      { ID: 1n, peerURLs: ["http://10.0.0.2:2380"] },
      9,
      "etcdserver: Peer URLs already exists",
    ],
    [
      "MemberRemove",
      { ID: 1n },
      9,
      "etcdserver: re-configuration failed due to not enough started members",
    ],
  ])("%s is refused in etcd's words (%#)", async (name, request, code, text) => {
    const outcome = await call(name, request);
    expect([outcome.status, outcome.message]).toEqual([code, text]);
  });
});

describe("maintenance", () => {
  const call = (name: string, request = {}): ReturnType<GrpcClient["call"]> =>
    client.call(`/etcdserverpb.Maintenance/${name}`, name, request);

  test("status tells of this node", async () => {
    const { response } = await call("Status");
    expect(response).toMatchObject({
      header: { revision: 5n, member_id: 77n },
      leader: 77n,
      raftIndex: 12n,
      raftAppliedIndex: 11n,
      raftTerm: 3n,
      dbSize: 1000n,
      version: "3.6.0",
      storageVersion: "3.6.0",
    });
  });

  test("a hash is of this node, at a revision that was asked for or the newest", async () => {
    expect((await call("HashKV", { revision: 4n })).response).toMatchObject({
      header: { revision: 5n, member_id: 77n },
      hash: 0xfedcba98,
      compact_revision: -1n,
      hash_revision: 4n,
    });
    expect((await call("Hash")).response).toMatchObject({ hash: 0xfedcba98 });
    backend.error = notApplied("compacted", "gone");
    const outcome = await call("HashKV", { revision: 4n });
    const text = "etcdserver: mvcc: required revision has been compacted";
    expect([outcome.status, outcome.message]).toEqual([GRPC.outOfRange, text]);
  });

  test("alarms are those of all members, and are raised and disarmed", async () => {
    const empty = { header: expect.anything() as unknown };
    expect((await call("Alarm")).response).toEqual(empty);
    const full = { memberID: 77n, alarm: 1 };
    const damaged = { memberID: 78n, alarm: 2 };
    for (const alarm of [full, damaged]) {
      const { response } = await call("Alarm", { action: 1, ...alarm });
      expect(response).toMatchObject({ alarms: [alarm] });
    }
    expect((await call("Alarm")).response).toMatchObject({ alarms: [full, damaged] });
    expect((await call("Alarm", { alarm: 2 })).response).toMatchObject({ alarms: [damaged] });
    expect((await call("Alarm", { action: 1, memberID: 77n })).response).toEqual(empty);
    const { response } = await call("Alarm", { action: 2, ...damaged });
    expect(response).toMatchObject({ alarms: [damaged] });
    expect((await call("Alarm", { action: 2, ...damaged })).response).toEqual(empty);
    backend.leaderNodeId = 0;
    expect((await call("Status")).response).toMatchObject({
      dbSize: 1000n,
      dbSizeInUse: 700n,
      dbSizeQuota: 2000n,
      errors: ["etcdserver: no leader", "memberID:77 alarm:NOSPACE "],
      downgradeInfo: {},
    });
  });

  test("files are made smaller by the node, or it says why not", async () => {
    expect((await call("Defragment")).status).toBe(GRPC.ok);
    backend.error = notApplied("noSpace", "full");
    const outcome = await call("Defragment");
    const text = "etcdserver: mvcc: database space exceeded";
    expect([outcome.status, outcome.message]).toEqual([GRPC.resourceExhausted, text]);
  });

  test.each([
    [{ action: 0, version: "3.5" }, 3, "etcdserver: invalid downgrade target version"],
    [{ action: 1, version: "3.5.0" }, 3, "etcdserver: invalid downgrade target version"],
    [{ action: 1, version: "old" }, 3, "etcdserver: wrong downgrade target version format"],
    [{ action: 2 }, 9, "etcdserver: no inflight downgrade job"],
  ])("a downgrade is refused: %j", async (request, code, text) => {
    const outcome = await call("Downgrade", request);
    expect([outcome.status, outcome.message]).toEqual([code, text]);
  });

  test("the leader moves to a member that is none of its own making", async () => {
    backend.nodes = [node(1), node(2, { learner: true })];
    expect((await call("MoveLeader", { targetID: 1n })).status).toBe(GRPC.ok);
    for (const targetID of [2n, 5n]) {
      const outcome = await call("MoveLeader", { targetID });
      expect([outcome.status, outcome.message]).toEqual([9, "etcdserver: bad leader transferee"]);
    }
  });
});
