/**
 * The benchmark's etcd side against etcd itself, where the machine has it: what was put must be
 * there for etcdctl, what is absent must be an error, and no server may stay behind.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startEtcd } from "../../scripts/bench/etcd-cluster.js";
import type { EtcdCluster } from "../../scripts/bench/etcd-cluster.js";
import type { LoadTarget } from "../../scripts/bench/load.js";
import { findCommand, freePorts, Processes, waitFor } from "../../scripts/bench/processes.js";
import { utf8 } from "../../src/base/bytes.js";

const etcd = findCommand("etcd");
const etcdctl = findCommand("etcdctl");

function outcome(run: (done: (error: string | undefined) => void) => void): Promise<string> {
  return new Promise((resolve) => run((error) => resolve(error ?? "ok")));
}

async function putAndGet(cluster: EtcdCluster, target: LoadTarget): Promise<void> {
  const value = "v".repeat(256);
  const puts = Array.from({ length: 50 }, (_, i) =>
    outcome((done) => target.put(i, utf8(`key-${i}`), utf8(value), done)),
  );
  expect(new Set(await Promise.all(puts))).toEqual(new Set(["ok"]));
  expect(await outcome((done) => target.get(0, utf8("key-7"), done))).toBe("ok");
  expect(await outcome((done) => target.get(1, utf8("absent"), done))).toBe("the key is absent");
  expect(await outcome((done) => target.put(0, utf8(""), utf8(value), done))).toContain("error");
  if (etcdctl === undefined) return;
  const read = execFileSync(etcdctl, ["get", "--print-value-only", "key-49"], {
    encoding: "utf8",
    env: { ...process.env, ETCDCTL_API: "3", ETCDCTL_ENDPOINTS: cluster.addresses.join(",") },
  });
  expect(read.trim()).toBe(value);
}

test.skipIf(etcd === undefined)("a real etcd holds what the load put", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-etcd-"));
  const processes = new Processes(200);
  try {
    const options = { command: etcd ?? "", directory, members: "all" } as const;
    const cluster = await startEtcd(processes, options);
    for (const level of ["linearizable", "stale"] as const) {
      const target = await cluster.connect({ connections: 3, level, valueBytes: 256 });
      await putAndGet(cluster, target);
      await target.close();
    }
    expect(cluster.cpuMicros() !== undefined).toBe(existsSync("/proc/self/stat"));
    expect(cluster.cpuMicros()).not.toEqual([0, 0, 0]);
    processes.requireAlive();
  } finally {
    await processes.stopAll();
    rmSync(directory, { recursive: true });
  }
  expect(() => processes.requireAlive()).toThrow("etcd bench1 ended");
});

test("a process that ignores SIGTERM ends too", async () => {
  const directory = mkdtempSync(join(tmpdir(), "flotilla-processes-"));
  const processes = new Processes(100);
  const started = processes.start({
    name: "stubborn",
    command: process.execPath,
    args: ["-e", "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('up')"],
    outputPath: join(directory, "output"),
  });
  const readyToIgnore = async (): Promise<true | undefined> =>
    Promise.resolve(readFileSync(started.outputPath, "utf8").includes("up") || undefined);
  await waitFor("starting", processes, readyToIgnore);
  await processes.stopAll();
  expect(started.child.signalCode).toBe("SIGKILL");
  rmSync(directory, { recursive: true });
});

test("a command that does not exist is an error", () => {
  const processes = new Processes();
  const outputPath = join(tmpdir(), "flotilla-none", "output");
  const options = { name: "none", command: "/nowhere/none", args: [], outputPath };
  expect(() => processes.start(options)).toThrow("cannot be started");
  rmSync(join(tmpdir(), "flotilla-none"), { recursive: true });
});

test("free ports are different ones", async () => {
  expect(new Set(await freePorts(9)).size).toBe(9);
});
