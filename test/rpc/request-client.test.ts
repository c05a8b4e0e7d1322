/** Requests, streams and the handshake between two ends. */
import { afterEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import type { ByteReader } from "../../src/base/coding.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import type { Listener } from "../../src/env/network.js";
import { encodeError } from "../../src/protocol/error-codec.js";
import { notApplied } from "../../src/protocol/errors.js";
import type { KvError } from "../../src/protocol/errors.js";
import { clientHello } from "../../src/protocol/hello-codec.js";
import type { Hello } from "../../src/protocol/hello-codec.js";
import { FRAME_FLAGS } from "../../src/protocol/message-types.js";
import { DeadlineWheel } from "../../src/rpc/deadline-wheel.js";
import type { FrameConnection, FrameHandler } from "../../src/rpc/frame-connection.js";
import { dialFrames, listenFrames } from "../../src/rpc/handshake.js";
import { RequestClient } from "../../src/rpc/request-client.js";
import { errorOf } from "../support/error-of.js";
import { MemoryNetwork } from "../support/memory-socket.js";
import { turnsUntil } from "../support/test-env.js";

const ADDRESS = "server:1";
const ECHO = 100;
const FAIL = 101;
const NEVER = 102;
const STREAM = 103;

function serverHello(clusterId: string): Hello {
  return { ...clientHello(clusterId), kind: "data", nodeId: 7, incarnation: "i", run: 3 };
}

/** Echoes, fails, stays silent, or streams three parts. */
class Server implements FrameHandler {
  readonly connection: FrameConnection;
  readonly seen: string[];

  constructor(connection: FrameConnection, seen: string[]) {
    this.connection = connection;
    this.seen = seen;
  }

  frame(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    this.seen.push(`${type}/${flags}`);
    if (type === ECHO)
      this.#answer(type, FRAME_FLAGS.response, requestId, bytes.slice(offset, end));
    if (type === FAIL) {
      const out = this.connection.begin(type, FRAME_FLAGS.response | FRAME_FLAGS.error, requestId);
      encodeError(out, notApplied("noSpace", "the disk is full", { bound: 5 }));
      this.connection.end();
    }
    if (type !== STREAM || (flags & FRAME_FLAGS.end) !== 0) return;
    const more = FRAME_FLAGS.response | FRAME_FLAGS.more;
    for (const part of ["1", "2"]) this.#answer(type, more, requestId, utf8(part));
    if (end > offset) this.#answer(type, FRAME_FLAGS.response, requestId, utf8("3"));
  }

  drain(): void {}

  closed(): void {
    this.seen.push("closed");
  }

  #answer(type: number, flags: number, requestId: number, body: Uint8Array): void {
    this.connection.begin(type, flags, requestId).raw(body);
    this.connection.end();
  }
}

let listener: Listener | undefined;

afterEach(async () => {
  await listener?.close();
  listener = undefined;
});

interface Setting {
  readonly network: MemoryNetwork;
  readonly seen: string[];
  readonly refused: string[];
}

async function serve(clusterId = "c1"): Promise<Setting> {
  const network = new MemoryNetwork();
  const seen: string[] = [];
  const refused: string[] = [];
  const env = { network, timers: nodeTimers };
  listener = await listenFrames(env, ADDRESS, {
    hello: () => serverHello(clusterId),
    handshakeTimeoutMs: 60,
    established: (connection, peer) => {
      seen.push(`hello ${peer.kind}`);
      return new Server(connection, seen);
    },
    refused: (_address, error) => refused.push(error.message),
  });
  return { network, seen, refused };
}

async function dial(setting: Setting, hello: Hello = clientHello("")): Promise<RequestClient> {
  const wheel = new DeadlineWheel(nodeClock, nodeTimers);
  const clients: RequestClient[] = [];
  await dialFrames({ network: setting.network, timers: nodeTimers }, ADDRESS, {
    hello,
    timeoutMs: 100,
    established: (connection, peer) => {
      expect(peer.nodeId).toBe(7);
      expect(peer.run).toBe(3);
      const client = new RequestClient(connection, wheel, () => undefined);
      clients.push(client);
      return client;
    },
  });
  return clients[0]!;
}

function ask(client: RequestClient, type: number, body: string, timeoutMs = 1000): Promise<string> {
  return client.request(
    type,
    (out) => out.raw(utf8(body)),
    (reader: ByteReader) => new TextDecoder().decode(reader.rawView(reader.remaining)),
    timeoutMs,
  );
}

describe("requests", () => {
  test("get their own answers, many in flight", async () => {
    const client = await dial(await serve());
    const bodies = Array.from({ length: 500 }, (_, i) => `body ${i}`);
    const answers = await Promise.all(bodies.map((body) => ask(client, ECHO, body)));
    expect(answers).toEqual(bodies);
    expect(client.pendingCount).toBe(0);
  });

  test("fail with the error that the server sent", async () => {
    const client = await dial(await serve());
    const error = await errorOf(ask(client, FAIL, ""));
    expect([error.code, error.outcome, error.message]).toEqual([
      "noSpace",
      "notApplied",
      "the disk is full",
    ]);
    expect(error.details.bound).toBe(5);
  });

  test("time out with an unknown outcome; a late answer finds nobody", async () => {
    const client = await dial(await serve());
    const error = await errorOf(ask(client, NEVER, "", 20));
    expect([error.code, error.outcome]).toEqual(["timeout", "unknown"]);
    expect(await ask(client, ECHO, "still fine")).toBe("still fine");
  });

  test("that were sent have an unknown outcome when the connection goes", async () => {
    const setting = await serve();
    const client = await dial(setting);
    const pending = errorOf(ask(client, NEVER, ""));
    await turnsUntil(() => setting.seen.includes(`${NEVER}/0`));
    setting.network.cut(ADDRESS);
    const error = await pending;
    expect([error.code, error.outcome]).toEqual(["unavailable", "unknown"]);
  });

  test("that were not sent certainly did nothing", async () => {
    const setting = await serve();
    const client = await dial(setting);
    const pending = errorOf(ask(client, ECHO, "gathered, not flushed"));
    setting.network.cut(ADDRESS);
    expect((await pending).outcome).toBe("notApplied");
    expect((await errorOf(ask(client, ECHO, "later"))).outcome).toBe("notApplied");
  });

  test("whose answer cannot be read fail, and the connection closes", async () => {
    const setting = await serve();
    const client = await dial(setting);
    const failed = await new Promise<KvError>((resolve) => {
      client.begin(ECHO).raw(utf8("ab"));
      client.send({ answered: (reader) => void reader.u53(), failed: resolve }, 1000);
    });
    expect([failed.code, failed.outcome]).toEqual(["malformed", "unknown"]);
    await turnsUntil(() => !client.open);
  });
});

describe("streams", () => {
  function stream(client: RequestClient, body: string): { parts: string[]; id: number } {
    const parts: string[] = [];
    client.begin(STREAM).raw(utf8(body));
    const id = client.send(
      {
        answered: (reader, last) => parts.push(`${String.fromCharCode(reader.u8())} ${last}`),
        failed: (error) => parts.push(error.code),
      },
      0,
    );
    return { parts, id };
  }

  test("bring every part, and end with the last", async () => {
    const client = await dial(await serve());
    const { parts } = stream(client, "finite");
    await turnsUntil(() => parts.length === 3);
    expect(parts).toEqual(["1 false", "2 false", "3 true"]);
    expect(client.pendingCount).toBe(0);
  });

  test("can be cancelled, which the server hears", async () => {
    const setting = await serve();
    const client = await dial(setting);
    const { parts, id } = stream(client, "");
    await turnsUntil(() => parts.length === 2);
    expect(client.isPending(id)).toBe(true);
    client.cancel(STREAM, id);
    await turnsUntil(() => setting.seen.includes(`${STREAM}/${FRAME_FLAGS.end}`));
    expect(client.isPending(id)).toBe(false);
  });
});

describe("the handshake", () => {
  test("refuses another cluster and says so", async () => {
    const setting = await serve("c1");
    const error = await errorOf(dial(setting, clientHello("c2")));
    expect([error.code, error.outcome]).toEqual(["wrongCluster", "notApplied"]);
    await turnsUntil(() => setting.refused.length === 1);
    expect(setting.seen).toEqual([]);
  });

  test("refuses versions that do not meet", async () => {
    const setting = await serve();
    const error = await errorOf(
      dial(setting, { ...clientHello("c1"), versionMin: 90, versionMax: 95 }),
    );
    expect(error.code).toBe("unsupported");
  });

  test("closes on a stranger, on one who says nothing, and on too much", async () => {
    const setting = await serve();
    const strangers: readonly Uint8Array[] = [
      utf8("GET / HTTP/1.1\r\nhost: x\r\n\r\n"),
      new Uint8Array([6, 0, 0, 0, ECHO, 0, 1, 0, 0, 0]),
      new Uint8Array([255, 255, 0, 0, 1, 0]),
      new Uint8Array(0),
    ];
    for (const [i, bytes] of strangers.entries()) {
      const socket = await setting.network.connect(ADDRESS, 100);
      let closed = false;
      socket.handle({
        data: () => undefined,
        drain: () => undefined,
        close: () => (closed = true),
      });
      if (bytes.length > 0) socket.write(bytes);
      await turnsUntil(() => closed, 1_000_000);
      expect(setting.refused.length).toBe(i + 1);
    }
    expect(await ask(await dial(setting), ECHO, "the node is fine")).toBe("the node is fine");
  });

  test("gives up on a node that does not answer, and on one that is not there", async () => {
    const setting = await serve();
    setting.network.silent.add(ADDRESS);
    expect((await errorOf(dial(setting))).code).toBe("unavailable");
    await listener!.close();
    setting.network.silent.clear();
    const error = await errorOf(dial(setting));
    expect([error.code, error.outcome]).toEqual(["unavailable", "notApplied"]);
  });
});
