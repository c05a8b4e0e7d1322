/** The readers and the command: small histories of our own in each format, and broken files. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as property } from "@fast-check/vitest";
import { afterAll, describe, expect, test } from "vitest";
import { check } from "../../jepsen-style/check.js";
import { readFlotilla, writeFlotilla } from "../../jepsen-style/formats/flotilla.js";
import { judge } from "../../jepsen-style/judge.js";
import type { Format } from "../../jepsen-style/judge.js";
import { keyValueHistory } from "./histories.js";

function log(...lines: readonly string[]): string {
  return lines.map((line) => `INFO  jepsen.util - ${line.replaceAll(" :", "\t:")}\n`).join("");
}

function edn(...events: readonly string[]): string {
  const maps = events.map((event) => {
    const [process, type, f, value] = event.split(/ (?=[:[{"n\d])/, 4);
    return `{:process ${process}, :type ${type}, :f ${f}, :value ${value ?? "nil"}}`;
  });
  return `; a history of our own\n[${maps.join("\n ")}]\n`;
}

function kv(...events: readonly (readonly [number, string, string, string | undefined])[]): string {
  return events
    .map(([process, type, f, value]) => {
      const shown = value === undefined ? "nil" : JSON.stringify(value);
      return `{:process ${process}, :type :${type}, :f :${f}, :key "k", :value ${shown}}\n`;
    })
    .join("");
}

const GOOD = "linearizable";
const BAD = "not linearizable";

const CASES: readonly (readonly [string, Format, string, string])[] = [
  ["a read of nothing", "jepsen-etcd", GOOD, log("0 :invoke :read nil", "0 :ok :read nil")],
  [
    "a read of nothing after a write",
    "jepsen-etcd",
    BAD,
    log("0 :invoke :write 1", "0 :ok :write 1", "1 :invoke :read nil", "1 :ok :read nil"),
  ],
  [
    "a lost write that takes effect late",
    "jepsen-etcd",
    GOOD,
    "other text\n" +
      log("0 :invoke :write 1", "0 :info :write :timed-out") +
      log("1 :invoke :read nil", "1 :ok :read nil", "1 :invoke :read nil", "1 :ok :read 1"),
  ],
  [
    "a refused compare-and-set of the value that is there",
    "jepsen-etcd",
    BAD,
    log("0 :invoke :write 1", "0 :ok :write 1", "1 :invoke :cas [1 2]", "1 :fail :cas [1 2]"),
  ],
  ["a read of nil says nothing", "knossos-cas", GOOD, edn("0 :invoke :read", "0 :ok :read nil")],
  ["a register starts at 0", "knossos-cas", BAD, edn("0 :invoke :read", "0 :ok :read 1")],
  [
    "what failed did not happen",
    "knossos-cas",
    BAD,
    edn("0 :invoke :write 1", "0 :fail :write 1", "1 :invoke :read nil", "1 :ok :read 1"),
  ],
  [
    "the nemesis is nobody's operation",
    "knossos-cas",
    GOOD,
    edn("0 :invoke :write 1", ":nemesis :info :start nil"),
  ],
  [
    "a mutex held twice",
    "knossos-cas",
    BAD,
    edn("0 :invoke :acquire", "0 :ok :acquire", "1 :invoke :acquire", "1 :ok :acquire"),
  ],
  [
    "a transaction that sees half of another",
    "knossos-cas",
    BAD,
    `{:process 0, :type :invoke, :f :txn, :value [[:write :x 1] [:write :y 1]]}
     {:process 1, :type :invoke, :f :txn, :value [[:read :x nil] [:read :y nil]]}
     {:process 1, :type :ok, :f :txn, :value [[:read :x 1] [:read :y 0]]}
     {:process 0, :type :ok, :f :txn, :value [[:write :x 1] [:write :y 1]]}`,
  ],
  [
    "appends in the order of a get",
    "porcupine-kv",
    GOOD,
    kv(
      [0, "invoke", "append", "x1"],
      [1, "invoke", "append", "x2"],
      [1, "ok", "append", "x2"],
      [0, "ok", "append", "x1"],
      [2, "invoke", "get", undefined],
      [2, "ok", "get", "x2x1"],
    ),
  ],
  [
    "a value is not the beginning of another",
    "porcupine-kv",
    GOOD,
    kv(
      [0, "invoke", "get", undefined],
      [1, "invoke", "put", "x1"],
      [1, "ok", "put", "x1"],
      [1, "invoke", "put", "x10"],
      [1, "ok", "put", "x10"],
      [0, "ok", "get", "x10"],
    ),
  ],
  [
    "a text that nobody wrote",
    "porcupine-kv",
    BAD,
    kv([0, "invoke", "put", "x1"], [1, "invoke", "get", undefined], [1, "ok", "get", "1x"]),
  ],
];

describe("a history by its format", () => {
  test.each(CASES)("%s (%s): %s", (_, format, verdict, text) => {
    expect(judge(text, format).verdict).toBe(verdict);
  });
});

const stale = [
  `{"process":1,"request":{"type":"put","key":"a","value":"x"},"calledAt":1,"kind":"ok","completedAt":2,"answer":{"type":"put","revision":5}}`,
  `{"process":1,"request":{"type":"put","key":"a","value":"y"},"calledAt":3,"kind":"ok","completedAt":4,"answer":{"type":"put","revision":6}}`,
  `{"process":2,"request":{"type":"get","key":"a"},"calledAt":5,"kind":"ok","completedAt":6,"answer":{"type":"get","found":true,"value":"x","modRevision":5,"version":1}}`,
].join("\n");

describe("our own format", () => {
  property.prop([keyValueHistory(4, 6)])("is read as it was written", (history) => {
    expect(readFlotilla(writeFlotilla(history))).toEqual(history);
  });

  test("a stale read is told in words", () => {
    expect(judge(stale, "flotilla")).toEqual({
      verdict: BAD,
      report: [
        "stale read: revision 5 was read after a higher one was out:",
        `  process 1  [3, 4]                put a = "y": done, revision 6`,
        `  process 2  [5, 6]                get a: "x", revision 5, version 1`,
      ],
    });
  });
});

describe("the command", () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-check-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  function checkText(text: string, ...args: readonly string[]): ReturnType<typeof check> {
    const file = join(folder, "history");
    writeFileSync(file, text);
    return check([file, ...args]);
  }

  test("says the verdict alone on the last line and in the exit code", () => {
    const bad = checkText(stale, "--format", "flotilla");
    expect(bad.exitCode).toBe(1);
    expect(bad.lines).toHaveLength(4);
    expect(bad.lines.at(-1)).toBe(BAD);
    const first = stale.split("\n")[0] ?? "";
    const good = checkText(first, "--format", "flotilla");
    expect(good).toEqual({ lines: [GOOD], errors: [], exitCode: 0 });
  });

  test.each([
    ["{", "flotilla", "line 1: not JSON"],
    ["", "flotilla", "no operation of this format"],
    ["{:process 0, :type :invoke, :f :read}", "jepsen-etcd", "no operation of this format"],
    ["[{:process 0", "knossos-cas", `line 1: the file ends where "}" is missing`],
    ["{:process 0, :type :ok, :f :read}", "knossos-cas", "completes what it did not call"],
    [log("0 :invoke :write 1", "0 :ok :read 1"), "jepsen-etcd", "line 2: a :read completes what"],
    [log("0 :invoke :write x"), "jepsen-etcd", "not an operation on a register"],
    ["", "other", "--format must be one of"],
  ])("refuses %j as %s", (text, format, message) => {
    const { lines, errors, exitCode } = checkText(text, "--format", format);
    expect({ lines, exitCode }).toEqual({ lines: [], exitCode: 3 });
    expect(errors.join("\n")).toContain(message);
  });

  test("refuses a file that is not there", () => {
    const { errors, exitCode } = check([join(folder, "none"), "--format", "flotilla"]);
    expect(exitCode).toBe(3);
    expect(errors.join("\n")).toContain("ENOENT");
  });
});

/** A folder like `jepsen-etcd/`, `kv/`, `knossos/` with a `verdicts.json` beside them. */
const published = process.env["FLOTILLA_HISTORIES"];

test.runIf(published !== undefined)("published histories get their verdicts", () => {
  const folder = published ?? "";
  expect(readdirSync(folder)).toContain("verdicts.json");
  const { linearizable } = JSON.parse(readFileSync(join(folder, "verdicts.json"), "utf8"));
  const formats: Readonly<Record<string, Format>> = {
    "jepsen-etcd": "jepsen-etcd",
    kv: "porcupine-kv",
    knossos: "knossos-cas",
  };
  for (const [path, right] of Object.entries<boolean>(linearizable)) {
    const format = formats[path.split("/")[0] ?? ""];
    const { verdict } = judge(readFileSync(join(folder, path), "utf8"), format!);
    expect([path, verdict]).toEqual([path, right ? GOOD : BAD]);
  }
});
