/** Sessions of JSON over WebSockets, and requests that ask for other upgrades. */
import { describe, expect, test } from "vitest";
import { concatBytes, utf8Text } from "../../src/base/bytes.js";
import { WebSocketReader, frameOf } from "../../src/gateway/websocket-frames.js";
import type { WebSocketError } from "../../src/gateway/websocket-frames.js";
import { bytesOf } from "../support/bytes-of.js";
import { eventually } from "../support/eventually.js";
import { runProgram } from "../support/programs.js";
import { putEvent } from "./fake-backend.js";
import { backend, server, serveEach } from "./served.js";
import { ACCEPT, masked, upgrade, WebSocketPeer } from "./websocket-peer.js";

serveEach();

const CONTINUED = 0;
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const CREATE = '{"create_request":{"key":"aw=="}}';

describe("frames", () => {
  function read(...chunks: readonly Uint8Array[]): string[] {
    const reader = new WebSocketReader(70_000);
    return chunks.flatMap((chunk) =>
      [...reader.push(chunk)].map(({ kind, payload }) => `${kind} ${utf8Text(payload)}`),
    );
  }

  const codeOf = (...chunks: readonly Uint8Array[]): number => {
    try {
      read(...chunks);
    } catch (error) {
      return (error as WebSocketError).code;
    }
    return 0;
  };

  test("of every length are read, however they come", () => {
    for (const length of [0, 125, 126, 65_535, 65_536]) {
      const text = "x".repeat(length);
      const bytes = concatBytes(masked(TEXT, text), masked(BINARY, "y"));
      expect(read(bytes)).toEqual([`data ${text}`, "data y"]);
      const start = Math.min(bytes.length, 20);
      const pieces = Array.from({ length: start }, (_, i) => bytes.slice(i, i + 1));
      expect(read(...pieces, bytes.slice(start))).toEqual([`data ${text}`, "data y"]);
    }
  });

  test("of a message in parts are handed on, with what comes between them", () => {
    const frames = [
      masked(TEXT, "a", false),
      masked(PING, "p"),
      masked(CONTINUED, "b", false),
      masked(CONTINUED, "c"),
      masked(PONG, "q"),
      masked(CLOSE, ""),
    ];
    const found = read(concatBytes(...frames)).join(", ");
    expect(found).toBe("data a, ping p, data b, data c, pong q, close ");
  });

  test("that break the protocol end it, and so do those that are too large", () => {
    expect(codeOf(frameOf(TEXT, bytesOf("not masked")))).toBe(1002);
    expect(codeOf(masked(0x40 | TEXT, "compressed"))).toBe(1002);
    expect(codeOf(masked(3, "no opcode"))).toBe(1002);
    expect(codeOf(masked(11, "no opcode"))).toBe(1002);
    expect(codeOf(masked(CONTINUED, "of nothing"))).toBe(1002);
    expect(codeOf(masked(TEXT, "a", false), masked(TEXT, "within"))).toBe(1002);
    expect(codeOf(masked(PING, "p", false))).toBe(1002);
    expect(codeOf(masked(PING, "p".repeat(126)))).toBe(1002);
    expect(codeOf(masked(TEXT, "x".repeat(70_001)).slice(0, 14))).toBe(1009);
    const endless = Uint8Array.of(0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0);
    expect(codeOf(endless)).toBe(1009);
  });
});

describe("a watch by WebSocket", () => {
  async function opened(headers: Record<string, string> = {}): Promise<WebSocketPeer> {
    const peer = await WebSocketPeer.open(server.address, upgrade("/v3/watch", headers));
    expect(await peer.head()).toContain("HTTP/1.1 101 Switching Protocols\r\n");
    return peer;
  }

  const isCancelled = (): Promise<unknown> =>
    eventually(() => backend.watches.every((watch) => watch.isCancelled));

  test("is agreed on as RFC 6455 has it", async () => {
    const headers = { connection: "keep-alive, Upgrade", upgrade: "WebSocket" };
    const peer = await WebSocketPeer.open(server.address, upgrade("/v3beta/watch", headers));
    const head = await peer.head();
    expect(head).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    expect(head).toContain(`\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n`);
    expect(head).not.toContain("Protocol:");
    peer.socket.destroy();
    const token = await opened({ "sec-websocket-protocol": "Bearer, abc" });
    token.socket.destroy();
  });

  test("is refused where it is not asked for as it should be", async () => {
    for (const header of ["sec-websocket-version", "sec-websocket-key"]) {
      const asked = upgrade("/v3/watch", { [header]: "8" });
      const peer = await WebSocketPeer.open(server.address, asked);
      const head = await peer.head();
      expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(head).toContain("\r\nSec-WebSocket-Version: 13\r\n");
      await eventually(() => peer.isClosed);
    }
  });

  test("has a message for each response, and ends when the client closes it", async () => {
    const peer = await opened();
    peer.send(masked(TEXT, CREATE), masked(BINARY, CREATE.replace("aw==", "bA==")));
    expect(await peer.json()).toMatchObject({ result: { created: true } });
    expect(await peer.json()).toMatchObject({ result: { created: true, watch_id: "1" } });
    backend.watches[0]!.give({ revision: 6, events: [putEvent("k", 6, bytesOf("v"))] });
    expect(await peer.json()).toMatchObject({
      result: { events: [{ kv: { key: "aw==", mod_revision: "6" } }] },
    });
    peer.send(masked(CLOSE, Uint8Array.of(3, 232)));
    expect(await peer.closeCode()).toBe(1000);
    await isCancelled();
    await eventually(() => peer.isClosed);
  });

  test("takes what was sent with the request, and a message in parts", async () => {
    const first = concatBytes(bytesOf(upgrade("/v3/watch")), masked(TEXT, CREATE));
    const peer = await WebSocketPeer.open(server.address, first);
    await peer.head();
    expect(await peer.json()).toMatchObject({ result: { created: true } });
    peer.send(masked(TEXT, CREATE.slice(0, 9), false), masked(CONTINUED, CREATE.slice(9)));
    expect(await peer.json()).toMatchObject({ result: { created: true, watch_id: "1" } });
    peer.socket.destroy();
    await isCancelled();
  });

  test("answers pings with what they say", async () => {
    const peer = await opened();
    peer.send(masked(PING, "there?"), masked(PONG, "nobody asked"), masked(TEXT, CREATE));
    const { opcode, payload } = await peer.frame();
    expect([opcode, utf8Text(payload)]).toEqual([PONG, "there?"]);
    expect(await peer.json()).toMatchObject({ result: { created: true } });
    peer.socket.end();
    await isCancelled();
  });

  test("tells what was wrong with a request, and is closed", async () => {
    const peer = await opened();
    peer.send(masked(TEXT, '{"create_request":{"key":5}}'));
    expect(await peer.json()).toMatchObject({ code: 3 });
    expect(await peer.closeCode()).toBe(1000);
    const other = await opened();
    other.send(masked(TEXT, CREATE), masked(TEXT, "nonsense"));
    expect(await other.json()).toMatchObject({ result: { created: true } });
    expect(await other.json()).toMatchObject({ error: { grpc_code: 3 } });
    expect(await other.closeCode()).toBe(1000);
    await isCancelled();
  });

  test("is closed where the protocol is broken", async () => {
    const peer = await opened();
    peer.send(masked(TEXT, CREATE));
    expect(await peer.json()).toMatchObject({ result: { created: true } });
    peer.send(frameOf(TEXT, bytesOf("not masked")));
    expect(await peer.closeCode()).toBe(1002);
    await isCancelled();
  });

  test("wants a leader where that is asked for", async () => {
    backend.leaderNodeId = 0;
    const peer = await opened({ "grpc-metadata-hasleader": "true" });
    expect(await peer.json()).toMatchObject({ code: 14, message: "etcdserver: no leader" });
    expect(await peer.closeCode()).toBe(1000);
  });

  test("is told when the node ends", async () => {
    const peer = await opened();
    peer.send(masked(TEXT, CREATE));
    expect(await peer.json()).toMatchObject({ result: { created: true } });
    await server.gateway.close();
    expect(await peer.json()).toMatchObject({ error: { message: "etcdserver: server stopped" } });
    await eventually(() => peer.isClosed);
  });

  test("is understood by a client that others have written", async () => {
    const script = `
      const socket = new WebSocket("ws://${server.address}/v3/watch");
      socket.onopen = () => socket.send('${CREATE}');
      socket.onmessage = ({ data }) => { console.log(data); socket.close(); };
      socket.onclose = ({ code, wasClean }) => console.log(code, wasClean);`;
    const flags = ["--experimental-websocket", "--no-warnings", "-e", script];
    const { stdout } = await runProgram(process.execPath, flags);
    const [message = "", closed] = stdout.split("\n");
    expect(JSON.parse(message)).toMatchObject({ result: { created: true } });
    expect(closed).toBe("1000 true");
  });
});

test("keep-alives go by WebSocket, too", async () => {
  const peer = await WebSocketPeer.open(server.address, upgrade("/v3/lease/keepalive"));
  await peer.head();
  peer.send(masked(TEXT, '{"ID":"404"}'));
  expect(await peer.json()).toMatchObject({ result: { ID: "404" } });
  peer.socket.destroy();
});

describe("an upgrade to something else", () => {
  const h2c = { upgrade: "h2c", connection: "Upgrade, HTTP2-Settings", "http2-settings": "AAMA" };

  test("is answered as if it had not been asked for", async () => {
    const post = upgrade("/v3/kv/range", { ...h2c, "content-length": "14" })
      .replace("GET", "POST")
      .concat('{"key":"aw=="}');
    const peer = await WebSocketPeer.open(server.address, post);
    await eventually(() => peer.text.includes('"key":"aw=="'));
    expect(peer.text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    peer.socket.write(upgrade("/health", h2c));
    await eventually(() => peer.text.includes('{"health":"true"'));
    expect(peer.text.split("HTTP/1.1 ")).toHaveLength(3);
    peer.socket.destroy();
  });

  test.each([
    ["/v3/kv/range", 501],
    ["/v3/no/such", 404],
    ["/health", 200],
    ["/v3/auth/enable", 501],
  ])("so that %s, which is no session, gives %i", async (path, status) => {
    const peer = await WebSocketPeer.open(server.address, upgrade(path));
    expect(await peer.head()).toContain(`HTTP/1.1 ${status} `);
    peer.socket.destroy();
  });

  test("harms nobody where its path is none", async () => {
    const peer = await WebSocketPeer.open(server.address, upgrade("//"));
    expect(await peer.head()).toMatch(/^HTTP\/1\.1 [45]00 /);
    peer.socket.destroy();
  });

  test("ends the connection where requests before it are not answered yet", async () => {
    let open = (): void => undefined;
    backend.gate = new Promise((resolve) => (open = resolve));
    const put =
      'POST /v3/kv/put HTTP/1.1\r\nhost: node\r\ncontent-length: 14\r\n\r\n{"key":"aw=="}';
    const peer = await WebSocketPeer.open(server.address, `${put}${upgrade("/v3/watch")}`);
    await eventually(() => peer.isClosed);
    expect(peer.text).toBe("");
    open();
  });
});
