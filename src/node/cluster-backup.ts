/**
 * What a backup of a cluster has beside its trees: the map as it was, and what is in each keyspace.
 * The placement group's own data are not in it: a restored cluster has other nodes.
 */
import { ByteReader, ByteWriter } from "../base/coding.js";
import { decodePlain, encodePlain } from "../protocol/admin-codec.js";
import type { ClusterMap } from "../protocol/cluster.js";

export interface ClusterBackup {
  readonly map: ClusterMap;
  /**
   * By keyspace with many shards the revision at which it is backed up: its trees have everything
   * at or below it, and may have more, which a restore takes back.
   */
  readonly floors: readonly {
    readonly keyspaceId: number;
    readonly revision: number;
  }[];
}

export function encodeClusterBackup(backup: ClusterBackup): Uint8Array {
  const out = new ByteWriter(4096);
  encodePlain(out, backup);
  return out.copy();
}

/** Undefined where it is a backup of one store; throws DecodeError where it cannot be read. */
export function decodeClusterBackup(cluster: Uint8Array): ClusterBackup | undefined {
  if (cluster.length === 0) return undefined;
  return decodePlain<ClusterBackup>(new ByteReader(cluster));
}

/** A cluster's id as backups have it in the place of a store's. */
export function storeIdOfCluster(clusterId: string): string {
  return clusterId.padStart(32, "0");
}
