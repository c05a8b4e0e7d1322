/** npm's `etcd3`, installed beside the run, through its public interface. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Report } from "./report.js";

const PACKAGE = "etcd3@1.1.2";
const CHECK_MS = 20_000;

/** As much of the package as is used here. */
interface Etcd3 {
  put(key: string): Put;
  get(key: string): Single;
  getAll(): Multi;
  delete(): {
    key(key: string): PromiseLike<Deleted>;
    all(): PromiseLike<Deleted>;
    prefix(prefix: string): PromiseLike<Deleted>;
  };
  if(key: string, target: string, operator: string, value: unknown): Comparator;
  stm(): { transact(run: (tx: Etcd3) => Promise<void>): Promise<void> };
  namespace(prefix: string): Etcd3;
  watch(): Watching;
  lease(ttlSeconds: number): Lease;
  lock(name: string): Lock;
  election(name: string, ttlSeconds?: number): Election;
  close(): void;
  readonly maintenance: { status(): Promise<{ readonly version: string }> };
  readonly cluster: {
    memberList(request: object): Promise<{ readonly members: readonly unknown[] }>;
  };
  readonly leaseClient: {
    leaseTimeToLive(
      request: object,
    ): Promise<{ readonly TTL: string; readonly keys: readonly Uint8Array[] }>;
    leaseLeases(request: object): Promise<{ readonly leases: readonly { readonly ID: string }[] }>;
  };
  readonly kv: { compact(request: object): Promise<unknown> };
}
interface Deleted {
  readonly deleted: string;
}
interface Put extends PromiseLike<{ readonly prev_kv?: { readonly value: Uint8Array } }> {
  value(value: unknown): Put;
  getPrevious(): Promise<{ readonly value: Uint8Array } | undefined>;
}
interface Single extends PromiseLike<string | null> {
  string(): Promise<string | null>;
  json(): Promise<unknown>;
  number(): Promise<number | null>;
  exists(): Promise<boolean>;
  revision(revision: string | number): Single;
  exec(): Promise<{
    readonly header: { readonly revision: string };
    readonly kvs: readonly KeyValue[];
  }>;
}
interface KeyValue {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly version: string;
}
interface Multi {
  prefix(prefix: string): Multi;
  limit(count: number): Multi;
  sort(target: string, order: string): Multi;
  strings(): Promise<Record<string, string>>;
  keys(): Promise<readonly string[]>;
  count(): Promise<number>;
}
interface Comparator {
  and(key: string, target: string, operator: string, value: unknown): Comparator;
  then(...operations: readonly unknown[]): Comparator;
  else(...operations: readonly unknown[]): Comparator;
  commit(): Promise<{ readonly succeeded: boolean; readonly responses: readonly unknown[] }>;
}
interface Watching {
  key(key: string): Watching;
  prefix(prefix: string): Watching;
  startRevision(revision: string): Watching;
  withPreviousKV(): Watching;
  only(operation: string): Watching;
  create(): Promise<EventEmitter & { cancel(): Promise<void> }>;
}
interface Lease extends EventEmitter {
  grant(): Promise<string>;
  revoke(): Promise<void>;
  release(): void;
  put(key: string): Put;
  keepaliveOnce(): Promise<{ readonly TTL: string }>;
}
interface Lock {
  ttl(seconds: number): Lock;
  acquire(): Promise<Lock>;
  release(): Promise<void>;
  do<T>(run: () => Promise<T>): Promise<T>;
}
interface Election {
  campaign(value: string): EventEmitter & {
    wait(): Promise<unknown>;
    proclaim(value: string): Promise<void>;
    resign(): Promise<void>;
  };
  leader(): Promise<string | undefined>;
  observe(): Promise<EventEmitter & { leader(): string | undefined; cancel(): Promise<void> }>;
}
interface Package {
  readonly Etcd3: new (options: object) => Etcd3;
}

export async function checkNode(address: string, directory: string): Promise<Report> {
  const client = `npm ${PACKAGE}`;
  try {
    const args = ["install", "--prefix", directory, "--no-audit", "--no-fund", PACKAGE];
    await promisify(execFile)("npm", args, { timeout: 120_000 });
  } catch {
    return { client, passed: [], failed: [], missing: "not to be had: left out" };
  }
  const load = createRequire(join(directory, "package.json"));
  const { Etcd3 } = load("etcd3") as Package;
  const etcd = new Etcd3({ hosts: `http://${address}` });
  const passed: string[] = [];
  const failed: string[] = [];
  for (const [name, check] of Object.entries(CHECKS)) {
    try {
      await etcd.delete().all();
      await bounded(check(etcd));
      passed.push(name);
    } catch (error) {
      failed.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  etcd.close();
  return { client, passed, failed };
}

async function bounded(check: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${CHECK_MS} ms`)), CHECK_MS);
  });
  await Promise.race([check, late]).finally(() => clearTimeout(timer));
}

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

const CHECKS: Readonly<Record<string, (etcd: Etcd3) => Promise<void>>> = {
  "put and get": async (etcd) => {
    await etcd.put("a").value("one");
    await etcd.put("n").value(42);
    await etcd.put("j").value(JSON.stringify({ x: [1] }));
    assert.equal(await etcd.get("a").string(), "one");
    assert.equal(await etcd.get("n").number(), 42);
    assert.deepEqual(await etcd.get("j").json(), { x: [1] });
    assert.equal(await etcd.get("none").string(), null);
    assert.equal(await etcd.get("none").exists(), false);
    assert.equal(text((await etcd.put("a").value("two").getPrevious())?.value), "one");
  },
  ranges: async (etcd) => {
    for (const [key, value] of Object.entries({ a1: "3", a2: "1", a3: "2", b: "9" })) {
      await etcd.put(key).value(value);
    }
    assert.deepEqual(await etcd.getAll().prefix("a").strings(), { a1: "3", a2: "1", a3: "2" });
    assert.deepEqual(await etcd.getAll().prefix("a").sort("Value", "Ascend").keys(), [
      "a2",
      "a3",
      "a1",
    ]);
    assert.deepEqual(await etcd.getAll().limit(2).keys(), ["a1", "a2"]);
    assert.equal(await etcd.getAll().count(), 4);
  },
  deletes: async (etcd) => {
    for (const key of ["d1", "d2", "e"]) await etcd.put(key).value("x");
    assert.equal((await etcd.delete().key("e")).deleted, "1");
    assert.equal((await etcd.delete().prefix("d")).deleted, "2");
    assert.equal((await etcd.delete().all()).deleted, "0");
  },
  "old revisions, and a compaction": async (etcd) => {
    await etcd.put("r").value("old");
    const { header } = await etcd.get("r").exec();
    await etcd.put("r").value("new");
    assert.equal(await etcd.get("r").revision(header.revision).string(), "old");
    const now = (await etcd.get("r").exec()).header.revision;
    await etcd.kv.compact({ revision: now, physical: true });
    await assert.rejects(etcd.get("r").revision(header.revision).string(), /compacted/);
  },
  transactions: async (etcd) => {
    await etcd.put("t").value("1");
    const done = await etcd
      .if("t", "Value", "==", "1")
      .and("u", "Create", "==", 0)
      .then(etcd.put("t").value("2"), etcd.get("t"))
      .else(etcd.get("t"))
      .commit();
    assert.equal(done.succeeded, true);
    assert.equal(done.responses.length, 2);
    const refused = await etcd.if("t", "Version", ">", 7).then(etcd.put("t").value("3")).commit();
    assert.equal(refused.succeeded, false);
    assert.equal(await etcd.get("t").string(), "2");
  },
  "software transactional memory": async (etcd) => {
    await etcd.put("n").value(0);
    const increment = (): Promise<void> =>
      etcd.stm().transact(async (tx) => {
        const before = (await tx.get("n").number()) ?? 0;
        await tx.put("n").value(before + 1);
      });
    await Promise.all([increment(), increment(), increment()]);
    assert.equal(await etcd.get("n").number(), 3);
  },
  namespaces: async (etcd) => {
    const inside = etcd.namespace("in/");
    await inside.put("k").value("v");
    assert.equal(await etcd.get("in/k").string(), "v");
    assert.deepEqual(await inside.getAll().keys(), ["k"]);
  },
  watches: async (etcd) => {
    const watcher = await etcd.watch().prefix("w").withPreviousKV().create();
    const puts: string[] = [];
    watcher.on("put", (kv: KeyValue, previous?: KeyValue) => {
      puts.push(`${text(kv.key)}=${text(kv.value)}<${text(previous?.value)}`);
    });
    const deleted = once(watcher, "delete");
    await etcd.put("w1").value("a");
    await etcd.put("w1").value("b");
    await etcd.put("x").value("c");
    await etcd.delete().key("w1");
    const [kv] = (await deleted) as [KeyValue];
    assert.equal(text(kv.key), "w1");
    assert.deepEqual(puts, ["w1=a<", "w1=b<a"]);
    await watcher.cancel();
  },
  "watches from a revision, filtered": async (etcd) => {
    await etcd.put("h").value("1");
    const { header } = await etcd.get("h").exec();
    await etcd.delete().key("h");
    await etcd.put("h").value("2");
    const watcher = await etcd
      .watch()
      .key("h")
      .startRevision(header.revision)
      .only("delete")
      .create();
    const [kv] = (await once(watcher, "delete")) as [KeyValue];
    assert.equal(text(kv.key), "h");
    await watcher.cancel();
  },
  "the cluster": async (etcd) => {
    assert.match((await etcd.maintenance.status()).version, /^3\.\d+\.\d+$/);
    assert.equal((await etcd.cluster.memberList({})).members.length, 3);
  },
  leases: async (etcd) => {
    const lease = etcd.lease(30);
    const id = await lease.grant();
    await lease.put("l").value("leased");
    assert.ok(Number((await lease.keepaliveOnce()).TTL) >= 29);
    const left = await etcd.leaseClient.leaseTimeToLive({ ID: id, keys: true });
    assert.deepEqual(left.keys.map(text), ["l"]);
    assert.ok(Number(left.TTL) >= 28);
    assert.ok((await etcd.leaseClient.leaseLeases({})).leases.some(({ ID }) => ID === id));
    await lease.revoke();
    assert.equal(await etcd.get("l").string(), null);
    await assert.rejects(async () => lease.put("l").value("late"));
  },
  "a lease that runs out": async (etcd) => {
    const lease = etcd.lease(2);
    await lease.put("gone").value("soon");
    const watcher = await etcd.watch().key("gone").create();
    lease.release();
    await once(watcher, "delete");
    assert.equal(await etcd.get("gone").string(), null);
    await watcher.cancel();
  },
  locks: async (etcd) => {
    const first = await etcd.lock("door").ttl(10).acquire();
    await assert.rejects(etcd.lock("door").ttl(10).acquire(), /lock/i);
    await first.release();
    assert.equal(await etcd.lock("door").do(async () => "inside"), "inside");
  },
  elections: async (etcd) => {
    const election = etcd.election("chief", 10);
    const first = election.campaign("one");
    await first.wait();
    const second = election.campaign("two");
    second.on("error", () => undefined);
    assert.equal(await election.leader(), "one");
    const observer = await election.observe();
    assert.equal(observer.leader(), "one");
    await first.proclaim("uno");
    assert.equal(await election.leader(), "uno");
    await first.resign();
    await second.wait();
    assert.equal(await election.leader(), "two");
    await observer.cancel();
    await second.resign();
  },
};
