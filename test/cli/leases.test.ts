/** flotctl's lease commands, in all formats; lock and elect are tested on real nodes. */
import { describe, expect, test } from "vitest";
import { FakeClient } from "./fake-client.js";
import { flotctl } from "./run.js";

const FIELDS =
  '"ClusterID" : 42\n"MemberID" : 1\n"Revision" : 1\n"RaftTerm" : 5\n"Level" : "linearizable"\n';
const JSON_HEADER =
  '"cluster_id":42,"member_id":1,"revision":1,"raft_term":5,"level":"linearizable"';
const ID = 0x1f3a;

function withTtls(...leaseTtls: number[]): FakeClient {
  const client = new FakeClient();
  client.leaseTtls = leaseTtls;
  return client;
}

describe("lease", () => {
  test.each([
    ["simple", "lease 0000000000001f3a granted with TTL(60s)\n"],
    ["fields", `${FIELDS}"ID" : ${ID}\n"TTL" : 60\n`],
    ["json", `{${JSON_HEADER},"ID":${ID},"TTL":60,"Error":""}\n`],
  ])("grant prints %s as etcdctl does", async (format, wanted) => {
    const { out, code } = await flotctl(["lease", "grant", "60", "-w", format]);
    expect([code, out]).toEqual([0, wanted]);
  });

  test("grant takes an id, and revoke", async () => {
    const client = new FakeClient();
    const granted = await flotctl(["lease", "grant", "60", "ABC"], { client });
    expect(granted.out).toBe("lease 0000000000000abc granted with TTL(60s)\n");
    const revoked = await flotctl(["lease", "revoke", "abc"], { client });
    expect(revoked.out).toBe("lease 0000000000000abc revoked\n");
    expect(client.requests).toEqual(["grant 60 2748", "revoke 2748"]);
    const json = await flotctl(["lease", "revoke", "abc", "-w", "json"], { client });
    expect(json.out).toBe(`{"header":{${JSON_HEADER}}}\n`);
  });

  test.each([
    ["simple", [], "lease 0000000000001f3a granted with TTL(60s), remaining(59s)\n"],
    [
      "simple",
      ["--keys"],
      "lease 0000000000001f3a granted with TTL(60s), remaining(59s), attached keys([k1 k2])\n",
    ],
    [
      "fields",
      ["--keys"],
      `${FIELDS}"ID" : ${ID}\n"TTL" : 59\n"GrantedTTL" : 60\n"Key" : "k1"\n"Key" : "k2"\n`,
    ],
    ["json", [], `{${JSON_HEADER},"id":${ID},"ttl":59,"granted-ttl":60,"keys":null}\n`],
    [
      "json",
      ["--keys"],
      `{${JSON_HEADER},"id":${ID},"ttl":59,"granted-ttl":60,"keys":["azE=","azI="]}\n`,
    ],
  ])("timetolive prints %s %j as etcdctl does", async (format, flags, wanted) => {
    const args = ["lease", "timetolive", "1f3a", "-w", format, ...flags];
    const { out, code } = await flotctl(args, { client: withTtls(59) });
    expect([code, out]).toEqual([0, wanted]);
  });

  test("timetolive says that a lease has ended", async () => {
    const { out, code } = await flotctl(["lease", "timetolive", "1f3a"]);
    expect([code, out]).toEqual([0, "lease 0000000000001f3a already expired\n"]);
  });

  test.each([
    ["simple", "found 2 leases\n0000000000001f3a\nfffffffffffffffe\n"],
    ["fields", `${FIELDS}"ID" : ${ID}\n"ID" : -2\n`],
    ["json", `{${JSON_HEADER},"leases":[{"id":${ID}},{"id":-2}]}\n`],
  ])("list prints %s as etcdctl does", async (format, wanted) => {
    expect((await flotctl(["lease", "list", "-w", format])).out).toBe(wanted);
  });

  test("tables are for people", async () => {
    const { out } = await flotctl(["lease", "timetolive", "1f3a", "--keys", "-w", "table"], {
      client: withTtls(59),
    });
    expect(out).toContain("GRANTED TTL");
    expect(out).toContain("k1 k2");
  });

  test("keep-alive --once renews once, and fails where there is nothing to renew", async () => {
    const args = ["lease", "keep-alive", "--once", "1f3a"];
    const { out, client } = await flotctl(args, { client: withTtls(60, 60) });
    expect(out).toBe("lease 0000000000001f3a keepalived with TTL(60)\n");
    expect(client.leaseTtls).toEqual([60]);
    const none = await flotctl(args);
    expect([none.code, none.out]).toEqual([1, ""]);
    expect(none.err).toContain("there is no such lease");
  });

  test("keep-alive renews until the lease has ended, or Ctrl-C", async () => {
    const args = ["lease", "keep-alive", "1f3a"];
    const { code, out } = await flotctl(args, { client: withTtls(0.03, 0.03) });
    const line = "lease 0000000000001f3a keepalived with TTL(0.03)\n";
    expect([code, out]).toEqual([0, `${line}${line}lease 0000000000001f3a expired or revoked.\n`]);
    const stopped = await flotctl(args, {
      client: withTtls(1000, 1000),
      meanwhile: (terminal) => setTimeout(() => terminal.interrupt(), 100),
    });
    expect([stopped.code, stopped.client.leaseTtls]).toEqual([5, [1000]]);
  });

  test("put attaches a key", async () => {
    const { client, code } = await flotctl(["put", "k", "v", "--lease", "1f3a"]);
    expect([code, client.requests]).toEqual([0, ["put k 7994"]]);
    const input = "\nput k v --lease=1f3a\n\n";
    const txn = await flotctl(["txn"], { input });
    expect(txn.client.transactions[0]?.success[0]).toMatchObject({ kind: "put", lease: 7994n });
  });
});
