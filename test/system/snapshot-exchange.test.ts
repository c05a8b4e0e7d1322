/** Snapshots between etcd and us, both ways, where both of etcd's programs are. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startEtcd } from "../../scripts/bench/etcd-cluster.js";
import { Processes, freePorts, waitFor } from "../../scripts/bench/processes.js";
import { ProcessCluster } from "../support/processes.js";
import { isInstalled } from "../support/programs.js";

const areInstalled = isInstalled("etcd", "--version") && isInstalled("etcdctl", "version");
const EVERYTHING = { key: "AA==", range_end: "AA==" };
const LEASE = "12345678901234";
/** Enough for branches over several pages. */
const KEYS = 3000;

type Answer = Readonly<Record<string, unknown>>;

async function ask(address: string, path: string, body: object): Promise<Answer> {
  const init = { method: "POST", body: JSON.stringify(body) };
  const response = await fetch(`http://${address}/v3/${path}`, init);
  const answer = (await response.json()) as Answer;
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
  return answer;
}

const put = (key: string, value: string, lease?: string): object => ({
  request_put: { key: btoa(key), value: btoa(value), lease },
});

/** Keys with history, deletions, transactions and leases; the last change is a deletion. */
async function fill(address: string): Promise<void> {
  await ask(address, "lease/grant", { ID: LEASE, TTL: "5000" });
  await ask(address, "lease/grant", { ID: "77", TTL: "6000" });
  for (let from = 0; from < KEYS; from += 100) {
    const success = Array.from({ length: 100 }, (_, i) => put(`k${from + i}`, `v${i}`.repeat(99)));
    await ask(address, "kv/txn", { success });
  }
  for (let i = 0; i < 300; i++) {
    await ask(address, "kv/txn", { success: [put(`k${(i * 7) % 500}`, `again ${i}`)] });
  }
  await ask(address, "kv/txn", {
    success: [put("leased", "x", LEASE), put("large", "y".repeat(9e5))],
  });
  for (const key of ["k10", "k11", "k2999"])
    await ask(address, "kv/deleterange", { key: btoa(key) });
  await ask(address, "kv/txn", { success: [put("k11", "born again")] });
  await ask(address, "kv/deleterange", { key: btoa("k12") });
}

/** Keys, values, revisions, versions and leases, and the revision of it all. */
async function stateOf(address: string): Promise<object> {
  const { kvs, count, header } = await ask(address, "kv/range", EVERYTHING);
  return { kvs, count, revision: (header as { revision: string }).revision };
}

/** Keys, values and leases alone. */
async function valuesOf(address: string): Promise<object[]> {
  const { kvs } = await ask(address, "kv/range", EVERYTHING);
  return (kvs as { key: string; value: string; lease?: string }[]).map(({ key, value, lease }) => {
    return { key, value, lease };
  });
}

async function leasesOf(address: string): Promise<readonly unknown[]> {
  const { leases } = await ask(address, "lease/leases", {});
  const ids = (leases as { ID: string }[]).map(({ ID }) => ID).sort();
  const details = ids.map(async (ID) => {
    const { grantedTTL, keys } = await ask(address, "lease/timetolive", { ID, keys: true });
    return { ID, grantedTTL, keys };
  });
  return Promise.all(details);
}

describe.skipIf(!areInstalled)("a snapshot", () => {
  let cluster: ProcessCluster;
  let processes: Processes;

  beforeAll(async () => {
    cluster = await ProcessCluster.start();
    processes = new Processes();
  }, 60_000);

  afterAll(async () => {
    await processes.stopAll();
    await cluster.close();
  });

  function etcdctl(...args: readonly string[]): string {
    const env = { ...process.env, ETCDCTL_API: "3" };
    return execFileSync("etcdctl", args, { env, encoding: "utf8", stdio: "pipe" });
  }

  async function restoredEtcd(path: string, directory: string): Promise<string> {
    etcdctl("snapshot", "restore", path, "--data-dir", directory);
    const [client, peer] = (await freePorts(2)).map((port) => `127.0.0.1:${port}`);
    processes.start({
      name: "restored etcd",
      command: "etcd",
      outputPath: `${directory}.log`,
      args: [
        ["--data-dir", directory, "--log-level", "error", "--logger", "zap"],
        ["--listen-client-urls", `http://${client}`, "--advertise-client-urls", `http://${client}`],
        ["--listen-peer-urls", `http://${peer}`],
      ].flat(),
    });
    await waitFor("starting etcd", processes, () => stateOf(client!));
    return client!;
  }

  test("of ours is one that etcd checks, restores, and goes on from", async () => {
    const ours = cluster.endpoint("n1");
    await fill(ours);
    const path = join(cluster.directory, "ours.db");
    etcdctl("--endpoints", cluster.endpoint("n2"), "snapshot", "save", path);
    const state = (await stateOf(ours)) as { count: string; revision: string };
    const status = JSON.parse(etcdctl("snapshot", "status", path, "-w", "json")) as Answer;
    // etcd counts what lies in its other buckets, too: two leases and three numbers.
    expect(status["totalKey"]).toBe(Number(state.count) + 5);
    const own = await cluster.flotctl("snapshot", "status", path);
    expect(own).toContain(`, ${state.revision}, ${state.count}, `);
    const etcd = await restoredEtcd(path, join(cluster.directory, "restored"));
    expect(await stateOf(etcd)).toEqual(state);
    expect(await leasesOf(etcd)).toEqual(await leasesOf(ours));
    const { header } = await ask(etcd, "kv/put", { key: btoa("k12"), value: btoa("after") });
    expect((header as { revision: string }).revision).toBe(String(Number(state.revision) + 1));
    const before = { ...EVERYTHING, revision: state.revision, count_only: true };
    expect((await ask(etcd, "kv/range", before))["count"]).toBe(state.count);
    await ask(etcd, "lease/revoke", { ID: LEASE });
    expect(await ask(etcd, "kv/range", { key: btoa("leased") })).not.toHaveProperty("kvs");
  }, 90_000);

  test("of etcd is one that we check and restore", async () => {
    const { addresses } = await startEtcd(processes, {
      command: "etcd",
      directory: cluster.directory,
      members: "all",
      nodes: 1,
    });
    const etcd = addresses[0]!;
    await fill(etcd);
    await ask(etcd, "kv/compaction", { revision: 100, physical: true });
    const path = join(cluster.directory, "etcd.db");
    etcdctl("--endpoints", etcd, "snapshot", "save", path);
    const state = (await stateOf(etcd)) as { count: string; revision: string };
    const status = await cluster.flotctl("snapshot", "status", path);
    expect(status).toContain(`, ${state.revision}, ${state.count}, `);
    const ours = cluster.endpoint("n3");
    await ask(ours, "kv/deleterange", EVERYTHING);
    await ask(ours, "lease/revoke", { ID: "77" });
    const report = await cluster.run(["snapshot", "restore", path]);
    expect(report.stdout).toContain(`restored ${state.count} keys`);
    expect(await valuesOf(ours)).toEqual(await valuesOf(etcd));
    expect(await leasesOf(ours)).toEqual(await leasesOf(etcd));
  }, 90_000);
});
