/** Finding a keyspace by its name. */
import type { ClusterMap, KeyspaceDescriptor } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";

/** Throws keyspaceNotFound where there is none. */
export function keyspaceNamed(map: ClusterMap, name: string): KeyspaceDescriptor {
  const found = map.keyspaces.find((keyspace) => keyspace.name === name);
  if (found === undefined) throw notApplied("keyspaceNotFound", `there is no keyspace "${name}"`);
  return found;
}
