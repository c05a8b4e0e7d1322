/** etcd's Lock and Election services: who waits, who gives up, and the words of errors. */
import { describe, expect, test } from "vitest";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import type { GrpcOutcome, GrpcStream } from "../../scripts/bench/grpc-client.js";
import { frameOf } from "../../scripts/bench/grpc-client.js";
import type { Message } from "../../src/gateway/message-codec.js";
import { notApplied } from "../../src/protocol/errors.js";
import { keyValue } from "./fake-backend.js";
import type { Waiting } from "./fake-leases.js";
import { backend, client, server, serveEach } from "./served.js";

const LOCK = "/v3lockpb.Lock/Lock";
const LEADER = { name: bytesOf("e"), key: bytesOf("e/1f"), rev: 8n, lease: 0x1fn };

serveEach();

function lock(request: Message, headers = {}): Promise<GrpcOutcome> {
  return client.call(LOCK, "v3lockpb.Lock", request, headers);
}

function election(name: string, request: Message): Promise<GrpcOutcome> {
  return client.call(`/v3electionpb.Election/${name}`, `v3electionpb.${name}`, request);
}

async function waiting(): Promise<Waiting> {
  return eventually(() => backend.lines.waiting[0] ?? false);
}

function startLock(): GrpcStream {
  const stream = client.stream(LOCK, "v3lockpb.Lock");
  stream.write(frameOf("v3lockpb.LockRequest", { name: bytesOf("m") }));
  stream.end();
  return stream;
}

describe("a lock", () => {
  test("is waited for, with the lease that was given", async () => {
    const locking = lock({ name: bytesOf("m"), lease: -1n });
    const one = await waiting();
    expect(one).toMatchObject({ name: bytesOf("m"), lease: 2n ** 64n - 1n });
    one.take();
    expect(await locking).toMatchObject({
      status: 0,
      response: { header: { revision: 8n, member_id: 77n }, key: bytesOf("m/1f") },
    });
  });

  test("is given back by its key", async () => {
    const outcome = await client.call("/v3lockpb.Lock/Unlock", "v3lockpb.Unlock", {
      key: bytesOf("m/1f"),
    });
    expect(outcome.response).toMatchObject({ header: { revision: 9n } });
    expect(backend.lines.unlocked).toEqual([bytesOf("m/1f")]);
  });

  test.each([
    ["sessionExpired", 2, "mutex: session is expired"],
    ["leaseNotFound", 5, "etcdserver: requested lease not found"],
  ] as const)("that is not got for %s has etcd's words", async (code, status, message) => {
    const locking = lock({ name: bytesOf("m") });
    (await waiting()).fail(notApplied(code, "no"));
    expect(await locking).toMatchObject({ status, message });
  });
});

describe("who waits for a lock", () => {
  test("and cancels the call is given up", async () => {
    const stream = startLock();
    const { signal } = await waiting();
    expect(signal?.aborted).toBe(false);
    stream.cancel();
    await eventually(() => signal?.aborted === true);
  });

  test("and whose connection ends is given up", async () => {
    startLock();
    const { signal } = await waiting();
    expect(signal?.aborted).toBe(false);
    client.close();
    await eventually(() => signal?.aborted === true);
  });

  test("and whose time is over is told so, and given up", async () => {
    const outcome = await lock({ name: bytesOf("m") }, { "grpc-timeout": "50m" });
    expect(outcome).toMatchObject({ status: 4, message: "context deadline exceeded" });
    const { signal } = await waiting();
    await eventually(() => signal?.aborted === true);
  });

  test("and whose node ends is told so, and given up", async () => {
    const stream = startLock();
    const { signal } = await waiting();
    const closing = server.gateway.close();
    expect(await stream.ended).toEqual({ status: 14, message: "etcdserver: server stopped" });
    await eventually(() => signal?.aborted === true);
    await closing;
  });

  test("by JSON too", async () => {
    const abort = new AbortController();
    const url = `http://${server.address}/v3/lock/lock`;
    const body = '{"name":"bQ=="}';
    const locking = fetch(url, { method: "POST", body, signal: abort.signal });
    const { signal } = await waiting();
    abort.abort();
    await expect(locking).rejects.toThrow("aborted");
    await eventually(() => signal?.aborted === true);
    const second = server.fetch("/v3/lock/lock", body);
    (await eventually(() => backend.lines.waiting[1] ?? false)).take();
    expect(JSON.parse((await second).text)).toMatchObject({ key: "bS8xZg==" });
  });
});

describe("an election", () => {
  test("is campaigned for", async () => {
    const campaigning = election("Campaign", { name: bytesOf("e"), lease: 31n });
    (await waiting()).take();
    expect((await campaigning).response).toMatchObject({
      header: { revision: 9n },
      leader: LEADER,
    });
  });

  test("is led by proclaiming, as long as it is led", async () => {
    const value = bytesOf("v2");
    expect((await election("Proclaim", { leader: LEADER, value })).status).toBe(0);
    const leader = { name: LEADER.name, key: LEADER.key, createRevision: 8, lease: 31n };
    expect(backend.lines.proclaimed).toEqual([{ leader, value }]);
    const late = await election("Proclaim", { leader: { ...LEADER, rev: 7n }, value });
    expect(late).toMatchObject({ status: 2, message: "election: not leader" });
    expect((await election("Resign", { leader: LEADER })).status).toBe(0);
    expect(backend.lines.resigned).toEqual([leader]);
  });

  test.each(["Proclaim", "Resign"])("needs a leader to %s", async (name) => {
    expect(await election(name, {})).toMatchObject({
      status: 2,
      message: '"leader" field must be provided',
    });
  });

  test("says who leads, if anybody does", async () => {
    const name = bytesOf("e");
    expect(await election("Leader", { name })).toMatchObject({
      status: 2,
      message: "election: no leader",
    });
    backend.lines.present = { revision: 9, kv: keyValue(bytesOf("e/1f"), bytesOf("v"), 8) };
    expect((await election("Leader", { name })).response).toMatchObject({
      header: { revision: 9n },
      kv: { key: bytesOf("e/1f"), value: bytesOf("v"), create_revision: 8n },
    });
  });

  test("is observed until the client has enough", async () => {
    const stream = client.stream("/v3electionpb.Election/Observe", "v3electionpb.Leader");
    stream.send({ name: bytesOf("e") });
    const leaders = await eventually(() => backend.lines.observed[0] ?? false);
    for (const text of ["one", "two"]) {
      leaders.give({ revision: 9, kv: keyValue(bytesOf("e/1f"), bytesOf(text), 8) });
      expect(await stream.next()).toMatchObject({ kv: { value: bytesOf(text) } });
    }
    stream.cancel();
    await eventually(() => leaders.isCancelled);
  });

  test("is observed by JSON, a line a leader", async () => {
    const abort = new AbortController();
    const { signal } = abort;
    const url = `http://${server.address}/v3/election/observe`;
    const observing = fetch(url, { method: "POST", body: '{"name":"ZQ=="}', signal });
    const leaders = await eventually(() => backend.lines.observed[0] ?? false);
    leaders.give({ revision: 9, kv: keyValue(bytesOf("e/1f"), bytesOf("v"), 8) });
    const chunk = await (await observing).body?.getReader().read();
    expect(Buffer.from(chunk?.value ?? []).toString()).toMatch(
      /^\{"result":.*"value":"dg==".*\}\n$/,
    );
    abort.abort();
    await eventually(() => leaders.isCancelled);
  });
});
