/** make-mirror: what is there is copied, what changes follows, in transactions that keep order. */
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { KeyValue, WatchEvent } from "../../src/protocol/key-value.js";
import type { Transaction } from "../../src/protocol/operations.js";
import { eventually } from "../support/eventually.js";
import { FakeClient } from "./fake-client.js";
import { flotctl } from "./run.js";
import type { Ran } from "./run.js";

function change(key: string, value?: string): WatchEvent {
  const numbers = { createRevision: 1, modRevision: 2, version: 1, lease: 9n };
  const kv: KeyValue = { key: utf8(key), value: utf8(value ?? ""), ...numbers };
  return { type: value === undefined ? "delete" : "put", kv, prevKv: undefined };
}

/** As "put a=1", "delete b". */
function written({ success }: Transaction): string[] {
  return success.map((one) => {
    if (one.kind !== "put") return `${one.kind} ${utf8Text((one as { key: Uint8Array }).key)}`;
    expect(one.lease).toBe(0n);
    return `put ${utf8Text(one.key)}=${utf8Text(one.value)}`;
  });
}

/** Runs until the destination has had so many changes. */
function mirror(
  source: FakeClient,
  other: FakeClient,
  { args = [], changes }: { args?: readonly string[]; changes: number },
): Promise<Ran> {
  return flotctl(["make-mirror", "127.0.0.1:9", ...args], {
    client: source,
    other,
    meanwhile: (terminal) => {
      const count = (): number => other.transactions.flatMap(({ success }) => success).length;
      void eventually(() => count() >= changes && other.entries.size >= source.entries.size).then(
        () => terminal.interrupt(),
      );
    },
  });
}

describe("make-mirror", () => {
  test("copies what is there, then what changes, and ends with Ctrl-C", async () => {
    const [source, other] = [new FakeClient(), new FakeClient()];
    source.seed({ a: "1", b: "2" });
    source.watchItems = [
      { revision: 9, events: [change("a", "3"), change("b")] },
      { progress: 10 },
      { revision: 11, events: [change("a", "4")] },
    ];
    const { code, out, connected } = await mirror(source, other, { changes: 3 });
    expect([code, out]).toEqual([5, "5\n"]);
    expect(connected.map(({ endpoints }) => endpoints)[1]).toEqual(["127.0.0.1:9"]);
    expect([...other.entries.keys()]).toEqual(["a", "b"]);
    expect(source.requests.at(-1)).toMatch(/^watch \S+ 4$/);
    expect(other.transactions.map(written)).toEqual([["put a=3", "delete b"], ["put a=4"]]);
    expect([source.closed, other.closed]).toEqual([true, true]);
  });

  test("puts revisions together while they have no key in common and fit", async () => {
    const [source, other] = [new FakeClient(), new FakeClient()];
    const keys = ["a", "b", "c", "d", "e"];
    source.watchItems = [
      ...keys.map((key, at) => ({ revision: 5 + at, events: [change(key, "1")] })),
      { revision: 20, events: keys.map((key) => change(key, "2")) },
    ];
    const args = ["--rev", "5", "--max-txn-ops", "3"];
    await mirror(source, other, { args, changes: 10 });
    const transactions = other.transactions.map(written);
    expect(transactions.flat()).toEqual([
      ...keys.map((key) => `put ${key}=1`),
      ...keys.map((key) => `put ${key}=2`),
    ]);
    expect(Math.max(...transactions.map((one) => one.length))).toBe(3);
    expect(source.requests).toEqual([expect.stringMatching(/^watch \S+ 5$/)]);
  });

  test.each([
    [[], "p/a"],
    [["--dest-prefix", "q/"], "q/a"],
    [["--no-dest-prefix"], "a"],
  ])("of a prefix, with %j, writes %s", async (flags, key) => {
    const [source, other] = [new FakeClient(), new FakeClient()];
    source.watchItems = [{ revision: 5, events: [change("p/a", "1")] }];
    await mirror(source, other, { args: ["--prefix", "p/", "--rev", "5", ...flags], changes: 1 });
    expect(other.transactions.map(written)).toEqual([[`put ${key}=1`]]);
  });

  test("repeats what has an unknown outcome, and goes key by key over several shards", async () => {
    const [source, other] = [new FakeClient(), new FakeClient()];
    source.watchItems = [{ revision: 5, events: [change("a", "1"), change("b", "1")] }];
    const faults = [
      new KvError("timeout", "no answer", "unknown"),
      notApplied("crossShard", "two shards"),
    ];
    const txn = other.txn.bind(other);
    other.txn = (transaction) => {
      const fault = faults.shift();
      return fault === undefined ? txn(transaction) : Promise.reject(fault);
    };
    await mirror(source, other, { args: ["--rev", "5"], changes: 2 });
    expect(other.transactions.map(written)).toEqual([["put a=1"], ["put b=1"]]);
  });

  test("ends with the error where it cannot go on", async () => {
    const [client, other] = [new FakeClient(), new FakeClient()];
    client.watch = () => ({
      cancel: () => undefined,
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(notApplied("compacted", "revision 5 has been compacted")),
      }),
    });
    const args = ["make-mirror", "127.0.0.1:9", "--rev", "5"];
    const { code, err } = await flotctl(args, { client, other });
    expect([code, err]).toEqual([1, expect.stringContaining("has been compacted")]);
  });
});
