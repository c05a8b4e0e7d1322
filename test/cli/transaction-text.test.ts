/** The grammar of txn and of watch -i. */
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { CliError } from "../../src/cli/failure.js";
import { parseCompare, parseOperation } from "../../src/cli/transaction-text.js";
import { parseWatchLine } from "../../src/cli/watch-request.js";

describe("compares", () => {
  test.each([
    ['mod("k") > "0"', "greater", { kind: "mod", value: 0 }],
    ['m("k") < "5"', "less", { kind: "mod", value: 5 }],
    ['create("k") = "3"', "equal", { kind: "create", value: 3 }],
    ['ver("k")!="1"', "notEqual", { kind: "version", value: 1 }],
    ['  value ( "k" )  =  "a b" ', "equal", { kind: "value", value: utf8("a b") }],
    ['val("k") = "\\x00"', "equal", { kind: "value", value: utf8("\0") }],
    ['lease("k") = "1f"', "equal", { kind: "lease", value: 31n }],
  ])("%s", (line, result, target) => {
    expect(parseCompare(line)).toEqual({ key: utf8("k"), rangeEnd: undefined, result, target });
  });

  test.each([
    'mod("k") > 0',
    'mod(k) > "0"',
    'size("k") > "0"',
    'mod("k") >= "0"',
    'mod("k") > "x"',
    'mod("k") > "-1"',
    'mod("k") > "0" extra',
    "",
  ])("refuses %j", (line) => {
    expect(() => parseCompare(line)).toThrow(CliError);
  });
});

describe("operations", () => {
  test("put, get and del with their flags", () => {
    expect(parseOperation('put "a key" value --prev-kv')).toMatchObject({
      kind: "put",
      key: utf8("a key"),
      value: utf8("value"),
      prevKv: true,
    });
    expect(
      parseOperation("get a --prefix --limit=3 --order descend --sort-by modify"),
    ).toMatchObject({
      kind: "range",
      key: utf8("a"),
      rangeEnd: utf8("b"),
      limit: 3,
      sortOrder: "descend",
      sortTarget: "mod",
    });
    expect(parseOperation("del a --from-key")).toMatchObject({
      kind: "delete",
      key: utf8("a"),
      rangeEnd: Uint8Array.of(0),
    });
    expect(parseOperation("put -- -k -v")).toMatchObject({ key: utf8("-k"), value: utf8("-v") });
  });

  test.each([
    "put a",
    "put a b c",
    "get",
    "get a --bogus",
    "get a b --prefix",
    "get a --limit x",
    "lock a",
    'put "a b',
  ])("refuses %j as invalid input", (line) => {
    expect(() => parseOperation(line)).toThrow(expect.objectContaining({ exitCode: 3 }));
  });
});

describe("lines of watch -i", () => {
  test("watches, programs and progress", () => {
    expect(parseWatchLine("watch a --prefix --rev 7 --prev-kv -- echo 'x y'")).toEqual({
      kind: "watch",
      options: {
        key: utf8("a"),
        rangeEnd: utf8("b"),
        startRevision: 7,
        prevKv: true,
        progress: false,
      },
      program: ["echo", "x y"],
    });
    expect(parseWatchLine("progress")).toEqual({ kind: "progress" });
    expect(parseWatchLine("  ")).toEqual({ kind: "empty" });
  });

  test.each(["watch", "get a", "progress now", "watch a b c", "watch a --rev x", 'watch "a'])(
    "refuses %j",
    (line) => {
      expect(() => parseWatchLine(line)).toThrow(expect.objectContaining({ exitCode: 3 }));
    },
  );
});
