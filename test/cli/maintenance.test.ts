/** defrag, alarm, endpoint hashkv and snapshot: against a store in memory and real files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { utf8 } from "../../src/base/bytes.js";
import { KvError, notApplied } from "../../src/protocol/errors.js";
import type { NodeAlarm } from "../../src/client/admin.js";
import type { StatusResponse } from "../../src/protocol/admin-messages.js";
import { FakeClient, MAP } from "./fake-client.js";
import { flotctl } from "./run.js";

const [A = "", B = "", C = ""] = MAP.nodes.map(({ clientAddress }) => clientAddress);
const FORMATS = ["simple", "fields", "json", "table"];

function status(): StatusResponse {
  const replica = { role: "follower" as const, replicaId: 1, leaderNodeId: 1, term: 5 };
  const indexes = { commitIndex: 9, appliedIndex: 9, revision: 9, closedRevision: 9 };
  const sizes = { compactedRevision: 0, storedBytes: 10 };
  return {
    clusterId: MAP.clusterId,
    nodeId: 1,
    name: "n1",
    version: "1",
    run: 1,
    uptimeMs: 1,
    storedBytes: 10,
    replicas: [
      { shardId: 1, keyspaceId: 0, ...replica, ...indexes, ...sizes },
      { shardId: 2, keyspaceId: 1, ...replica, ...indexes, ...sizes },
    ],
  };
}

function clientOf(): FakeClient {
  const client = new FakeClient();
  for (const endpoint of [A, B, C]) client.statuses.set(endpoint, status());
  return client;
}

describe("defrag", () => {
  test("asks one endpoint after the other, and goes on behind one that does not answer", async () => {
    const client = clientOf();
    const all = await flotctl(["defrag", "--cluster"], { client });
    expect(all.code).toBe(0);
    expect(client.requests).toEqual([A, B, C].map((each) => `defragment ${each}`));
    expect(all.out).toMatch(/^(Finished defragmenting member\[\S+\]\. took \S+\n){3}$/);
    client.statuses.delete(A);
    const some = await flotctl(["defrag", "--cluster"], { client });
    expect([some.code, some.err]).toEqual([1, `${A}: no answer\n`]);
    expect(some.out.split("\n")).toHaveLength(3);
  });
});

describe("alarm", () => {
  const [n1, n2, n3] = MAP.nodes;

  function alarmed(...alarms: readonly NodeAlarm[]): FakeClient {
    const client = clientOf();
    client.alarms = { alarms, strays: [], silent: [n1!] };
    return client;
  }

  test("list shows what is raised and what holds, in every format, and who is silent", async () => {
    const client = alarmed({ node: n2!, kind: "noSpace", raised: true });
    const { code, out, err } = await flotctl(["alarm", "list"], { client });
    expect([code, out]).toEqual([0, "memberID:2 alarm:NOSPACE\n"]);
    expect(err).toBe("n1 does not answer\n");
    for (const format of FORMATS) {
      expect((await flotctl(["alarm", "list", "-w", format], { client })).out).toContain("NOSPACE");
    }
    expect((await flotctl(["alarm", "list"], { client: clientOf() })).out).toBe("");
  });

  test("disarm ends what was raised, and shows it", async () => {
    const client = alarmed({ node: n2!, kind: "noSpace", raised: true });
    const { code, out } = await flotctl(["alarm", "disarm"], { client });
    expect([code, out]).toEqual([0, "memberID:2 alarm:NOSPACE\n"]);
    expect(client.requests).toEqual(["alarm 2 noSpace false"]);
  });

  test("of members that there are not are listed and disarmed with the others", async () => {
    const client = alarmed({ node: n2!, kind: "noSpace", raised: true });
    const strays = [{ memberId: "18446744073709551615", kind: "corrupt" }] as const;
    client.alarms = { ...client.alarms, strays };
    const listed = "memberID:2 alarm:NOSPACE\nmemberID:18446744073709551615 alarm:CORRUPT\n";
    for (const command of ["list", "disarm"]) {
      expect((await flotctl(["alarm", command], { client })).out).toBe(listed);
    }
    expect(client.requests).toEqual([
      "alarm 2 noSpace false",
      "alarm 18446744073709551615 corrupt false",
    ]);
  });

  test("disarm fails while one holds by itself, and says what to do", async () => {
    expect((await flotctl(["alarm", "disarm"], { client: clientOf() })).code).toBe(0);
    const client = alarmed({ node: n3!, kind: "noSpace", raised: false });
    const { code, err } = await flotctl(["alarm", "disarm"], { client });
    expect([code, client.requests]).toEqual([1, []]);
    expect(err).toContain("NOSPACE of n3 still holds");
    expect(err).toContain("make room");
  });
});

describe("endpoint status", () => {
  const args = ["endpoint", "status", "--endpoints", A, "-w"];

  test("tells the quota, and alarms that were raised beside those that hold", async () => {
    const client = clientOf();
    client.statuses.set(A, { ...status(), quotaBytes: 3 * 1024, alarms: ["corrupt"] });
    const [node, ...others] = MAP.nodes;
    client.map = { ...MAP, nodes: [{ ...node!, alarms: ["noSpace"] }, ...others] };
    const { out } = await flotctl([...args, "json"], { client });
    const [shown] = JSON.parse(out) as { Status: StatusResponse }[];
    expect(shown?.Status.alarms).toEqual(["noSpace", "corrupt"]);
    const table = (await flotctl([...args, "table"], { client })).out;
    expect(table).toContain("3.0 KiB");
    expect(table).toContain("noSpace corrupt");
  });

  test("tells where there is no quota", async () => {
    const client = clientOf();
    client.statuses.set(A, { ...status(), quotaBytes: -1 });
    expect((await flotctl([...args, "table"], { client })).out).toContain("none");
  });
});

describe("endpoint hashkv", () => {
  const args = ["endpoint", "hashkv", "--cluster", "--rev", "4"];

  test("shows the hash of each replica of the keyspace, as etcdctl does", async () => {
    const client = clientOf();
    const { code, out } = await flotctl(args, { client });
    expect([code, out]).toEqual([0, [A, B, C].map((each) => `${each}, 7, 4\n`).join("")]);
    expect(client.requests).toEqual([A, B, C].map((each) => `hash ${each} 2 4`));
    for (const format of FORMATS) {
      expect((await flotctl([...args, "-w", format], { client })).out).toContain(B);
    }
  });

  test("fails where replicas differ, or one does not answer", async () => {
    const client = clientOf();
    client.hashes.set(C, 8);
    const odd = await flotctl(args, { client });
    expect([odd.code, odd.err]).toEqual([1, expect.stringContaining("replicas of shard 2 differ")]);
    client.hashes.delete(C);
    client.statuses.delete(C);
    const silent = await flotctl(args, { client });
    expect([silent.code, silent.err]).toEqual([1, `${C}: no answer\n`]);
    expect(silent.out.split("\n")).toHaveLength(3);
  });
});

describe("snapshot", () => {
  let directory = "";
  let path = "";

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "flotctl-test-"));
    path = join(directory, "a.snap");
  });

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  function filled(): FakeClient {
    const client = new FakeClient();
    client.seed({ a: "1", b: "2".repeat(100_000), "\u0000": "zero" });
    return client;
  }

  test("save, status and restore carry every key", async () => {
    const client = filled();
    const saved = await flotctl(["snapshot", "save", path], { client, isTTY: true });
    expect([saved.code, saved.out]).toEqual([0, `Snapshot saved at ${path}\n`]);
    expect(saved.err).toContain(`3 keys at revision ${client.revision}`);
    expect(existsSync(`${path}.part`)).toBe(false);
    const { code, out } = await flotctl(["snapshot", "status", path]);
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^[0-9a-f]{64}, ${client.revision}, 3, 128\\.0 KiB\n$`));
    for (const format of FORMATS) {
      const shown = await flotctl(["snapshot", "status", path, "-w", format]);
      expect([shown.code, shown.out]).toEqual([0, expect.stringContaining(out.slice(0, 64))]);
    }
    const empty = new FakeClient();
    const restored = await flotctl(["snapshot", "restore", path], { client: empty });
    expect(restored.code).toBe(0);
    expect(restored.out).toMatch(/^restored 3 keys, 97.7 KiB in \S+: .*unknown 0, failed 0\n$/);
    const values = (one: FakeClient): object =>
      Object.fromEntries([...one.entries].map(([key, { value }]) => [key, value]));
    expect(values(empty)).toEqual(values(client));
  });

  test("leases come back with their TTLs, and keys of ended ones do not", async () => {
    const client = filled();
    client.granted.set(5n, 60).set(6n, 70);
    const [living, ended, gone] = [5n, 6n, 7n];
    for (const [key, lease] of Object.entries({ living, ended, gone })) {
      await client.put(utf8(key), utf8("v"), { lease });
    }
    expect((await flotctl(["snapshot", "save", path], { client })).code).toBe(0);
    const empty = new FakeClient();
    // It ends as soon as it is granted.
    empty.faults.set("ended", [{ error: notApplied("leaseNotFound", "none"), applied: false }]);
    const restored = await flotctl(["snapshot", "restore", path], { client: empty });
    expect(restored.code).toBe(0);
    expect(restored.out).toContain("restored 4 keys");
    expect(restored.out).toContain("detached from leases 0, of ended leases 2, unknown 0");
    expect(empty.granted).toEqual(client.granted);
    expect(empty.entries.get("living")?.lease).toBe(5n);
    expect([...empty.entries.keys()].sort()).toEqual(["\u0000", "a", "b", "living"]);
    const stale = ["snapshot", "save", path, "--consistency", "stale"];
    expect((await flotctl(stale, { client })).code).toBe(0);
    const other = new FakeClient();
    const detached = await flotctl(["snapshot", "restore", path], { client: other });
    expect(detached.out).toContain("restored 6 keys");
    expect(detached.out).toContain("detached from leases 3, of ended leases 0");
    expect(other.granted.size).toBe(0);
  });

  test("restore wants an empty keyspace, or leave to write over", async () => {
    await flotctl(["snapshot", "save", path], { client: filled() });
    const client = new FakeClient();
    client.seed({ other: "kept" });
    const refused = await flotctl(["snapshot", "restore", path], { client });
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("has 1 key")]);
    expect([...client.entries.keys()]).toEqual(["other"]);
    expect((await flotctl(["snapshot", "restore", path, "--overwrite"], { client })).code).toBe(0);
    expect([...client.entries.keys()].sort()).toEqual(["\u0000", "a", "b", "other"]);
  });

  test("restore repeats a put of unknown outcome, and says what was never stored", async () => {
    await flotctl(["snapshot", "save", path], { client: filled() });
    const client = new FakeClient();
    const unknown = new KvError("timeout", "no answer", "unknown");
    client.faults.set("a", [{ error: unknown, applied: true }]);
    client.faults.set("b", [{ error: notApplied("noSpace", "full"), applied: false }]);
    const { code, out, err } = await flotctl(["snapshot", "restore", path], { client });
    expect([code, err]).toEqual([1, expect.stringContaining('failed "b": full')]);
    expect(out).toContain("restored 2 keys");
    expect(out).toContain("unknown 0, failed 1");
  });

  test("a file that is damaged, cut short or none is refused before anything is stored", async () => {
    await flotctl(["snapshot", "save", path], { client: filled() });
    const whole = readFileSync(path);
    const damaged = Buffer.from(whole);
    damaged[50_000]! ^= 1;
    for (const bytes of [damaged, whole.subarray(0, -1), Buffer.from("nonsense")]) {
      writeFileSync(path, bytes);
      const client = new FakeClient();
      expect((await flotctl(["snapshot", "status", path])).code).toBe(1);
      const { code, err } = await flotctl(["snapshot", "restore", path], { client });
      expect([code, err]).toEqual([1, expect.stringContaining(path)]);
      expect(client.requests).toEqual([]);
    }
    expect((await flotctl(["snapshot", "status", join(directory, "none")])).code).toBe(6);
  });

  test("a save that fails leaves the file as it was, and no part", async () => {
    writeFileSync(path, "old");
    const client = filled();
    client.scan = async function* () {
      yield* [...this.entries.values()].slice(0, 1);
      throw notApplied("compacted", "gone");
    };
    const { code, out } = await flotctl(["snapshot", "save", path], { client });
    expect([code, out]).toEqual([1, ""]);
    expect(readFileSync(path, "utf8")).toBe("old");
    expect(existsSync(`${path}.part`)).toBe(false);
  });
});
