/** The log of a node is shared by all its shards: one that is hardly written must not keep it. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { connect } from "../../src/client/index.js";
import { eventually } from "../support/eventually.js";
import { TestCluster } from "../support/test-cluster.js";

const MEBIBYTE = 1024 * 1024;
const VALUE: Uint8Array = new Uint8Array(256 * 1024).fill(7);

function logBytes(cluster: TestCluster, name: string): number {
  const directory = join(cluster.directory, name, "store", "log");
  const files = readdirSync(directory);
  return files.reduce((sum, file) => sum + statSync(join(directory, file)).size, 0);
}

test("an idle shard does not keep the whole log", async () => {
  const segmentSizeBytes = 16 * MEBIBYTE;
  const cluster = await TestCluster.start({ nodeCount: 3, config: { segmentSizeBytes } });
  const client = await connect({ endpoints: cluster.endpoints, requestTimeoutMs: 20_000 });
  await eventually(() => client.put("ready", "yes"));
  await eventually(async () => (await client.admin.members()).length === 3);
  for (let i = 0; i < 400; i += 4) {
    await Promise.all(
      [0, 1, 2, 3].map((j) => eventually(() => client.put(`big/${(i + j) % 20}`, VALUE))),
    );
  }
  const largest = (): number => Math.max(...cluster.names.map((name) => logBytes(cluster, name)));
  await eventually(() => largest() <= 5 * segmentSizeBytes, 2000).catch(() => undefined);
  expect(largest() / MEBIBYTE).toBeLessThanOrEqual(80);
  await client.close();
  await cluster.close();
}, 60_000);
