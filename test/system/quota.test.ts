/** The quota of the default keyspace at three processes, by etcdctl where it is installed. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.js";
import { ProcessCluster } from "../support/processes.js";
import { isInstalled, runProgram } from "../support/programs.js";

const QUOTA_BYTES = 4 * 1024 * 1024;
const VALUE = "v".repeat(200_000);
const PUTS_MAX = 100;
const FULL = "etcdserver: mvcc: database space exceeded";

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.start(["--quota-bytes", "4MiB"]);
}, 60_000);

afterAll(() => cluster.close());

interface Answer {
  readonly error?: string;
  readonly header?: { readonly member_id: string; readonly revision: string };
  readonly alarms?: readonly { readonly memberID: string; readonly alarm: string }[];
  readonly errors?: readonly string[];
  readonly dbSize?: string;
  readonly dbSizeQuota?: string;
}

async function ask(name: string, path: string, body: object): Promise<Answer> {
  const url = `http://${cluster.endpoint(name)}/v3/${path}`;
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  return (await response.json()) as Answer;
}

function put(key: string, value: string): Promise<Answer> {
  return ask("n1", "kv/put", { key: btoa(key), value: btoa(value) });
}

/** Overwrites one key until a put is refused for want of space; gives the newest revision. */
async function fill(): Promise<number> {
  let revision = 0;
  for (let i = 0; i < PUTS_MAX; i++) {
    const { error, header } = await put("same", `${i}${VALUE}`);
    if (error === FULL) return revision;
    if (error !== undefined) throw new Error(error);
    revision = Number(header?.revision);
  }
  throw new Error("nothing was refused");
}

async function healthOf(name: string): Promise<string> {
  return (await fetch(`http://${cluster.endpoint(name)}/health`)).text();
}

/** Whether the alarm is listed at every member, within the time it takes to get there. */
async function areRaised(): Promise<boolean> {
  const lists = await Promise.all(
    cluster.names.map((name) => ask(name, "maintenance/alarm", { action: "GET" })),
  );
  return lists.every(({ alarms }) => alarms?.some(({ alarm }) => alarm === "NOSPACE") === true);
}

async function compactAndDisarm(revision: number): Promise<void> {
  await cluster.flotctl("compaction", `${revision}`);
  await cluster.flotctl("defrag", "--cluster");
  await cluster.flotctl("alarm", "disarm");
}

test("what is full takes deletes and reads, and writes again when it was made small and disarmed", async () => {
  const revision = await fill();
  expect(revision).toBeGreaterThan(QUOTA_BYTES / VALUE.length / 4);
  await eventually(areRaised);
  expect(await healthOf("n2")).toBe('{"health":"false","reason":"ALARM NOSPACE"}');
  expect(await put("small", "1")).toMatchObject({ error: FULL });
  const granted = await ask("n2", "lease/grant", { TTL: 60 });
  expect(granted.error).toBe(FULL);
  const request_put = { key: btoa("k"), value: btoa("v") };
  const txn = await ask("n3", "kv/txn", { success: [{ request_put }] });
  expect(txn.error).toBe(FULL);
  const removed = { request_delete_range: { key: btoa("ready") } };
  expect((await ask("n3", "kv/txn", { success: [removed] })).header?.revision).toBe(
    String(revision + 1),
  );
  expect((await ask("n1", "kv/range", { key: btoa("same") })).error).toBeUndefined();
  const before = await ask("n1", "maintenance/status", {});
  expect(before.dbSizeQuota).toBe(String(QUOTA_BYTES));
  expect(Number(before.dbSize)).toBeGreaterThan(QUOTA_BYTES / 2);
  expect(before.errors).toEqual([expect.stringContaining("alarm:NOSPACE")]);
  // What is made small alone does not end it.
  await cluster.flotctl("compaction", `${revision + 1}`);
  await cluster.flotctl("defrag", "--cluster");
  expect(await put("small", "1")).toMatchObject({ error: FULL });
  expect(await cluster.flotctl("alarm", "disarm")).toMatch(/^memberID:\d+ alarm:NOSPACE\n$/);
  expect((await put("small", "1")).error).toBeUndefined();
  const after = await ask("n1", "maintenance/status", {});
  expect(Number(after.dbSize)).toBeLessThan(Number(before.dbSize) / 2);
  expect(await healthOf("n1")).toBe('{"health":"true","reason":""}');
}, 90_000);

test("other keyspaces go on, and an alarm outlives a start of all nodes", async () => {
  await cluster.flotctl("keyspace", "create", "other");
  const revision = await fill();
  await eventually(areRaised);
  await cluster.flotctl("--keyspace", "other", "put", "k", "v");
  for (const name of cluster.names) await cluster.signal(name, "SIGKILL");
  for (const name of cluster.names) cluster.startNode(name, ["--quota-bytes", "-1"]);
  await eventually(async () => (await cluster.run(["get", "k"])).code === 0, 30_000);
  await eventually(areRaised);
  expect(await put("small", "2")).toMatchObject({ error: FULL });
  await compactAndDisarm(revision);
  expect((await put("small", "2")).error).toBeUndefined();
  expect((await ask("n1", "maintenance/status", {})).dbSizeQuota).toBe("-1");
}, 90_000);

describe.skipIf(!isInstalled("etcdctl", "version"))("by etcdctl", () => {
  const etcdctl = async (...args: readonly string[]): Promise<string> => {
    const endpoints = ["--endpoints", cluster.endpoints];
    const { stdout, stderr } = await runProgram("etcdctl", [...endpoints, ...args]);
    return stdout + stderr.replace(/^\{.*\n/gm, "");
  };

  test("an alarm is raised by hand, listed and disarmed", async () => {
    const memberID = (await ask("n2", "maintenance/status", {})).header?.member_id;
    const request = { action: "ACTIVATE", memberID, alarm: "NOSPACE" };
    expect((await ask("n1", "maintenance/alarm", request)).alarms).toEqual([
      { memberID, alarm: "NOSPACE" },
    ]);
    expect(await etcdctl("put", "k", "v")).toBe(`Error: ${FULL}\n`);
    expect(await etcdctl("alarm", "list")).toBe(`memberID:${memberID} alarm:NOSPACE \n`);
    expect(await etcdctl("alarm", "disarm")).toBe(`memberID:${memberID} alarm:NOSPACE \n`);
    expect(await etcdctl("put", "k", "v")).toBe("OK\n");
    expect(await etcdctl("alarm", "list")).toBe("");
  }, 60_000);

  test("so are alarms of members that there are not, as in etcd", async () => {
    const all = "18446744073709551615";
    for (const memberID of ["0", all]) {
      await ask("n2", "maintenance/alarm", { action: "ACTIVATE", memberID, alarm: "NOSPACE" });
    }
    const listed = ["alarm:NOSPACE \n", `memberID:${all} alarm:NOSPACE \n`].join("");
    expect(await etcdctl("alarm", "list")).toBe(listed);
    for (const name of cluster.names) {
      const refused = await ask(name, "kv/put", { key: "aw==" });
      expect(refused.error).toBe(FULL);
    }
    expect(await healthOf("n3")).toContain("ALARM NOSPACE");
    const one = { action: "DEACTIVATE", memberID: all, alarm: "NOSPACE" };
    expect((await ask("n3", "maintenance/alarm", one)).alarms).toHaveLength(1);
    expect((await ask("n3", "maintenance/alarm", one)).alarms ?? []).toEqual([]);
    expect(await etcdctl("put", "k", "v")).toBe(`Error: ${FULL}\n`);
    expect(await etcdctl("alarm", "disarm")).toBe("alarm:NOSPACE \n");
    expect(await etcdctl("put", "k", "v")).toBe("OK\n");
  }, 60_000);
});
