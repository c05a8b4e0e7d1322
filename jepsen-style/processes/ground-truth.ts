/**
 * What the replicas themselves hold when all is over: each node is asked for every key it has, at
 * one revision that all have reached, and all answers of a shard must be the same, versions and
 * revisions included. It reads past the links, from one node at a time.
 */
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeRandom } from "../../src/env/node/node-random.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { utf8Text } from "../../src/base/bytes.js";
import type { Network } from "../../src/env/network.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, unknown, valid } from "../checkers/finding.js";
import type { Cluster } from "./cluster.js";

const NAME = "replicas are alike";
const POLL_MS = 250;
const ASK_TIMEOUT_MS = 5000;

export async function compareReplicas(cluster: Cluster, patienceMs: number): Promise<Finding[]> {
  const keyspaces = await cluster.observer.admin.keyspaces();
  const findings: Finding[] = [];
  const end = performance.now() + patienceMs;
  for (const keyspace of keyspaces.filter(({ keyspaceId }) => keyspaceId !== 0)) {
    findings.push(await compareKeyspace(cluster, keyspace, end));
  }
  const wrong = findings.filter(({ verdict }) => verdict !== "valid");
  return wrong.length === 0 ? [valid(NAME)] : wrong;
}

/** Nodes that hold all shards of the keyspace can be asked for all of it; the others cannot. */
async function compareKeyspace(
  cluster: Cluster,
  keyspace: KeyspaceDescriptor,
  end: number,
): Promise<Finding> {
  const { clusterMap } = await cluster.observer.admin.map();
  const shards = clusterMap.shards.filter((each) => each.keyspaceId === keyspace.keyspaceId);
  const holders = clusterMap.nodes.filter(({ nodeId }) =>
    shards.every(({ replicas }) => replicas.some((replica) => replica.nodeId === nodeId)),
  );
  const view = cluster.observer.keyspace(keyspace.name);
  const answer = await untilAnswered(() => view.get("harness/ready"), end);
  if (answer instanceof KvError) {
    return invalid(NAME, `nobody serves ${keyspace.name}: ${answer.message}`);
  }
  const { header } = answer;
  const dumps: { readonly node: string; readonly rows: readonly string[] }[] = [];
  for (const { name } of holders) {
    const rows = await untilAnswered(() => dump(cluster, name, keyspace, header.revision), end);
    if (rows instanceof KvError) {
      return unknown(NAME, `${name} does not show ${keyspace.name}: ${rows.message}`);
    }
    dumps.push({ node: name, rows });
  }
  const [first, ...others] = dumps;
  for (const other of others) {
    const longer = other.rows.length > first!.rows.length ? other.rows : first!.rows;
    const at = longer.findIndex((_, index) => other.rows[index] !== first!.rows[index]);
    if (at < 0) continue;
    const [a, b] = [first!.rows[at] ?? "nothing", other.rows[at] ?? "nothing"];
    const text = `at revision ${header.revision} of ${keyspace.name}`;
    return invalid(NAME, `${text} ${first!.node} has ${a} and ${other.node} has ${b}`);
  }
  return valid(NAME);
}

/** A node that was behind may take a while, and so may an election. */
async function untilAnswered<T>(ask: () => Promise<T>, endMs: number): Promise<T | KvError> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const refusal = KvError.from(error);
      if (performance.now() > endMs) return refusal;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

async function dump(
  cluster: Cluster,
  name: string,
  { name: keyspace, kind }: KeyspaceDescriptor,
  revision: number,
): Promise<readonly string[]> {
  const client = await connectOnly(cluster.advertised(name).client);
  try {
    const options = { key: "", prefix: true, level: "stale", revision } as const;
    const fanOut = kind === "hash";
    const { kvs } = await client.keyspace(keyspace).range({ ...options, fanOut });
    return kvs.map((kv) => {
      const value = utf8Text(kv.value);
      const numbers = `${kv.createRevision}/${kv.modRevision}/${kv.version}`;
      return `${utf8Text(kv.key)}=${value} (${numbers})`;
    });
  } finally {
    await client.close();
  }
}

/** A client that reaches this node and no other: whatever it is told comes from there. */
function connectOnly(address: string): Promise<Client> {
  const network: Network = {
    listen: () => Promise.reject(new Error("a client listens nowhere")),
    connect: (asked, timeoutMs) =>
      asked === address
        ? nodeNetwork.connect(asked, timeoutMs)
        : Promise.reject(new Error("another node")),
  };
  const env = { clock: nodeClock, timers: nodeTimers, random: nodeRandom, network };
  return connectBy(env, { endpoints: [address], requestTimeoutMs: ASK_TIMEOUT_MS });
}
