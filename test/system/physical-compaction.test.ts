/** A physical compaction on real nodes: what nobody can read any more is off their disks. */
import { expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const VALUE = "v".repeat(4096);
const OVERWRITES = 400;

test("gives back the space of old revisions on every node before it is answered", async () => {
  const cluster = await TestCluster.start();
  const client = await connect({ endpoints: cluster.endpoints });
  try {
    await eventually(() => client.put("ready", "yes"));
    let revision = 0;
    for (let i = 0; i < OVERWRITES; i++) {
      const { header } = await client.put(`k${i % 4}`, `${i}${VALUE}`);
      revision = header.revision;
    }
    const stored = async (endpoint: string): Promise<number> => {
      const { replicas } = await client.admin.status(endpoint);
      return replicas.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
    };
    // What is in memory is on disk first, with all its revisions.
    for (const each of cluster.endpoints) await client.admin.defragment(each, 30_000);
    const before = await Promise.all(cluster.endpoints.map(stored));
    await client.compact(revision, { physical: true });
    const after = await Promise.all(cluster.endpoints.map(stored));
    for (const [at, bytes] of after.entries()) expect(bytes).toBeLessThan(before[at]! / 2);
    expect((await client.range({ key: "k", prefix: true })).kvs.length).toBe(4);
  } finally {
    await client.close();
    await cluster.close();
  }
}, 60_000);
