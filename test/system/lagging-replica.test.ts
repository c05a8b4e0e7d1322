/** A replica that was away for longer than the log is kept, and comes back while writes go on. */
import { expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { connect } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const VALUE: Uint8Array = new Uint8Array(128 * 1024).fill(7);
const ENTRIES_BEHIND_MAX = 100;

test("a lagging replica catches up by snapshot while writes go on", async () => {
  const memtablesBytesMax = 16 * 1024 * 1024;
  const cluster = await TestCluster.start({ nodeCount: 3, config: { memtablesBytesMax } });
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 10_000 });
  const put = (key: string): Promise<unknown> => client.put(key, VALUE).catch(() => undefined);
  await eventually(() => client.put("ready", "yes"));
  await eventually(async () => (await client.admin.members()).length === 3);
  const { header } = await client.put("a", "b");
  const leading = cluster.nameOf(header.nodeId);
  const lagging = must(cluster.names.find((name) => name !== leading));
  await cluster.crashNode(lagging);
  for (let i = 0; i < 480; i += 8) {
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((j) => put(`base/${i + j}`)));
  }
  let stop = false;
  const writers = [0, 1, 2, 3].map(async (id) => {
    for (let i = 0; !stop; i++) await put(`hot/${id}/${i % 40}`);
  });
  await cluster.startNode(lagging);
  const applied = async (name: string): Promise<number> => {
    const { replicas } = await client.admin.status(cluster.endpoint(name));
    return must(replicas.find(({ shardId }) => shardId === header.shardId)).appliedIndex;
  };
  let inStep = 0;
  await eventually(async () => {
    const behind = (await applied(leading)) - (await applied(lagging));
    inStep = behind < ENTRIES_BEHIND_MAX ? inStep + 1 : 0;
    return inStep >= 20;
  }, 8000);
  stop = true;
  await Promise.all(writers);
  expect(inStep).toBeGreaterThanOrEqual(20);
  await client.close();
  await cluster.close();
}, 60_000);
