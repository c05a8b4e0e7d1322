/** HPACK's receiving side: the examples of RFC 7541, what node:http2 writes, and bytes that lie. */
import http2 from "node:http2";
import { Duplex } from "node:stream";
import { fc, test } from "@fast-check/vitest";
import { describe, expect } from "vitest";
import { ByteWriter, DecodeError } from "../../src/base/coding.js";
import { HpackDecoder, literalHeader } from "../../src/gateway/http2/hpack.js";
import { FrameSplitter } from "../../src/gateway/http2/frame-splitter.js";
import { FRAME } from "../../src/gateway/http2/format.js";
import { huffmanText } from "../../src/gateway/http2/huffman.js";

type Pair = readonly [name: string, value: string];

function decoded(decoder: HpackDecoder, block: Uint8Array): Pair[] {
  const pairs: Pair[] = [];
  decoder.decode(block, 0, block.length, ({ name, value }) => pairs.push([name, value]));
  return pairs;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

const FIRST: Pair[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
const THIRD: Pair[] = [
  [":method", "GET"],
  [":scheme", "https"],
  [":path", "/index.html"],
  [":authority", "www.example.com"],
  ["custom-key", "custom-value"],
];

describe("the examples of RFC 7541", () => {
  test("C.2: literals, with and without a place in the table", () => {
    const decoder = new HpackDecoder();
    const block = fromHex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
    expect(decoded(decoder, block)).toEqual([["custom-key", "custom-header"]]);
    expect(decoded(decoder, fromHex("be"))).toEqual([["custom-key", "custom-header"]]);
    expect(decoded(decoder, fromHex("040c 2f73 616d 706c 652f 7061 7468"))).toEqual([
      [":path", "/sample/path"],
    ]);
    expect(decoded(decoder, fromHex("1008 7061 7373 776f 7264 0673 6563 7265 74"))).toEqual([
      ["password", "secret"],
    ]);
    expect(() => decoded(decoder, fromHex("bf"))).toThrow(DecodeError);
  });

  test.each([
    [
      "C.3: plain texts",
      "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
      "8286 84be 5808 6e6f 2d63 6163 6865",
      "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ],
    [
      "C.4: texts in the Huffman code",
      "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
      "8286 84be 5886 a8eb 1064 9cbf",
      "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ],
  ])("%s, of three requests on one connection", (_name, first, second, third) => {
    const decoder = new HpackDecoder();
    expect(decoded(decoder, fromHex(first))).toEqual(FIRST);
    expect(decoded(decoder, fromHex(second))).toEqual([...FIRST, ["cache-control", "no-cache"]]);
    expect(decoded(decoder, fromHex(third))).toEqual(THIRD);
  });

  test("C.5: a table of 256 bytes forgets its oldest entries", () => {
    const decoder = new HpackDecoder();
    const date = "Mon, 21 Oct 2013 20:13:21 GMT";
    const location: Pair = ["location", "https://www.example.com"];
    const first = fromHex(`3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120
      4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777
      2e65 7861 6d70 6c65 2e63 6f6d`);
    const privately: Pair[] = [["cache-control", "private"], ["date", date], location];
    expect(decoded(decoder, first)).toEqual([[":status", "302"], ...privately]);
    const second = decoded(decoder, fromHex("4803 3330 37c1 c0bf"));
    expect(second).toEqual([[":status", "307"], ...privately]);
    // The status 302 had to go.
    expect(() => decoded(decoder, fromHex("c2"))).toThrow(DecodeError);
  });
});

describe("blocks", () => {
  const name = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
  const value = fc.string({ unit: "binary-ascii", maxLength: 200 });

  test.prop([fc.array(fc.tuple(name, value), { maxLength: 20 })])("of literals", (pairs) => {
    const out = new ByteWriter();
    for (const [one, text] of pairs) literalHeader(out, one, text);
    expect(decoded(new HpackDecoder(), out.view())).toEqual(pairs);
  });

  const plain = fc.stringMatching(/^[ -~]{0,200}$/);
  const request = fc.array(fc.tuple(name, plain), { maxLength: 12 });

  test.prop([fc.array(request, { maxLength: 6 })], {
    numRuns: 30,
  })("as node:http2 writes them, with tables and codes of its own", async (requests) => {
    // Names that come twice are put together, and blanks at the ends cut, by the one who sends.
    const wanted = requests.map((pairs) =>
      Object.entries(Object.fromEntries(pairs.map(([one, text]) => [`x-${one}`, text.trim()]))),
    );
    const seen = await requestsOf(wanted);
    expect(seen).toEqual(wanted);
  });

  test.prop([fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 8 })])(
    "of any bytes are headers or an error",
    (blocks) => {
      const decoder = new HpackDecoder();
      for (const block of blocks) {
        try {
          decoded(decoder, block);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }
    },
  );

  test.each([
    ["an index beyond the table", "ff00"],
    ["no index at all", "80"],
    ["a text that is cut short", "4005 6162"],
    ["an integer without end", "ffff ffff ffff ffff 7f"],
    ["a table larger than was agreed", "3fe2 1f"],
    ["a table size behind a header", "8220"],
    ["padding that is no padding", "0001 6181 00"],
    ["more than seven bits of padding", "0001 6184 ffff ffff"],
  ])("with %s are refused", (_what, block) => {
    expect(() => decoded(new HpackDecoder(), fromHex(block))).toThrow(DecodeError);
  });

  test("may empty the table and fill it again", () => {
    const decoder = new HpackDecoder();
    decoded(decoder, fromHex("4001 6101 62"));
    expect(decoded(decoder, fromHex("203f e11f 4001 6301 64"))).toEqual([["c", "d"]]);
    expect(decoded(decoder, fromHex("be"))).toEqual([["c", "d"]]);
    expect(() => decoded(decoder, fromHex("bf"))).toThrow(DecodeError);
  });
});

test("the Huffman code knows the rarest symbols", () => {
  // Codes of 30 bits for 10, 13 and 22, then two ones.
  expect(huffmanText(fromHex("fffffff3"), 0, 4)).toBe("\n");
  expect(huffmanText(fromHex("fffffff7"), 0, 4)).toBe("\r");
  expect(huffmanText(fromHex("fffffffb"), 0, 4)).toBe("\u0016");
  expect(() => huffmanText(fromHex("ffffffff"), 0, 4)).toThrow(DecodeError);
});

/** What our decoder makes of the requests that a client of node:http2 sends on one connection. */
async function requestsOf(requests: readonly Pair[][]): Promise<Pair[][]> {
  const splitter = new FrameSplitter();
  const decoder = new HpackDecoder();
  const seen: Pair[][] = [];
  await new Promise<void>((resolve, reject) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Uint8Array, _encoding, done) => {
        splitter.push(new Uint8Array(chunk));
        while (splitter.next()) {
          if (splitter.type !== FRAME.headers) continue;
          const block = splitter.bytes.subarray(splitter.offset, splitter.end);
          const all = decoded(decoder, block);
          seen.push(all.filter(([one]) => one.startsWith("x-")));
        }
        done();
        if (seen.length >= requests.length) resolve();
      },
    });
    const session = http2.connect("http://peer", { createConnection: () => wire });
    session.on("error", reject);
    for (const pairs of requests) {
      session.request(Object.fromEntries(pairs)).on("error", () => undefined);
    }
  });
  return seen;
}
