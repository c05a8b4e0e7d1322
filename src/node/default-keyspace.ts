/** The keyspace that every cluster has: one shard, so that its revisions are dense as etcd's. */
import type { KeyspaceCreateRequest } from "../protocol/admin-messages.js";
import { DEFAULT_KEYSPACE_NAME } from "../protocol/cluster.js";

export const DEFAULT_KEYSPACE: KeyspaceCreateRequest = {
  name: DEFAULT_KEYSPACE_NAME,
  kind: "range",
  splitPoints: [],
  shardCount: 1,
  replicationFactor: 0,
};
