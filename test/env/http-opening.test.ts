/** Who speaks HTTP and who speaks frames on one port. */
import net from "node:net";
import { describe, expect, test } from "vitest";
import { bytesOf, textOf } from "../support/bytes-of.js";
import { ByteWriter } from "../../src/base/coding.js";
import { openingOf } from "../../src/env/node/http-opening.js";
import { networkWithHttp } from "../../src/env/node/node-network.js";
import { beginFrame, endFrame } from "../../src/protocol/frame-format.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";

describe("the first bytes", () => {
  test.each([
    ["PRI * HTTP/2.0\r\n", "http2"],
    ["GET / HTTP/1.1\r\n", "http1"],
    ["POST /v3/kv/put", "http1"],
    ["OPTIONS *", "http1"],
    ["PRIX", "frames"],
    ["GETX", "frames"],
    ["\u0000\u0001", "frames"],
  ])("%j open %s", (text, opening) => {
    const bytes = bytesOf(text);
    expect(openingOf(bytes)).toBe(opening);
    expect(openingOf(bytes.subarray(0, 4))).toBe(opening);
    expect(openingOf(new Uint8Array(0))).toBeUndefined();
  });

  test("of a hello of any length are those of a frame", () => {
    for (let length = 20; length < 4000; length += 7) {
      const out = new ByteWriter();
      beginFrame(out, MESSAGE_TYPES.hello, 0, 0);
      out.raw(new Uint8Array(length));
      endFrame(out, 0);
      expect(openingOf(out.view())).toBe("frames");
    }
  });
});

describe("a port for both", () => {
  test("hands each on with all its bytes, however they come", async () => {
    const taken: string[] = [];
    const over = (text: string): void => void taken.push(text);
    const address = "127.0.0.1:0";
    const network = networkWithHttp(address, {
      http1: (connection) => {
        connection.on("data", (chunk: Uint8Array) => over(`http1 ${String(chunk)}`));
      },
      http2: (socket) => {
        socket.handle({
          data: (chunk) => over(`http2 ${textOf(chunk)}`),
          drain: () => undefined,
          close: () => undefined,
        });
      },
    });
    const listener = await network.listen(address, (socket) => {
      socket.handle({
        data: (chunk) => over(`frames ${textOf(chunk)}`),
        drain: () => undefined,
        close: () => undefined,
      });
    });
    for (const parts of [
      ["GET / H"],
      ["P", "OST /x"],
      ["PRI * HTTP"],
      ["P", "\u0001\u0000\u0000"],
    ]) {
      await say(listener.address, parts);
    }
    expect(taken).toEqual([
      "http1 GET / H",
      "http1 POST /x",
      "http2 PRI * HTTP",
      "frames P\u0001\u0000\u0000",
    ]);
    await listener.close();
  });

  test("is one address: elsewhere the same bytes are frames", async () => {
    const network = networkWithHttp("127.0.0.1:1", {
      http1: () => expect.unreachable(),
      http2: () => expect.unreachable(),
    });
    const received = new Promise<string>((resolve) => {
      void network
        .listen("127.0.0.1:0", (socket) => {
          socket.handle({
            data: (chunk) => resolve(textOf(chunk)),
            drain: () => undefined,
            close: () => undefined,
          });
        })
        .then((listener) => say(listener.address, ["GET / "]).then(() => listener.close()));
    });
    expect(await received).toBe("GET / ");
  });
});

/** Sends the parts one after the other, and ends. */
async function say(address: string, parts: readonly string[]): Promise<void> {
  const [host = "", port = ""] = address.split(":");
  const socket = net.connect({ host, port: Number(port), noDelay: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  for (const part of parts) {
    await new Promise((resolve) => socket.write(part, resolve));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.destroy();
  await closed;
}
