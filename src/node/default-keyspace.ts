/**
 * The keyspace that every cluster has. It has one shard, so that its revisions are dense as etcd's,
 * unless who founds the cluster asks for another layout of it.
 */
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { DEFAULT_KEYSPACE_NAME } from "../protocol/cluster.js";

export const DEFAULT_KEYSPACE: KeyspaceCreateRequest = {
  name: DEFAULT_KEYSPACE_NAME,
  kind: "range",
  splitPoints: [],
  shardCount: 1,
  replicationFactor: 0,
};

/** What a cluster begins with, the default keyspace first. */
export function foundingKeyspaces(
  asked: readonly KeyspaceCreateRequest[],
): readonly KeyspaceCreateRequest[] {
  const byDefault = asked.find(isDefault) ?? DEFAULT_KEYSPACE;
  return [byDefault, ...asked.filter((keyspace) => !isDefault(keyspace))];
}

function isDefault({ name }: KeyspaceCreateRequest): boolean {
  return name === DEFAULT_KEYSPACE_NAME;
}
