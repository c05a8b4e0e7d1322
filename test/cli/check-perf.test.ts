/** check perf: what it writes, what it says, what it leaves. Its seconds are virtual. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { notApplied } from "../../src/protocol/errors.js";
import { FakeClient } from "./fake-client.js";
import { flotctl } from "./run.js";
import type { Ran } from "./run.js";

const args = ["check", "perf", "--duration", "1s", "--load", "s"];

/** With the clock moved on until it is done. */
async function run(words: readonly string[], client: FakeClient): Promise<Ran> {
  const ran = flotctl([...words], { client });
  let ended = false;
  void ran.finally(() => (ended = true));
  while (!ended) {
    await vi.advanceTimersByTimeAsync(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return ran;
}

describe("check perf", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout"] }));
  afterEach(() => void vi.useRealTimers());

  test("passes where the rate is kept, and leaves no keys", async () => {
    const client = new FakeClient();
    client.seed({ mine: "1" });
    const { code, out } = await run([...args, "--auto-compact"], client);
    expect(out.replace(/[\d.]+(?= writes)|[\d.]+(?=s$)/gm, "N")).toBe(
      [
        "PASS: Throughput is N writes/s",
        "PASS: Slowest request took Ns",
        "PASS: Stddev is Ns",
        "PASS: No request failed",
        "PASS\n",
      ].join("\n"),
    );
    expect(code).toBe(0);
    const puts = client.requests.filter((request) => request.startsWith("put "));
    expect([puts.length, new Set(puts).size]).toEqual([150, 150]);
    expect(puts[0]).toHaveLength("put ".length + 256);
    expect([...client.entries.keys()]).toEqual(["mine"]);
    expect(client.requests.at(-1)).toBe(`compact ${client.revision}`);
  });

  test("fails where requests fail or are slow, and says how", async () => {
    const client = new FakeClient();
    const put = client.put.bind(client);
    let puts = 0;
    client.put = async (key, value) => {
      if (++puts === 5) throw notApplied("overloaded", "busy");
      if (puts === 6) await new Promise((resolve) => setTimeout(resolve, 600));
      return put(key, value);
    };
    const { code, out } = await run(args, client);
    expect(code).toBe(1);
    expect(out).toContain("FAIL: Slowest request took too long: 0.600000s\n");
    expect(out).toContain("FAIL: 1 requests failed, the first: busy\n");
    expect(out).toMatch(/\nFAIL\n$/);
  });

  test("touches nobody's keys", async () => {
    const client = new FakeClient();
    client.seed({ "p/1": "mine" });
    const { code, err } = await flotctl([...args, "--prefix", "p/"], { client });
    expect([code, err]).toEqual([1, expect.stringContaining("there are keys with the prefix p/")]);
    expect((await flotctl([...args, "--prefix", ""], { client })).code).toBe(128);
    expect([...client.entries.keys()]).toEqual(["p/1"]);
  });
});
