/**
 * Who this node is: a file in its data directory, written at the first start and checked at every
 * other. A directory of another cluster or node is refused; nothing is changed in it.
 *
 * A node that is added to a cluster is given its id by placement (join.ts). The founding nodes get
 * ids from the cluster's token and their names, so that all of them agree on the placement group
 * without having talked.
 */
import { utf8 } from "../base/bytes.js";
import { hash32 } from "../base/hash.js";
import type { Disk } from "../env/disk.js";
import { notStarted } from "../placement/members.js";
import { notApplied } from "../protocol/errors.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { NodeDescriptor, ShardDescriptor } from "../protocol/cluster.js";
import { keyspaceRange } from "../route/stored-key.js";
import type { InitialNode, NodeConfig } from "./config.js";
import { hasTextFile, readTextFile, writeTextFile } from "./text-file.js";

export interface Identity {
  readonly clusterId: string;
  readonly nodeId: number;
  readonly name: string;
  /** The cluster was there before this node, which was added to it, or restored with it. */
  readonly joined?: boolean | undefined;
}

const FILE = "node.json";

/** The identity of this directory; a founder makes it, a node that joins is told it first. */
export function establishIdentity(disk: Disk, config: NodeConfig): Identity | undefined {
  const isNew = !hasTextFile(disk, config.dataDirectory, FILE);
  if (config.initialClusterState === "existing" && isNew) return undefined;
  const wanted: Identity = {
    clusterId: clusterIdOf(config),
    nodeId: nodeIdOf(config.clusterToken, config.name),
    name: config.name,
  };
  if (isNew) {
    saveIdentity(disk, config.dataDirectory, wanted);
    return wanted;
  }
  const found = JSON.parse(readTextFile(disk, config.dataDirectory, FILE)) as Identity;
  if (found.joined === true || config.initialClusterState === "existing") {
    if (found.name === config.name) return found;
    const text = `the data directory belongs to node ${found.name}, not ${config.name}`;
    throw notApplied("invalidArgument", text);
  }
  if (found.name !== wanted.name || found.nodeId !== wanted.nodeId) {
    const text = `the data directory belongs to node ${found.name}, not ${wanted.name}`;
    throw notApplied("invalidArgument", text);
  }
  if (found.clusterId !== wanted.clusterId) {
    const text =
      `the data directory belongs to cluster ${found.clusterId}; ` +
      `token and founding nodes given now mean cluster ${wanted.clusterId}`;
    throw notApplied("wrongCluster", text);
  }
  return found;
}

export function saveIdentity(disk: Disk, directory: string, identity: Identity): void {
  disk.makeDirectory(directory);
  writeTextFile(disk, directory, FILE, `${JSON.stringify(identity)}\n`);
}

/** The founding nodes in the order of their names: this node alone where none are given. */
export function foundersOf(config: NodeConfig): readonly InitialNode[] {
  if (config.initialCluster.length === 0) {
    return [{ name: config.name, peerAddress: config.advertisePeer || config.listenPeer }];
  }
  return [...config.initialCluster].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** 48 bits, so that it is a safe integer and no two names are likely to share one. */
export function nodeIdOf(clusterToken: string, name: string): number {
  const seed = utf8(`${clusterToken}\n${name}`);
  const low = hash32(seed);
  const high = hash32(utf8(`${name}\n${clusterToken}\nnode`)) & 0xffff;
  return high * 0x1_0000_0000 + low;
}

/** The placement group as every founder knows it before anybody has spoken. */
export function placementDescriptor(config: NodeConfig): ShardDescriptor {
  const founders = foundersOf(config);
  const replicas = founders.map((node, i) => ({
    replicaId: i + 1,
    nodeId: nodeIdOf(config.clusterToken, node.name),
    role: "voter" as const,
  }));
  return {
    shardId: PLACEMENT_SHARD_ID,
    keyspaceId: SYSTEM_KEYSPACE_ID,
    range: keyspaceRange(SYSTEM_KEYSPACE_ID),
    epoch: { configuration: 1, range: 1 },
    generation: 1,
    replicas,
    preferredNodeId: replicas[0]!.nodeId,
  };
}

/** The founders as members that have not started yet. */
export function founderDescriptors(config: NodeConfig): readonly NodeDescriptor[] {
  return foundersOf(config).map(({ name, peerAddress }) =>
    notStarted({ nodeId: nodeIdOf(config.clusterToken, name), name, peerAddress }),
  );
}

function clusterIdOf(config: NodeConfig): string {
  const names = foundersOf(config).map((node) => node.name);
  const text = `${config.clusterToken}\n${names.join("\n")}`;
  const low = hash32(utf8(text));
  const high = hash32(utf8(`cluster\n${text}`));
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}
