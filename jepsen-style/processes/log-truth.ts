/**
 * The nodes' own logs as the truth: when the nodes have ended, what they committed is read from
 * their files and held against what the clients were told, what reads and watches showed,
 * and what the replicas held.
 */
import type { ClusterMap, KeyspaceDescriptor } from "../../src/protocol/cluster.js";
import type { CommittedOrder, State } from "../checkers/committed.js";
import { checkCommitted, replayOf } from "../checkers/committed.js";
import { checkReads, unprovenReads } from "../checkers/exact-reads.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, unknown, valid } from "../checkers/finding.js";
import { checkWatches } from "../checkers/watches.js";
import type { Witness } from "../workloads/witness.js";
import type { Cluster } from "./cluster.js";
import type { LogArchive } from "./log-archive.js";
import { keyspaceOrder, readNodeLog, shardOrder } from "./node-logs.js";
import type { NodeLog } from "./node-logs.js";

export interface LogTruth {
  readonly findings: readonly Finding[];
  /** How far the logs went back, in words, by keyspace. */
  readonly covered: readonly string[];
}

/** What the harness itself writes. */
const OWN_KEYS = "harness/";
const READABLE = "the logs can be read";

export interface TruthParts {
  readonly cluster: Cluster;
  readonly map: ClusterMap;
  readonly keyspaces: readonly KeyspaceDescriptor[];
  readonly states: ReadonlyMap<string, State>;
  readonly witness: Witness;
  /** A workload has no other judge of its reads. */
  readonly mustProve: boolean;
  /** What the logs let go of during the run. */
  readonly archive: LogArchive;
  /** The one whose files were damaged on purpose. */
  readonly damaged: string | undefined;
}

/** Of nodes that have ended. */
export function compareLogs(parts: TruthParts): LogTruth {
  const { cluster, keyspaces, damaged } = parts;
  const logs: NodeLog[] = [];
  const findings: Finding[] = [];
  for (const name of cluster.names) {
    const log = readNodeLog(name, cluster.directoryOf(name));
    if (log !== undefined) logs.push(log);
    else if (name !== damaged) findings.push(invalid(READABLE, `that of ${name} cannot`));
  }
  const covered: string[] = [];
  for (const keyspace of keyspaces.filter(({ keyspaceId }) => keyspaceId !== 0)) {
    const order = orderOf(keyspace, logs, parts);
    if ("verdict" in order) {
      findings.push(order);
      continue;
    }
    const { from, to, commits } = order;
    if (to === 0 && parts.witness.of(keyspace.name).writes.length === 0) continue;
    covered.push(`${keyspace.name}: ${commits.length} commits, revisions ${from} to ${to}`);
    const own = compareKeyspace(keyspace, order, parts);
    findings.push(
      ...own.map((each) => ({ ...each, checker: `${keyspace.name}: ${each.checker}` })),
    );
  }
  return { findings, covered };
}

function orderOf(
  keyspace: KeyspaceDescriptor,
  logs: readonly NodeLog[],
  { map, archive }: TruthParts,
): CommittedOrder | Finding {
  const names = new Map(map.nodes.map(({ nodeId, name }) => [nodeId, name]));
  const shards = map.shards.filter(({ keyspaceId }) => keyspaceId === keyspace.keyspaceId);
  const orders = shards.map(({ shardId, replicas }) => {
    const voters = replicas.filter(({ role }) => role === "voter");
    return shardOrder(
      shardId,
      logs,
      voters.flatMap(({ nodeId }) => names.get(nodeId) ?? []),
      archive.of(shardId),
    );
  });
  const fault = archive.fault ?? orders.find((order) => order.fault !== undefined)?.fault;
  if (fault !== undefined) return invalid("the logs agree", fault);
  const { from, to, commits } = keyspaceOrder(keyspace, orders);
  const others = commits.filter(({ events }) => !events.every(({ key }) => isOwn(key)));
  return { from, to, commits: others };
}

function compareKeyspace(
  keyspace: KeyspaceDescriptor,
  order: CommittedOrder,
  { witness, states, mustProve }: TruthParts,
): readonly Finding[] {
  const { writes, watches, reads } = witness.of(keyspace.name);
  // Where the logs are whole, what they lack is lost; where they were trimmed, nobody knows.
  if (order.from > 1 && order.from > order.to && writes.length > 0) {
    return [unknown("the logs agree", "what was written is not in them any more")];
  }
  const state = states.get(keyspace.name);
  const shown = checkWatches(watches, replayOf(order)).map((each) => {
    return { ...each, checker: `by the logs, ${each.checker}` };
  });
  const rows = [...(state?.rows ?? [])].filter(([key]) => !isOwn(key));
  const known = state === undefined ? undefined : { ...state, rows: new Map(rows) };
  // A shard of several names its own newest revision, not that of the keyspace.
  const asked = keyspace.dense ? writes : [];
  const read = checkReads(order, reads, asked);
  const unproven = mustProve ? (unprovenReads(order, reads) ?? []) : [];
  const findings = [valid("the logs agree"), ...checkCommitted(order, writes, known), ...read];
  return [...findings, ...shown].concat(unproven);
}

function isOwn(key: string): boolean {
  return key.startsWith(OWN_KEYS);
}
