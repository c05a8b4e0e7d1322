/**
 * What the replicas themselves hold when all is over. In a keyspace of one shard each node is asked
 * for every key it has, at one revision that all have reached, and all answers must be the same,
 * versions and revisions included; of every shard so must be the logical hashes, which count the
 * history that is kept. It reads past the links, from one node at a time.
 */
import { connectBy } from "../../src/client/client.js";
import type { Client } from "../../src/client/client.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeRandom } from "../../src/env/node/node-random.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { must } from "../../src/base/assert.js";
import { utf8Text } from "../../src/base/bytes.js";
import type { Network } from "../../src/env/network.js";
import type { KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import { KvError } from "../../src/protocol/errors.js";
import type { KeyValue } from "../../src/protocol/key-value.js";
import type { State } from "../checkers/committed.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, unknown, valid } from "../checkers/finding.js";
import { valueText } from "../value-text.js";
import type { Cluster } from "./cluster.js";

const NAME = "replicas are alike";
const POLL_MS = 250;
const ASK_TIMEOUT_MS = 5000;

export interface Replicas {
  readonly findings: readonly Finding[];
  /** By keyspace. */
  readonly states: ReadonlyMap<string, State>;
}

export async function compareReplicas(cluster: Cluster, patienceMs: number): Promise<Replicas> {
  const keyspaces = await cluster.observer.admin.keyspaces();
  const findings: Finding[] = [];
  const states = new Map<string, State>();
  const end = performance.now() + patienceMs;
  for (const keyspace of keyspaces.filter(({ keyspaceId }) => keyspaceId !== 0)) {
    const found = await compareKeyspace(cluster, keyspace, end);
    if ("verdict" in found) findings.push(found);
    else states.set(keyspace.name, found.state);
    findings.push(...(await compareHashes(cluster, keyspace, end)));
  }
  return { findings: findings.length === 0 ? [valid(NAME)] : findings, states };
}

/**
 * A keyspace of one shard is asked for at each node. One of several is asked for as clients ask: at
 * rest no replica has closed the revision of another shard, so none would show it alone.
 */
async function compareKeyspace(
  cluster: Cluster,
  keyspace: KeyspaceDescriptor,
  end: number,
): Promise<Finding | { readonly state: State }> {
  const { clusterMap } = await cluster.observer.admin.map();
  const [shard] = clusterMap.shards.filter((each) => each.keyspaceId === keyspace.keyspaceId);
  const holders = clusterMap.nodes.filter(({ nodeId }) =>
    shard?.replicas.some((replica) => replica.nodeId === nodeId),
  );
  const fanOut = keyspace.kind === "hash";
  const view = cluster.observer.keyspace(keyspace.name);
  const answer = await untilAnswered(() => view.range({ key: "", prefix: true, fanOut }), end);
  if (answer instanceof KvError) {
    return invalid(NAME, `nobody serves ${keyspace.name}: ${answer.message}`);
  }
  const { revision } = answer.header;
  if (!keyspace.dense) return { state: stateOf(revision, answer.kvs) };
  const dumps: { readonly node: string; readonly kvs: readonly KeyValue[] }[] = [];
  for (const { name } of holders) {
    const kvs = await untilAnswered(() => dump(cluster, name, keyspace, revision), end);
    if (kvs instanceof KvError) {
      return unknown(NAME, `${name} does not show ${keyspace.name}: ${kvs.message}`);
    }
    dumps.push({ node: name, kvs });
  }
  const [first, ...others] = dumps.map(({ node, kvs }) => ({ node, rows: kvs.map(rowText) }));
  for (const other of others) {
    const longer = other.rows.length > first!.rows.length ? other.rows : first!.rows;
    const at = longer.findIndex((_, index) => other.rows[index] !== first!.rows[index]);
    if (at < 0) continue;
    const [a, b] = [first!.rows[at] ?? "nothing", other.rows[at] ?? "nothing"];
    const text = `at revision ${revision} of ${keyspace.name}`;
    return invalid(NAME, `${text} ${first!.node} has ${a} and ${other.node} has ${b}`);
  }
  return { state: stateOf(revision, must(dumps[0], "a replica").kvs) };
}

function stateOf(revision: number, kvs: readonly KeyValue[]): State {
  const rows = kvs.map(({ key, value, modRevision }) => {
    return [utf8Text(key), { value: valueText(value), modRevision }] as const;
  });
  return { revision, rows: new Map(rows) };
}

/** Replicas that have come to rest have applied the same, and then mean the same. */
async function compareHashes(
  cluster: Cluster,
  { keyspaceId, name: keyspace }: KeyspaceDescriptor,
  end: number,
): Promise<readonly Finding[]> {
  const { clusterMap } = await cluster.observer.admin.map();
  const names = new Map(clusterMap.nodes.map(({ nodeId, name }) => [nodeId, name]));
  const findings: Finding[] = [];
  for (const { shardId, replicas, keyspaceId: owner } of clusterMap.shards) {
    if (owner !== keyspaceId) continue;
    const holders = replicas.flatMap(({ nodeId }) => names.get(nodeId) ?? []);
    const hashes = await untilAnswered(async () => {
      const all = await Promise.all(holders.map((name) => cluster.hash(name, shardId)));
      const points = new Set(all.map((one) => `${one.revision} ${one.compactedRevision}`));
      if (points.size <= 1) return all;
      throw new KvError("unavailable", `replicas stay at ${[...points].join(", ")}`, "notApplied");
    }, end);
    const shard = `shard ${shardId} of ${keyspace}`;
    if (hashes instanceof KvError) {
      findings.push(unknown(NAME, `${shard} cannot be compared: ${hashes.message}`));
    } else if (new Set(hashes.map(({ hash }) => hash)).size > 1) {
      const text = hashes.map(({ hash }, at) => `${holders[at]} ${hash.toString(16)}`).join(", ");
      const at = hashes[0]!.revision;
      findings.push(invalid(NAME, `${shard} has different histories at ${at}: ${text}`));
    }
  }
  return findings;
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
  { name: keyspace }: KeyspaceDescriptor,
  revision: number,
): Promise<readonly KeyValue[]> {
  const client = await connectOnly(cluster.advertised(name).client);
  try {
    const options = { key: "", prefix: true, level: "stale", revision } as const;
    const { kvs } = await client.keyspace(keyspace).range(options);
    return kvs;
  } finally {
    await client.close();
  }
}

function rowText(kv: KeyValue): string {
  const numbers = `${kv.createRevision}/${kv.modRevision}/${kv.version}`;
  return `${utf8Text(kv.key)}=${valueText(kv.value)} (${numbers})`;
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
