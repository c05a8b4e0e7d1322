/** Quoting, words, durations and sizes: what people type and read. */
import { fc, test as property } from "@fast-check/vitest";
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { jsonText } from "../../src/cli/json-text.js";
import {
  formatBytes,
  formatDuration,
  parseCount,
  parseDuration,
  parseSize,
} from "../../src/cli/quantities.js";
import { hexEscapes, quote, unquote, words } from "../../src/cli/quoting.js";

describe("quoting", () => {
  property.prop([fc.uint8Array({ maxLength: 40 })])("unquoting gives the bytes back", (bytes) => {
    expect(unquote(quote(bytes))).toEqual(bytes);
  });

  property.prop([fc.string({ unit: "binary", maxLength: 20 })])("of any text too", (text) => {
    const bytes = utf8(text);
    expect(unquote(quote(bytes))).toEqual(bytes);
  });

  test.each([
    ["plain text", '"plain text"'],
    ['say "hi"\\', '"say \\"hi\\"\\\\"'],
    ["a\nb\t\u0007", '"a\\nb\\t\\a"'],
    ["grün ✓", '"grün ✓"'],
    ["\u0001\u2028", '"\\x01\\u2028"'],
  ])("quotes as Go does: %j", (text, quoted) => {
    expect(quote(utf8(text))).toBe(quoted);
  });

  test("quotes bytes that are no text", () => {
    expect(quote(Uint8Array.of(0xff, 0x61, 0x0a))).toBe('"\\xffa\\n"');
    expect(hexEscapes(Uint8Array.of(0x66, 0x6f))).toBe("\\x66\\x6f");
  });

  test.each(['"open', '"a"b"', '"\\q"', '"\\xg0"', "'x'", '"', "", '"\\ud800"'])(
    "refuses %s",
    (text) => {
      expect(unquote(text)).toBeUndefined();
    },
  );

  test("reads escapes and raw quotes", () => {
    expect(unquote('"\\x00\\101\\u00fc\\U0001F600"')).toEqual(utf8("\0Aü😀"));
    expect(utf8Text(unquote("`a\\n`")!)).toBe("a\\n");
  });

  test("cuts a line into words", () => {
    expect(words('put key "a b\\n" \'c d\' e"f')).toEqual(["put", "key", "a b\n", "c d", 'e"f']);
    expect(words("  ")).toEqual([]);
    expect(words('put "open')).toBeUndefined();
    expect(words('put "a"b')).toBeUndefined();
  });
});

describe("quantities", () => {
  test.each([
    ["5s", 5000],
    ["1m30s", 90_000],
    ["250ms", 250],
    ["1.5s", 1500],
    ["0", 0],
  ])("the duration %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each(["5", "", "s", "-5s", "5 s", "5s!", "1d"])("no duration: %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test.each([
    ["4096", 4096],
    ["1.5MiB", 1_572_864],
    ["64KiB", 65_536],
    ["2kB", 2000],
    ["1gib", 1024 ** 3],
  ])("the size %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(["", "MiB", "-1", "1x", "1e3"])("no size: %j", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test("counts are digits only", () => {
    expect(parseCount("12")).toBe(12);
    for (const text of ["", "-1", "1.5", "0x10", "9".repeat(20)]) {
      expect(parseCount(text)).toBeUndefined();
    }
  });

  test("formats", () => {
    expect([3.456, 812, 1234, 95_000, 7_260_000].map(formatDuration)).toEqual([
      "3.46ms",
      "812ms",
      "1.2s",
      "1m35s",
      "2h1m",
    ]);
    expect([0, 1023, 1536, 5 * 1024 ** 3].map(formatBytes)).toEqual([
      "0 B",
      "1023 B",
      "1.5 KiB",
      "5.0 GiB",
    ]);
  });
});

describe("json", () => {
  property.prop([fc.uint8Array({ maxLength: 30_000 })])("bytes are base64", (bytes) => {
    expect(jsonText(bytes)).toBe(`"${Buffer.from(bytes).toString("base64")}"`);
  });

  test("big integers are numbers, undefined is left out", () => {
    const value = { id: 2n ** 63n, none: undefined, list: [1, "a\n", true, null] };
    expect(jsonText(value)).toBe('{"id":9223372036854775808,"list":[1,"a\\n",true,null]}');
  });
});
