/** Backups of real clusters: what a later one shares, and what a restored cluster is. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/index.js";
import { backupCluster } from "../../src/cli/cluster-backup.js";
import type { ClusterBackupReport } from "../../src/cli/cluster-backup.js";
import { restoreNode } from "../../src/node/restore.js";
import type { RestoreRequest } from "../../src/node/restore.js";
import { readListing } from "../../src/store/backup-listing.js";
import { checkBackups } from "../../src/cli/backup-check.js";
import { errorOf } from "../support/error-of.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const FILES = { name: "files", kind: "hash" as const, splitPoints: [], shardCount: 4 };
const KEYS = 200;
const RAISE_BY = 1_000_000;

const directory = mkdtempSync(join(tmpdir(), "flotilla-backup-"));
const backups = join(directory, "backups");
let cluster: TestCluster;
let leaseId = 0n;
/** What each backup has of the default keyspace. */
const revisions: number[] = [];

function valueOf(key: number, version: string): string {
  return `${version} of ${key} `.repeat(20);
}

async function fill(client: Client, version: string): Promise<void> {
  const keys = Array.from({ length: KEYS }, (_, i) => i);
  await Promise.all(keys.map((i) => client.put(`key${i}`, valueOf(i, version))));
}

async function backUp(of: TestCluster, into = backups): Promise<ClusterBackupReport> {
  const client = await connect({ endpoints: of.endpoints });
  try {
    return await backupCluster({
      env: of.env("backup"),
      admin: client.admin,
      directory: into,
      signal: new AbortController().signal,
      copied: () => undefined,
    });
  } finally {
    await client.close();
  }
}

/** A cluster of a backup; the nodes are named as those of every test cluster. */
async function restored(
  number: number,
  options: Partial<RestoreRequest> & {
    readonly nodeCount?: number;
    readonly of?: number[];
    readonly late?: readonly string[];
  } = {},
): Promise<TestCluster> {
  return TestCluster.start({
    nodeCount: options.nodeCount ?? 3,
    late: options.late,
    beforeStart: async (made) => {
      for (const [at, name] of made.names.entries()) {
        const env = made.env(name);
        await restoreNode(env, {
          raiseBy: RAISE_BY,
          backups,
          ...options,
          listing: readListing(env.disk, options.backups ?? backups, options.of?.[at] ?? number),
          dataDirectory: made.config(name).dataDirectory,
          name,
          nodes: made.config(name).initialCluster,
        });
      }
    },
  });
}

async function withClients(
  of: TestCluster,
  use: (plain: Client, files: Client) => Promise<void>,
): Promise<void> {
  const plain = await connect({ endpoints: of.endpoints });
  const files = await connect({ endpoints: of.endpoints, keyspace: "files" });
  try {
    await use(plain, files);
  } finally {
    await plain.close();
    await files.close();
  }
}

beforeAll(async () => {
  const keyspace = { ...FILES, replicationFactor: 0 };
  cluster = await TestCluster.start({ config: { initialKeyspaces: [keyspace] } });
  await withClients(cluster, async (plain, files) => {
    await eventually(() => plain.put("ready", "yes"));
    leaseId = (await plain.leases.grant(600)).id;
    await plain.put("leased", "value", { lease: leaseId });
    await fill(plain, "first");
    await fill(files, "first");
  });
}, 60_000);

afterAll(async () => {
  await cluster.close();
  rmSync(directory, { recursive: true, force: true });
});

describe("a backup of a cluster", () => {
  test("fetches what no earlier one has", async () => {
    const first = await backUp(cluster);
    expect(first).toMatchObject({ number: 1, shards: 5, tables: 5, copiedTables: 5 });
    // What is copied again has a name already. On a busy machine a shard may elect at any time: its
    // new leader's table is another one.
    const filesNow = (): number => readdirSync(join(backups, "tables")).length;
    expect(filesNow()).toBe(5);
    const second = await backUp(cluster);
    expect(second).toMatchObject({ number: 2, tables: 5 });
    expect(filesNow()).toBe(5 + second.copiedTables);
    await withClients(cluster, async (plain) => {
      revisions[2] = (await plain.get("ready")).header.revision;
      await plain.put("later", "than two backups");
      revisions[3] = (await plain.get("ready")).header.revision;
    });
    const third = await backUp(cluster);
    expect(third.number).toBe(3);
    expect(third.copiedTables).toBeGreaterThanOrEqual(1);
    expect((await checkBackups(cluster.env("check"), backups)).findings).toEqual([]);
    expect(filesNow()).toBe(5 + second.copiedTables + third.copiedTables);
  });

  test("is restored as it was, with its leases, on as many nodes", async () => {
    const again = await restored(3);
    try {
      await withClients(again, async (plain, files) => {
        const { header, kv } = await eventually(() => plain.get("later"));
        expect(kv?.version).toBe(1);
        expect(header.revision).toBe(revisions[3]! + RAISE_BY);
        const lease = await plain.leases.timeToLive(leaseId, { keys: true });
        expect(lease.keys?.map((key) => Buffer.from(key).toString())).toEqual(["leased"]);
        expect(lease.ttlSeconds).toBeGreaterThan(500);
        for (const client of [plain, files]) {
          for (let i = 0; i < KEYS; i++) {
            const found = await client.get(`key${i}`);
            expect(Buffer.from(found.kv!.value).toString()).toBe(valueOf(i, "first"));
          }
          const written = await client.put("after", "the restore");
          expect(written.header.revision).toBeGreaterThan(RAISE_BY);
          expect((await client.get("after")).kv?.modRevision).toBe(written.header.revision);
        }
        await expectCompacted(plain, revisions[3]! + 1);
        await expectGrowth(plain, again);
      });
    } finally {
      await again.close();
    }
  }, 60_000);

  test("is restored on one node, with its history where revisions stay", async () => {
    const alone = await restored(2, { nodeCount: 1, raiseBy: 0 });
    try {
      await withClients(alone, async (plain, files) => {
        const { header, kv } = await eventually(() => plain.get("later"));
        expect(kv).toBeUndefined();
        expect(header.revision).toBe(revisions[2]);
        const { kv: found } = await files.get("key7");
        const old = await files.range({ key: "key7", revision: found!.modRevision });
        expect(old.kvs).toHaveLength(1);
        const { header: after } = await files.put("key7", "after");
        expect(after.revision).toBeGreaterThan(found!.modRevision);
      });
    } finally {
      await alone.close();
    }
  }, 60_000);

  test("has a keyspace of many shards as it was at one moment, while it is written to", async () => {
    const into = join(directory, "busy");
    const files = await connect({ endpoints: cluster.endpoints, keyspace: "files" });
    let isOver = false;
    const writing = (async () => {
      for (let i = 0; !isOver; i++) {
        await files.put(`seq${i}`, String(i));
        await files.put("newest", String(i));
        await files.delete(`seq${i - 20}`);
      }
    })();
    await eventually(async () => (await files.get("seq30")).kv !== undefined);
    for (let i = 1; i <= 3; i++) expect(await backUp(cluster, into)).toMatchObject({ number: i });
    isOver = true;
    await writing;
    await files.close();
    for (const number of [1, 3]) {
      const busy = await restored(number, { nodeCount: 1, backups: into });
      try {
        await withClients(busy, async (_plain, of) => {
          await expectOneMoment(of);
        });
      } finally {
        await busy.close();
      }
    }
  }, 120_000);

  test("makes no cluster with nodes of another one", async () => {
    // Of three nodes two have the third backup, and one the first.
    const mixed = await restored(3, { of: [3, 3, 1] });
    try {
      const plain = await connect({ endpoints: ["n1", "n2"].map((name) => mixed.endpoint(name)) });
      expect((await eventually(() => plain.get("later"))).kv).toBeDefined();
      const registered = async (): Promise<string[]> => {
        const { nodes } = (await plain.admin.map()).clusterMap;
        return nodes.flatMap(({ incarnation, name }) => (incarnation === "" ? [] : name)).sort();
      };
      await eventually(async () => expect(await registered()).toEqual(["n1", "n2"]));
      await plain.close();
    } finally {
      await mixed.close();
    }
  }, 60_000);

  test("promises nothing at a node of which the others do not know the disk yet", async () => {
    const begun = await restored(3, { late: ["n2", "n3"] });
    try {
      const { host, view } = begun.node("n1").core;
      expect(view.map.shards.length).toBeGreaterThan(1);
      expect([...host.replicas].map(({ shardId }) => shardId)).toEqual([1]);
      await begun.startNode("n2");
      await withClients(begun, async (plain) => {
        expect((await eventually(() => plain.get("later"))).kv).toBeDefined();
      });
    } finally {
      await begun.close();
    }
  }, 60_000);

  test("goes nowhere but to the backups of its cluster", async () => {
    const other = await TestCluster.start({ nodeCount: 1 });
    try {
      await withFounded(other);
      await expect(backUp(other)).rejects.toThrow("of another cluster");
      await expect(backUp(other, directory)).rejects.toThrow("something else than backups");
    } finally {
      await other.close();
    }
  }, 60_000);

  test("of which a table is not there is refused", async () => {
    const into = join(directory, "torn");
    await backUp(cluster, into);
    for (const name of readdirSync(join(into, "tables"))) rmSync(join(into, "tables", name));
    const env = cluster.env("torn");
    const { findings, tables } = await checkBackups(env, into);
    expect(findings).toHaveLength(tables);
    const dataDirectory = join(directory, "torn-node");
    const request = {
      backups: into,
      listing: readListing(env.disk, into, 1),
      dataDirectory,
      name: "n1",
      nodes: [{ name: "n1", peerAddress: "127.0.0.1:1" }],
      raiseBy: 0,
    };
    await expect(restoreNode(env, request)).rejects.toThrow("notFound");
    const half = TestCluster.start({
      nodeCount: 1,
      beforeStart: (made) =>
        restoreNode(env, { ...request, dataDirectory: made.config("n1").dataDirectory }).then(
          () => undefined,
          () => undefined,
        ),
    });
    expect((await errorOf(half)).message).toContain("cut short");
  }, 60_000);
});

/** Whoever watches from what he has seen of the old cluster hears that it is gone. */
async function expectCompacted(client: Client, startRevision: number): Promise<void> {
  const watching = (async () => {
    for await (const item of client.watch({ key: "later", startRevision })) return item;
    return undefined;
  })();
  expect((await errorOf(watching)).code).toBe("compacted");
}

/** Of writes that were made one after the other there are the first so many, and no other. */
async function expectOneMoment(client: Client): Promise<void> {
  const { kvs } = await eventually(() => client.range({ key: "seq", prefix: true, fanOut: true }));
  const there = kvs.map(({ key }) => Number(Buffer.from(key).toString().slice(3)));
  const last = Math.max(...there);
  const newest = Number(Buffer.from((await client.get("newest")).kv!.value).toString());
  expect([last - 1, last]).toContain(newest);
  const first = Math.min(...there);
  expect(there.sort((a, b) => a - b)).toEqual(
    Array.from({ length: last - first + 1 }, (_, i) => first + i),
  );
  // The one to be deleted next may be gone or not.
  expect(Math.max(0, last - 20)).toBeLessThanOrEqual(first);
  expect(first).toBeLessThanOrEqual(Math.max(0, last - 19));
}

/** The restored cluster is one to which nodes and keyspaces can be added. */
async function expectGrowth(client: Client, made: TestCluster): Promise<void> {
  await client.admin.createKeyspace({ name: "new", kind: "hash", shards: 2 });
  await made.prepare("n4");
  const request = { name: "n4", peerAddress: made.peerAddress("n4"), learner: false };
  await client.admin.addMember(request);
  await made.startNode("n4");
  await eventually(async () => {
    const { clusterMap } = await client.admin.map();
    return clusterMap.nodes.filter(({ incarnation }) => incarnation !== "").length === 4;
  });
}

async function withFounded(made: TestCluster): Promise<void> {
  const client = await connect({ endpoints: made.endpoints });
  try {
    await eventually(() => client.put("ready", "yes"));
  } finally {
    await client.close();
  }
}
