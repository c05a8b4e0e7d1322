/** The parts of a revision, put together. */
import { expect, test } from "vitest";
import { RevisionParts } from "../../src/client/revision-parts.js";
import type { WatchEvent } from "../../src/protocol/key-value.js";
import type { EventsPart } from "../../src/protocol/watch-codec.js";
import { bytesOf } from "../support/bytes-of.js";
import { errorOf } from "../support/error-of.js";

function part(revision: number, keys: string, isLast: boolean): EventsPart {
  return { kind: "events", revision, events: Array.from(keys, put), isLast };
}

function put(name: string): WatchEvent {
  const key = bytesOf(name);
  const kv = { key, value: key, createRevision: 2, modRevision: 2, version: 1, lease: 0n };
  return { type: "put", kv, prevKv: undefined };
}

test("what comes whole stays as it is, and parts leave with their last", () => {
  const parts = new RevisionParts(8);
  const whole = part(2, "abcdefgh", true);
  expect(parts.add(whole)).toBe(whole);
  for (const revision of [3, 4]) {
    expect(parts.add(part(revision, "ab", false))).toBeUndefined();
    expect(parts.add(part(revision, "c", false))).toBeUndefined();
    expect(parts.add(part(revision, "d", true))).toEqual(part(revision, "abcd", true));
  }
  parts.add(part(5, "abc", false));
  parts.clear();
  expect(parts.add(part(5, "a", true))).toEqual(part(5, "a", true));
});

test("a revision beyond the bound is refused", async () => {
  const parts = new RevisionParts(8);
  parts.add(part(2, "abcd", false));
  const add = async (): Promise<unknown> => parts.add(part(2, "e", true));
  expect(await errorOf(add())).toMatchObject({ code: "limitExceeded", details: { bound: 8 } });
});
