/**
 * The load generator's HTTP/2 client. Against Node's own HTTP/2 server it must be understood, and
 * against frames written by hand it must keep to the server's limits and see every error.
 */
import { createServer } from "node:http2";
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { connect } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Http2Connection } from "../../scripts/bench/http2-client.js";
import { concatBytes, utf8 } from "../../src/base/bytes.js";
import { readU32BE, writeU32BE } from "../../src/base/coding.js";
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE } from "../../src/gateway/http2/format.js";

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  writeU32BE(bytes, 0, (payload.length << 8) | type);
  bytes[4] = flags;
  writeU32BE(bytes, 5, stream);
  bytes.set(payload, FRAME_HEAD_BYTES);
  return bytes;
}

function framesIn(bytes: Uint8Array): readonly Frame[] {
  const found: Frame[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = readU32BE(bytes, at) >>> 8;
    const payload = bytes.slice(at + FRAME_HEAD_BYTES, at + FRAME_HEAD_BYTES + length);
    found.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      stream: readU32BE(bytes, at + 5),
      payload,
    });
    at += FRAME_HEAD_BYTES + length;
  }
  return found;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeU32BE(bytes, 0, value);
  return bytes;
}

function setting(id: number, value: number): Uint8Array {
  return frame(FRAME.settings, 0, 0, concatBytes(Uint8Array.of(0, id), u32(value)));
}

/** A connection whose frames are kept, and the outcomes of its calls in order of their ends. */
class Desk {
  readonly outcomes: string[] = [];
  readonly connection: Http2Connection;
  #written: Uint8Array[] = [];

  constructor() {
    this.connection = new Http2Connection((bytes) => this.#written.push(bytes), "test");
  }

  call(name: string, bodyBytes = 10): void {
    const done = (error: string | undefined, dataBytes: number): void => {
      this.outcomes.push(`${name}: ${error ?? dataBytes}`);
    };
    this.connection.call({ path: "/a", body: new Uint8Array(bodyBytes), done });
  }

  /** The frames written since the last call of this. */
  async written(): Promise<readonly Frame[]> {
    await Promise.resolve();
    const bytes = concatBytes(...this.#written);
    this.#written = [];
    const text = new TextDecoder().decode(bytes.subarray(0, PREFACE.length));
    return framesIn(text.startsWith("PRI") ? bytes.subarray(PREFACE.length) : bytes);
  }

  async streamsStarted(): Promise<readonly number[]> {
    const frames = await this.written();
    return frames.filter(({ type }) => type === FRAME.headers).map(({ stream }) => stream);
  }
}

const headers = (stream: number, flags = 0): Uint8Array =>
  frame(FRAME.headers, FLAG.endHeaders | flags, stream, Uint8Array.of(0x88));
const data = (stream: number, length: number): Uint8Array =>
  frame(FRAME.data, 0, stream, new Uint8Array(length));

describe("frames by hand", () => {
  test("an answer is headers, data and trailers, however it is cut into chunks", () => {
    const desk = new Desk();
    desk.call("one");
    const answer = concatBytes(headers(1), data(1, 25), data(1, 5), headers(1, FLAG.endStream));
    for (const byte of answer) desk.connection.receive(Uint8Array.of(byte));
    expect(desk.outcomes).toEqual(["one: 30"]);
  });

  test("trailers only, a reset and a farewell are errors", () => {
    const desk = new Desk();
    for (const name of ["one", "two", "three", "four"]) desk.call(name);
    desk.connection.receive(headers(1, FLAG.endStream));
    desk.connection.receive(frame(FRAME.resetStream, 0, 3, u32(7)));
    desk.connection.receive(frame(FRAME.data, FLAG.endStream, 5, new Uint8Array(3)));
    desk.connection.receive(frame(FRAME.goAway, 0, 0, concatBytes(u32(0), u32(11))));
    desk.call("five");
    expect(desk.outcomes).toEqual([
      "one: the server answered with an error",
      "two: the stream was reset with code 7",
      "three: the answer has no trailers",
      "four: the server went away with code 11",
      "five: the server went away with code 11",
    ]);
  });

  test("pings and settings are acknowledged, acknowledgements are not", async () => {
    const desk = new Desk();
    await desk.written();
    const token = utf8("8 bytes!");
    desk.connection.receive(concatBytes(setting(4, 70_000), frame(FRAME.ping, 0, 0, token)));
    desk.connection.receive(frame(FRAME.settings, FLAG.ack, 0, new Uint8Array(0)));
    desk.connection.receive(frame(FRAME.ping, FLAG.ack, 0, token));
    const written = await desk.written();
    expect(written.map(({ type, flags }) => [type, flags])).toEqual([
      [FRAME.settings, FLAG.ack],
      [FRAME.ping, FLAG.ack],
    ]);
    expect(written[1]?.payload).toEqual(token);
  });

  test("no more streams than the server allows", async () => {
    const desk = new Desk();
    desk.connection.receive(setting(3, 2));
    for (const name of ["one", "two", "three", "four"]) desk.call(name);
    expect(await desk.streamsStarted()).toEqual([1, 3]);
    desk.connection.receive(concatBytes(headers(3), data(3, 9), headers(3, FLAG.endStream)));
    expect(await desk.streamsStarted()).toEqual([5]);
    desk.call("five");
    expect(await desk.streamsStarted()).toEqual([]);
    expect(desk.outcomes).toEqual(["two: 9"]);
  });

  test("no more bytes than the server's window", async () => {
    const desk = new Desk();
    for (let i = 0; i < 5; i++) desk.call(String(i), 16_000);
    expect(await desk.streamsStarted()).toEqual([1, 3, 5, 7]);
    desk.connection.receive(frame(FRAME.windowUpdate, 0, 0, u32(14_000)));
    expect(await desk.streamsStarted()).toEqual([]);
    desk.connection.receive(frame(FRAME.windowUpdate, 0, 0, u32(1_000)));
    expect(await desk.streamsStarted()).toEqual([9]);
  });

  test("gives the server its window back", async () => {
    const desk = new Desk();
    desk.call("one");
    const first = await desk.written();
    const granted = first.find(({ type }) => type === FRAME.windowUpdate);
    expect(readU32BE(granted!.payload, 0)).toBeGreaterThan(1_000_000);
    let received = 0;
    let returned = 0;
    for (let i = 0; i < 400; i++) {
      desk.connection.receive(data(1, 16_384));
      received += 16_384;
    }
    for (const { payload } of await desk.written()) returned += readU32BE(payload, 0);
    expect(returned).toBeGreaterThan(0);
    expect(received - returned).toBeLessThan(readU32BE(granted!.payload, 0));
  });
});

describe("Node's server", () => {
  let server: Http2Server;
  const seen: IncomingHttpHeaders[] = [];
  const bodies: number[] = [];

  beforeEach(async () => {
    seen.length = 0;
    bodies.length = 0;
    server = createServer();
    server.on("stream", (stream: ServerHttp2Stream, requestHeaders: IncomingHttpHeaders) => {
      seen.push(requestHeaders);
      let length = 0;
      stream.on("data", (chunk: Uint8Array) => (length += chunk.length));
      stream.on("end", () => {
        bodies.push(length);
        if (requestHeaders[":path"] === "/refused") {
          stream.respond({ ":status": 200, "grpc-status": "14" }, { endStream: true });
          return;
        }
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(new Uint8Array(length + 1));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });

  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
  });

  test("understands interleaved paths, known and new headers, and many calls", async () => {
    const { port } = server.address() as AddressInfo;
    const socket = connect(port, "127.0.0.1");
    const connection = new Http2Connection((bytes) => socket.write(bytes), "test.example:1");
    socket.on("data", (chunk: Uint8Array) => connection.receive(chunk));
    const call = (path: string, size: number): Promise<string> =>
      new Promise((resolve) => {
        const done = (error: string | undefined, dataBytes: number): void =>
          resolve(error ?? `${dataBytes}`);
        connection.call({ path, body: new Uint8Array(size), done });
      });
    const paths = ["/a", "/a", "/b", "/a", "/b", "/refused", "/c", "/a", "/b", "/refused"];
    const outcomes = await Promise.all(paths.map((path, i) => call(path, i)));
    const refusal = "the server answered with an error";
    expect(outcomes).toEqual(["1", "2", "3", "4", "5", refusal, "7", "8", "9", refusal]);
    expect(seen.map((one) => one[":path"])).toEqual(paths);
    for (const one of seen) {
      expect(one[":authority"]).toBe("test.example:1");
      expect(one["content-type"]).toBe("application/grpc");
      expect(one["te"]).toBe("trailers");
    }
    const many = await Promise.all(Array.from({ length: 500 }, (_, i) => call("/a", i)));
    expect(many).toEqual(Array.from({ length: 500 }, (_, i) => String(i + 1)));
    socket.destroy();
  });
});
