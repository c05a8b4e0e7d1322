/** Sessions of JSON over WebSockets, and requests that ask for other upgrades. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { concatBytes } from "../../src/base/bytes.js";
import { webSocketServer, WebSocketOutput } from "../../src/gateway/websocket.js";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { runProgram } from "../support/programs.js";
import { putEvent } from "./fake-backend.js";
import { sent } from "./http-peer.js";
import { backend, server, serveEach } from "./served.js";

serveEach();

const CREATE = '{"create_request":{"key":"aw=="}}';
const CREATED = { result: { created: true } };

/** What a client of WebSockets hears. */
class Peer {
  readonly webSocket: WebSocket;
  readonly pongs: string[] = [];
  readonly #texts: string[] = [];
  #code: number | undefined;

  static async open(
    path: string,
    headers: Readonly<Record<string, string>> = {},
    protocols: string[] = [],
  ): Promise<Peer> {
    const peer = new Peer(new WebSocket(`ws://${server.address}${path}`, protocols, { headers }));
    await once(peer.webSocket, "open");
    return peer;
  }

  private constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on("message", (data: Buffer, isBinary) => {
      this.#texts.push(isBinary ? "no text" : data.toString());
    });
    webSocket.on("pong", (data) => this.pongs.push(data.toString()));
    webSocket.on("close", (code) => (this.#code = code));
    webSocket.on("error", () => undefined);
    onTestFinished(() => webSocket.terminate());
  }

  send(...messages: readonly (string | Uint8Array)[]): void {
    for (const message of messages) this.webSocket.send(message);
  }

  /** The next message, which has to be JSON. */
  async json(): Promise<unknown> {
    await eventually(() => this.#texts.length > 0);
    return JSON.parse(this.#texts.shift()!);
  }

  /** That of the server's close, which has to come now. */
  async closeCode(): Promise<number> {
    await eventually(() => this.#code !== undefined);
    expect(this.#texts).toEqual([]);
    return this.#code!;
  }
}

function upgrade(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    host: "node",
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A short text as a frame of a client, masked by zeros. */
function frame(text: string): Uint8Array {
  return concatBytes(Uint8Array.of(0x81, 0x80 | text.length, 0, 0, 0, 0), bytesOf(text));
}

/** What it is once it changes no more. */
function settled(value: () => number): Promise<number> {
  return eventually(async () => {
    const before = value();
    await new Promise((resolve) => setTimeout(resolve, 100));
    return value() === before ? before : false;
  });
}

describe("a watch by WebSocket", () => {
  const opened = (headers: Readonly<Record<string, string>> = {}): Promise<Peer> =>
    Peer.open("/v3/watch", headers);

  const isCancelled = (): Promise<unknown> =>
    eventually(() => backend.watches.every((watch) => watch.isCancelled));

  test("is agreed on, with a token or without one, and never compressed", async () => {
    const { webSocket } = await Peer.open("/v3beta/watch", { upgrade: "WebSocket" });
    expect([webSocket.protocol, webSocket.extensions]).toEqual(["", ""]);
    const token = await Peer.open("/v3/watch", {}, ["Bearer", "abc"]);
    expect(token.webSocket.protocol).toBe("Bearer");
    const { heard } = await sent(upgrade("/v3/watch", { "sec-websocket-protocol": "other" }));
    await eventually(() => heard().startsWith("HTTP/1.1 101 Switching Protocols\r\n"));
    expect(heard()).not.toContain("Protocol:");
  });

  test("is refused where it is not asked for as it should be", async () => {
    for (const header of ["sec-websocket-version", "sec-websocket-key"]) {
      const { socket, heard } = await sent(upgrade("/v3/watch", { [header]: "7" }));
      await once(socket, "close");
      expect(heard()).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    }
  });

  test("has a message for each response, and ends when the client closes it", async () => {
    const peer = await opened();
    peer.send(CREATE, bytesOf(CREATE.replace("aw==", "bA==")));
    expect(await peer.json()).toMatchObject(CREATED);
    expect(await peer.json()).toMatchObject({ result: { created: true, watch_id: "1" } });
    backend.watches[0]!.give({ revision: 6, events: [putEvent("k", 6, bytesOf("v"))] });
    expect(await peer.json()).toMatchObject({
      result: { events: [{ kv: { key: "aw==", mod_revision: "6" } }] },
    });
    peer.webSocket.close(1000);
    expect(await peer.closeCode()).toBe(1000);
    await isCancelled();
  });

  test("takes what was sent with the request", async () => {
    const first = concatBytes(bytesOf(upgrade("/v3/watch")), frame(CREATE));
    const { socket, heard } = await sent(first);
    await eventually(() => heard().includes('"created":true'));
    expect(backend.watches).toHaveLength(1);
    socket.end();
    await isCancelled();
  });

  test("takes a message in parts, and pings between them", async () => {
    const peer = await opened();
    const { webSocket, pongs } = peer;
    webSocket.send(CREATE.slice(0, 9), { fin: false });
    webSocket.ping("there?");
    webSocket.pong("nobody asked");
    webSocket.send(CREATE.slice(9), { fin: true });
    expect(await peer.json()).toMatchObject(CREATED);
    expect(pongs).toEqual(["there?"]);
    webSocket.terminate();
    await isCancelled();
  });

  test("tells what was wrong with a request, and is closed", async () => {
    const peer = await opened();
    peer.send('{"create_request":{"key":5}}');
    expect(await peer.json()).toMatchObject({ code: 3 });
    expect(await peer.closeCode()).toBe(1000);
    const other = await opened();
    other.send(CREATE, "nonsense");
    expect(await other.json()).toMatchObject(CREATED);
    expect(await other.json()).toMatchObject({ error: { grpc_code: 3 } });
    expect(await other.closeCode()).toBe(1000);
    await isCancelled();
  });

  test("is closed where the protocol is broken", async () => {
    const peer = await opened();
    peer.send(CREATE);
    expect(await peer.json()).toMatchObject(CREATED);
    peer.webSocket.send("not masked", { mask: false });
    expect(await peer.closeCode()).toBe(1002);
    await isCancelled();
  });

  test("is closed where a message is larger than any request, in parts or not", async () => {
    const half = "x".repeat(2_200_000);
    const peer = await opened();
    peer.send(`${half}${half}`);
    expect(await peer.closeCode()).toBe(1009);
    const other = await opened();
    other.webSocket.send(half, { fin: false });
    other.webSocket.send(half, { fin: true });
    expect(await other.closeCode()).toBe(1009);
  });

  test("waits with the backend while nobody reads", async () => {
    const peer = await opened();
    peer.send(CREATE);
    expect(await peer.json()).toMatchObject(CREATED);
    peer.webSocket.pause();
    const feed = backend.watches[0]!;
    const large = new Uint8Array(100_000);
    for (let i = 0; i < 200; i++) {
      feed.give({ revision: 6 + i, events: [putEvent("k", 6 + i, large)] });
    }
    expect(await settled(() => feed.waiting)).toBeGreaterThan(100);
    peer.webSocket.resume();
    for (let seen = 0; seen < 200;) {
      const { result } = (await peer.json()) as { result: { events: readonly unknown[] } };
      seen += result.events.length;
    }
    expect(feed.waiting).toBe(0);
  });

  test("wants a leader where that is asked for", async () => {
    backend.leaderNodeId = 0;
    const peer = await opened({ "grpc-metadata-hasleader": "true" });
    expect(await peer.json()).toMatchObject({ code: 14, message: "etcdserver: no leader" });
    expect(await peer.closeCode()).toBe(1000);
  });

  test("is told when the node ends", async () => {
    const peer = await opened();
    peer.send(CREATE);
    expect(await peer.json()).toMatchObject(CREATED);
    await server.gateway.close();
    expect(await peer.json()).toMatchObject({ error: { message: "etcdserver: server stopped" } });
    await peer.closeCode();
  });

  test("is understood by the client that browsers have", async () => {
    const script = `
      const socket = new WebSocket("ws://${server.address}/v3/watch");
      socket.onopen = () => socket.send('${CREATE}');
      socket.onmessage = ({ data }) => { console.log(data); socket.close(1000); };
      socket.onclose = ({ code, wasClean }) => console.log(code, wasClean);`;
    const flags = ["--experimental-websocket", "--no-warnings", "-e", script];
    const { stdout } = await runProgram(process.execPath, flags);
    const [message = "", closed] = stdout.split("\n");
    expect(JSON.parse(message)).toMatchObject(CREATED);
    expect(closed).toBe("1000 true");
  });
});

test("keep-alives go by WebSocket, too", async () => {
  const peer = await Peer.open("/v3/lease/keepalive");
  peer.send('{"ID":"404"}');
  expect(await peer.json()).toMatchObject({ result: { ID: "404" } });
});

test("messages are read no faster than they are taken, and in order", async () => {
  const taken: number[] = [];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const webSockets = webSocketServer(200_000);
  const http = createServer().listen(0, "127.0.0.1");
  http.on("upgrade", (request, socket, head) => {
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      new WebSocketOutput(webSocket, socket).read({
        receive: async (bytes) => {
          await gate;
          taken.push(Number(new TextDecoder().decode(bytes)));
        },
      });
    });
  });
  await once(http, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  const [connection] = (await once(http, "connection")) as [Socket];
  await once(client, "open");
  const count = 400;
  for (let i = 0; i < count; i++) client.send(String(i).padStart(100_000));
  expect(await settled(() => connection.bytesRead)).toBeLessThan(1_000_000);
  open();
  await eventually(() => taken.length === count);
  expect(taken).toEqual(Array.from({ length: count }, (_, i) => i));
  client.terminate();
  http.close();
});

describe("an upgrade to something else", () => {
  const h2c = { upgrade: "h2c", connection: "Upgrade, HTTP2-Settings", "http2-settings": "AAMA" };

  test("is answered as if it had not been asked for", async () => {
    const post = upgrade("/v3/kv/range", { ...h2c, "content-length": "14" })
      .replace("GET", "POST")
      .concat('{"key":"aw=="}');
    const { socket, heard } = await sent(post);
    await eventually(() => heard().includes('"key":"aw=="'));
    expect(heard()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    socket.write(upgrade("/health", h2c));
    await eventually(() => heard().includes('{"health":"true"'));
    expect(heard().split("HTTP/1.1 ")).toHaveLength(3);
    socket.destroy();
  });

  test.each([
    ["/v3/kv/range", 501],
    ["/v3/no/such", 404],
    ["/health", 200],
    ["/v3/auth/enable", 501],
  ])("so that %s, which is no session, gives %i", async (path, status) => {
    const { socket, heard } = await sent(upgrade(path));
    await eventually(() => heard() !== "");
    expect(heard()).toContain(`HTTP/1.1 ${status} `);
    socket.destroy();
  });

  test("harms nobody where its path is none", async () => {
    const { socket, heard } = await sent(upgrade("//"));
    await eventually(() => heard() !== "");
    expect(heard()).toMatch(/^HTTP\/1\.1 [45]00 /);
    socket.destroy();
  });

  test("ends the connection where requests before it are not answered yet", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const put =
      'POST /v3/kv/put HTTP/1.1\r\nhost: node\r\ncontent-length: 14\r\n\r\n{"key":"aw=="}';
    const { socket, heard } = await sent(`${put}${upgrade("/v3/watch")}`);
    await once(socket, "close");
    expect(heard()).toBe("");
    open();
  });
});
