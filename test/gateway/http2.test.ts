/** One HTTP/2 connection, frame by frame: what RFC 9113 asks of a server, and what abuse meets. */
import http2 from "node:http2";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { concatBytes, utf8 } from "../../src/base/bytes.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { Http2Connection } from "../../src/gateway/http2/connection.js";
import { FLAG, FRAME, PREFACE, REASON } from "../../src/gateway/http2/format.js";
import { headerBlock } from "../../src/gateway/http2/hpack.js";
import type { StreamHandler } from "../../src/gateway/http2/stream.js";
import { Http2Peer, REQUEST, frame, setting, u32 } from "./http2-peer.js";

const HEAD = headerBlock([[":status", "200"]]);
const TRAILERS = headerBlock([["grpc-status", "0"]]);
const OPENING = ["settings 0 18", "0 window 16711681", "settings 1 0"];

async function begun(): Promise<Http2Peer> {
  const peer = new Http2Peer().begin();
  expect(await peer.words()).toEqual(OPENING);
  return peer;
}

describe("a call", () => {
  test("is headers and data, and is answered by headers, data and trailers", async () => {
    const peer = await begun();
    const { stream, said, path } = peer.request(1);
    peer.say(frame(FRAME.data, 0, 1, utf8("ab")), frame(FRAME.data, FLAG.endStream, 1, utf8("c")));
    expect([path, said]).toEqual(["/x", ["ab", "c", "ended"]]);
    stream.respond(HEAD);
    stream.write(new Uint8Array(40_000));
    stream.end(TRAILERS);
    expect(await peer.words()).toEqual([
      "1 headers 200",
      "1 data 16384",
      "1 data 16384",
      "1 data 7232",
      "1 headers 0 end",
    ]);
    expect(said.at(-1)).toBe("closed");
  });

  test("may come byte by byte, padded, with a priority and in many pieces", async () => {
    const peer = new Http2Peer();
    const block = concatBytes(Uint8Array.of(3), u32(1), Uint8Array.of(16), REQUEST);
    const cut = block.length - 30;
    const all = concatBytes(
      utf8(PREFACE),
      frame(FRAME.settings, 0, 0, setting(5, 20_000)),
      frame(FRAME.priority, 0, 5, new Uint8Array(5)),
      frame(FRAME.headers, FLAG.padded | FLAG.priority, 1, block.slice(0, cut)),
      frame(FRAME.continuation, 0, 1, block.slice(cut - 3, cut + 10)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, block.slice(cut + 10)),
      frame(FRAME.data, FLAG.padded | FLAG.endStream, 1, utf8("\u0002hi--")),
      frame(77, 0xff, 0, utf8("of a later time")),
    );
    for (const byte of all) peer.say(Uint8Array.of(byte));
    expect(peer.streams.map(({ path, said }) => [path, ...said])).toEqual([["/x", "hi", "ended"]]);
    expect(await peer.words()).toEqual(OPENING);
  });

  test("whose answer ends first is not to be sent any further", async () => {
    const peer = await begun();
    const { stream, said } = peer.request(1);
    stream.refuse(headerBlock([[":status", "415"]]));
    peer.say(
      frame(FRAME.data, FLAG.endStream, 1, utf8("late")),
      frame(FRAME.windowUpdate, 0, 1, u32(1)),
    );
    expect(await peer.words()).toEqual(["1 headers 415 end", "1 reset 0"]);
    expect(said).toEqual(["closed"]);
  });

  test("that the client resets is over; what is still written goes nowhere", async () => {
    const peer = await begun();
    const { stream, said } = peer.request(1);
    peer.say(frame(FRAME.resetStream, 0, 1, u32(REASON.cancel)));
    stream.respond(HEAD);
    stream.write(utf8("late"));
    stream.end(TRAILERS);
    stream.reset(REASON.cancel);
    expect([said, await peer.words()]).toEqual([["closed"], []]);
  });

  test("may end by trailers of the client's", async () => {
    const peer = await begun();
    const { said } = peer.request(1);
    const trailers = headerBlock([["x", "y"]]);
    peer.say(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, trailers));
    expect(said).toEqual(["ended"]);
  });

  test("that is none is reset, and the table goes on", async () => {
    const peer = await begun();
    const bad: readonly (readonly (readonly [string, string])[])[] = [
      [
        [":method", "POST"],
        [":path", "/x"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", ""],
      ],
      [
        [":method", "POST"],
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
      ],
      [
        ["a", "b"],
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
        [":status", "200"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
        ["Upper", "case"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
        ["connection", "close"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
        ["te", "gzip"],
      ],
      [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", "/x"],
        ["a", "b\r\nc: d"],
      ],
    ];
    for (const [i, pairs] of bad.entries()) {
      peer.say(frame(FRAME.headers, FLAG.endHeaders, 2 * i + 1, headerBlock(pairs)));
    }
    expect(peer.streams).toEqual([]);
    expect(await peer.words()).toEqual(bad.map((_, i) => `${2 * i + 1} reset 1`));
    peer.request(99);
    expect(peer.streams.length).toBe(1);
  });

  test("with too many headers is answered so", async () => {
    const peer = await begun();
    const large = Array.from({ length: 20 }, (_, i) => [`x-${i}`, "v".repeat(10)] as const);
    const entry = Uint8Array.of(
      0x40,
      1,
      0x61,
      0x7f,
      0xa1,
      0x1e,
      ...new Uint8Array(4000).fill(0x62),
    );
    const block = concatBytes(REQUEST, entry, new Uint8Array(20).fill(0xbe), headerBlock(large));
    peer.say(frame(FRAME.headers, FLAG.endHeaders, 1, block));
    expect(await peer.words()).toEqual(["1 headers 431 end", "1 reset 0"]);
    expect(peer.streams).toEqual([]);
  });
});

describe("windows", () => {
  test("of the client hold back what does not fit, of one stream or of all", async () => {
    const peer = await begun();
    const first = peer.request(1).stream;
    const second = peer.request(3).stream;
    for (const stream of [first, second]) {
      stream.respond(HEAD);
      stream.write(new Uint8Array(50_000));
      stream.end(TRAILERS);
    }
    const data = (await peer.words()).filter((word) => word.includes("data"));
    expect(data).toEqual([
      "1 data 16384",
      "1 data 16384",
      "1 data 16384",
      "1 data 848",
      "3 data 15535",
    ]);
    peer.say(frame(FRAME.windowUpdate, 0, 0, u32(20_000)));
    expect(await peer.words()).toEqual(["3 data 16384", "3 data 3616"]);
    peer.say(frame(FRAME.windowUpdate, 0, 0, u32(100_000)));
    expect(await peer.words()).toEqual(["3 data 14465", "3 headers 0 end", "3 reset 0"]);
  });

  test("are shared by turns", async () => {
    const peer = await begun();
    peer.say(frame(FRAME.settings, 0, 0, setting(4, 0)));
    const streams = [1, 3].map((id) => peer.request(id).stream);
    for (const stream of streams) stream.write(new Uint8Array(20_000));
    await peer.heard();
    // Streams that are open get their new window at once.
    peer.say(frame(FRAME.settings, 0, 0, setting(4, 100_000)));
    expect(await peer.words()).toEqual(
      ["1 data 16384", "3 data 16384", "1 data 3616", "3 data 3616", "settings 1 0"].sort(
        (a, b) => Number(b.startsWith("settings")) - Number(a.startsWith("settings")),
      ),
    );
  });

  test("of ours are opened again as they are used up, but not for who is to wait", async () => {
    const peer = await begun();
    const eager = peer.request(1);
    const slow = peer.request(3);
    slow.stream.pause();
    const part = new Uint8Array(16_384);
    for (let i = 0; i < 40; i++) {
      peer.say(frame(FRAME.data, 0, 1, part), frame(FRAME.data, 0, 3, part));
    }
    expect(await peer.words()).toEqual(["1 window 524288"]);
    slow.stream.resume();
    expect(await peer.words()).toEqual(["3 window 655360"]);
    expect([eager.bytes, slow.bytes]).toEqual([655_360, 655_360]);
  });

  test("that are exceeded cost the stream", async () => {
    const peer = await begun();
    peer.request(1).stream.pause();
    for (let i = 0; i < 65; i++) peer.say(frame(FRAME.data, 0, 1, new Uint8Array(16_384)));
    expect(await peer.words()).toEqual(["1 reset 3"]);
  });

  test("that never open tell the writer to wait, and he hears when they do", async () => {
    const peer = await begun();
    const { stream, said } = peer.request(1);
    stream.write(new Uint8Array(200_000));
    expect(stream.isFull).toBe(true);
    peer.say(frame(FRAME.windowUpdate, 0, 0, u32(200_000)));
    expect(said).toEqual([]);
    peer.say(frame(FRAME.windowUpdate, 0, 1, u32(200_000)));
    expect([stream.isFull, said]).toEqual([false, ["drained"]]);
  });

  test("do not matter while the system takes nothing", async () => {
    const peer = await begun();
    peer.stuckBytes = 2 * 1024 * 1024;
    const { stream, said } = peer.request(1);
    stream.write(utf8("held"));
    stream.end(TRAILERS);
    expect(await peer.words()).toEqual([]);
    peer.drain();
    expect(await peer.words()).toEqual(["1 data 4", "1 headers 0 end", "1 reset 0"]);
    expect(said.at(-1)).toBe("closed");
  });
});

describe("the end", () => {
  test("lets who is there finish, and takes nobody new", async () => {
    const peer = await begun();
    const { stream } = peer.request(1);
    peer.connection.leave();
    peer.say(frame(FRAME.headers, FLAG.endHeaders, 3, REQUEST));
    peer.say(frame(FRAME.data, 0, 3, utf8("nobody")), frame(FRAME.data, FLAG.endStream, 1));
    expect(await peer.words()).toEqual(["away 1 0"]);
    expect([peer.streams.length, peer.isEnded]).toEqual([1, false]);
    stream.respond(HEAD);
    stream.end(TRAILERS);
    expect(await peer.words()).toEqual(["1 headers 200", "1 headers 0 end"]);
    expect(peer.isEnded).toBe(true);
  });

  test("of the connection is told to every stream, once", async () => {
    const peer = await begun();
    const { said } = peer.request(1);
    peer.destroy();
    peer.connection.leave();
    expect(said).toEqual(["closed"]);
  });
});

describe("a fault ends the connection with its reason:", () => {
  test.each<[string, number, Uint8Array]>([
    ["data on stream 0", REASON.protocol, frame(FRAME.data, 0, 0, utf8("x"))],
    ["data on a stream that never began", REASON.protocol, frame(FRAME.data, 0, 9, utf8("x"))],
    [
      "data that is all padding",
      REASON.protocol,
      frame(FRAME.data, FLAG.padded, 1, utf8("\u0005ab")),
    ],
    [
      "a stream with an even number",
      REASON.protocol,
      frame(FRAME.headers, FLAG.endHeaders, 2, REQUEST),
    ],
    ["headers on stream 0", REASON.protocol, frame(FRAME.headers, FLAG.endHeaders, 0, REQUEST)],
    [
      "headers that are no HPACK",
      REASON.compression,
      frame(FRAME.headers, 4, 3, Uint8Array.of(0xff)),
    ],
    [
      "headers without room for a priority",
      REASON.protocol,
      frame(FRAME.headers, 0x24, 3, utf8("abc")),
    ],
    ["padding without its length", REASON.frameSize, frame(FRAME.headers, 0x0c, 3)],
    ["a continuation of nothing", REASON.protocol, frame(FRAME.continuation, 4, 1, REQUEST)],
    [
      "a header block that is interrupted",
      REASON.protocol,
      concatBytes(frame(FRAME.headers, 0, 3, REQUEST), frame(FRAME.ping, 0, 0, new Uint8Array(8))),
    ],
    [
      "a header block without end",
      REASON.tooMuch,
      concatBytes(
        frame(FRAME.headers, 0, 3, REQUEST),
        ...Array.from({ length: 40 }, () => frame(FRAME.continuation, 0, 3)),
      ),
    ],
    [
      "a frame that is too large",
      REASON.frameSize,
      frame(FRAME.data, 0, 1, new Uint8Array(16_385)),
    ],
    ["a reset on stream 0", REASON.protocol, frame(FRAME.resetStream, 0, 0, u32(8))],
    ["a reset of what never began", REASON.protocol, frame(FRAME.resetStream, 0, 7, u32(8))],
    ["a reset of the wrong size", REASON.frameSize, frame(FRAME.resetStream, 0, 1, utf8("abc"))],
    ["settings on a stream", REASON.protocol, frame(FRAME.settings, 0, 1)],
    ["settings of the wrong size", REASON.frameSize, frame(FRAME.settings, 0, 0, utf8("abc"))],
    [
      "an acknowledgement with settings",
      REASON.frameSize,
      frame(FRAME.settings, 1, 0, setting(4, 1)),
    ],
    [
      "a window that cannot be",
      REASON.flowControl,
      frame(FRAME.settings, 0, 0, setting(4, 2 ** 31)),
    ],
    [
      "a size of frames that cannot be",
      REASON.protocol,
      frame(FRAME.settings, 0, 0, setting(5, 100)),
    ],
    ["pushing neither on nor off", REASON.protocol, frame(FRAME.settings, 0, 0, setting(2, 2))],
    ["a ping on a stream", REASON.protocol, frame(FRAME.ping, 0, 1, new Uint8Array(8))],
    ["a ping of the wrong size", REASON.frameSize, frame(FRAME.ping, 0, 0, new Uint8Array(7))],
    ["a push", REASON.protocol, frame(FRAME.pushPromise, 4, 1, u32(2))],
    ["a farewell on a stream", REASON.protocol, frame(FRAME.goAway, 0, 1, new Uint8Array(8))],
    ["a priority of stream 0", REASON.protocol, frame(FRAME.priority, 0, 0, new Uint8Array(5))],
    ["a window that grows by nothing", REASON.protocol, frame(FRAME.windowUpdate, 0, 0, u32(0))],
    [
      "a window beyond its bound",
      REASON.flowControl,
      frame(FRAME.windowUpdate, 0, 0, u32(2 ** 31 - 1)),
    ],
    ["a window of the wrong size", REASON.frameSize, frame(FRAME.windowUpdate, 0, 0, utf8("abc"))],
  ])("%s", async (_what, reason, bytes) => {
    const peer = await begun();
    const { said } = peer.request(1);
    peer.say(bytes);
    expect((await peer.words()).at(-1)).toMatch(new RegExp(`^away [13] ${reason}$`));
    expect([peer.isEnded, said]).toEqual([true, ["closed"]]);
    // Whatever follows meets nobody.
    peer.say(frame(FRAME.headers, FLAG.endHeaders, 11, REQUEST), utf8("anything"));
    expect([await peer.words(), peer.streams.length]).toEqual([[], 1]);
  });

  test.each([
    ["another preface", utf8("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")],
    ["another first frame", concatBytes(utf8(PREFACE), frame(FRAME.ping, 0, 0, new Uint8Array(8)))],
    ["an acknowledgement first", concatBytes(utf8(PREFACE), frame(FRAME.settings, 1, 0))],
  ])("%s", async (_what, bytes) => {
    const peer = new Http2Peer();
    peer.say(bytes);
    expect((await peer.words()).at(-1)).toBe("away 0 1");
    expect(peer.isEnded).toBe(true);
  });
});

describe("what one stream gets wrong is its own:", () => {
  test.each<[string, number, Uint8Array]>([
    ["data behind its end", REASON.streamClosed, frame(FRAME.data, 0, 1, utf8("x"))],
    ["trailers behind its end", REASON.streamClosed, frame(FRAME.headers, 5, 1, headerBlock([]))],
    ["a priority of the wrong size", REASON.frameSize, frame(FRAME.priority, 0, 1, utf8("abc"))],
    ["a window that grows by nothing", REASON.protocol, frame(FRAME.windowUpdate, 0, 1, u32(0))],
    [
      "a window beyond its bound",
      REASON.flowControl,
      frame(FRAME.windowUpdate, 0, 1, u32(2 ** 31 - 1)),
    ],
  ])("%s", async (_what, reason, bytes) => {
    const peer = await begun();
    const { said } = peer.request(1, FLAG.endStream);
    peer.say(bytes);
    expect([await peer.words(), said]).toEqual([[`1 reset ${reason}`], ["ended", "closed"]]);
    expect(peer.isEnded).toBe(false);
  });

  test("trailers that do not end it", async () => {
    const peer = await begun();
    peer.request(1);
    peer.say(frame(FRAME.headers, FLAG.endHeaders, 1, headerBlock([["a", "b"]])));
    expect(await peer.words()).toEqual(["1 reset 1"]);
  });
});

describe("abuse is bounded:", () => {
  test.each([
    ["pings", frame(FRAME.ping, 1, 0, new Uint8Array(8))],
    ["settings", frame(FRAME.settings, 1, 0)],
    ["empty data", frame(FRAME.data, 0, 1)],
    ["frames nobody knows", frame(99, 0, 0)],
  ])("%s without end", async (_what, bytes) => {
    const peer = await begun();
    peer.request(1);
    for (let i = 0; i < 11; i++) {
      peer.say(...Array.from({ length: 1000 }, () => bytes));
    }
    expect((await peer.words()).at(-1)).toBe("away 1 11");
  });

  test("streams that are given up and still served count", async () => {
    const peer = await begun();
    let id = -1;
    const openAndGiveUp = (): void => {
      id += 2;
      const { stream } = peer.request(id);
      stream.beginServing();
      peer.say(frame(FRAME.resetStream, 0, id, u32(REASON.cancel)));
    };
    for (let i = 0; i < 16_384; i++) openAndGiveUp();
    expect(await peer.words()).toEqual([]);
    peer.say(frame(FRAME.headers, FLAG.endHeaders, id + 2, REQUEST));
    expect(await peer.words()).toEqual([`${id + 2} reset 7`]);
    peer.streams[0]!.stream.endServing();
    const before = peer.streams.length;
    peer.say(frame(FRAME.headers, FLAG.endHeaders, id + 4, REQUEST));
    expect(peer.streams.length).toBe(before + 1);
  });

  test("answers that nobody reads", async () => {
    const peer = await begun();
    const { stream, said } = peer.request(1);
    for (let i = 0; i < 257; i++) stream.write(new Uint8Array(1024 * 1024));
    expect([peer.isDestroyed, said]).toEqual([true, ["closed"]]);
  });

  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .tuple(fc.nat(12), fc.nat(255), fc.nat(6), fc.uint8Array({ maxLength: 40 }))
      .map(([type, flags, stream, payload]) => frame(type, flags, stream, payload)),
    fc
      .tuple(fc.nat(7), fc.constantFrom(4, 5))
      .map(([stream, flags]) => frame(FRAME.headers, flags, stream, REQUEST)),
    fc.tuple(fc.nat(8), fc.nat(2 ** 31)).map(([id, value]) => frame(4, 0, 0, setting(id, value))),
  );

  test.prop([fc.array(piece, { maxLength: 40 }), fc.boolean()], { numRuns: 300 })(
    "any bytes are frames or a fault, and every stream ends once",
    (pieces, answers) => {
      const peer = new Http2Peer().begin();
      for (const bytes of pieces) {
        peer.say(bytes);
        for (const { stream } of answers ? peer.streams : []) {
          stream.respond(HEAD);
          stream.write(utf8("answer"));
          stream.end(TRAILERS);
        }
      }
      peer.destroy();
      for (const { said } of peer.streams) {
        expect(said.filter((word) => word === "closed").length).toBe(1);
        expect(said.at(-1)).toBe("closed");
      }
    },
  );
});

test("a client of node:http2 sends and gets megabytes, on many streams at once", async () => {
  const connections: Http2Connection[] = [];
  const echo = (stream: Parameters<StreamOpen>[0]): StreamHandler => {
    const parts: Uint8Array[] = [];
    return {
      data: (bytes) => void parts.push(bytes),
      ended: () => {
        stream.respond(HEAD);
        for (const part of parts) stream.write(part);
        stream.end(TRAILERS);
      },
      drained: () => undefined,
      closed: () => undefined,
    };
  };
  const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => {
    const host = { timers: nodeTimers, open: echo, closed: () => undefined };
    connections.push(new Http2Connection(host, socket));
  });
  const session = http2.connect(`http://${listener.address}`);
  const bodies = Array.from({ length: 8 }, (_, i) => Buffer.alloc(3_000_000 + i, i + 1));
  const answers = await Promise.all(bodies.map((body) => exchange(session, body)));
  expect(answers.map((answer, i) => bodies[i]!.equals(answer))).toEqual(bodies.map(() => true));
  session.close();
  for (const connection of connections) connection.leave();
  await listener.close();
});

type StreamOpen = ConstructorParameters<typeof Http2Connection>[0]["open"];

function exchange(session: http2.ClientHttp2Session, body: Buffer): Promise<Buffer> {
  const stream = session.request({ ":method": "POST", ":path": "/echo" });
  stream.end(body);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("end", () => resolve(Buffer.concat(chunks)));
  });
}
