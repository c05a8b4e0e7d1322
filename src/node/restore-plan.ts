/**
 * What a restore comes to, as a function of the backup and of what it is told: the new cluster's
 * id, its map, and the trees of a node. Every node that is told the same gets the same.
 */
import { must } from "../base/assert.js";
import { TRANSACTION_OPERATIONS_MAX } from "../base/limits.js";
import { hex, utf8 } from "../base/bytes.js";
import { Sha256 } from "../base/sha256.js";
import type { FlushedState } from "../lsm/entry.js";
import type { VersionEdit } from "../lsm/version-edit.js";
import { idsOf } from "../placement/replica-sets.js";
import { decodeState } from "../placement/records.js";
import type { PlacementRecord } from "../placement/records.js";
import { restoredRecords } from "../placement/restored.js";
import type { ClusterMap, ShardDescriptor } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import { encodeConfiguration } from "../raft/configuration-codec.js";
import { replicaOn } from "../shard/open-replica.js";
import type { BackupListing } from "../store/backup-listing.js";
import { editOfTrees } from "../store/checkpoint-edit.js";
import { decodeClusterBackup } from "./cluster-backup.js";
import type { InitialNode } from "./config.js";
import { nodeIdOf } from "./identity.js";

/** What one transaction may hold, with room. */
const RECORDS_MAX = 100;
/** Of an empty placement group; each transaction raises it by one. */
const FIRST_REVISION = 1;
const CLUSTER_ID_DIGITS = 16;

export interface RestoreWish {
  readonly listing: BackupListing;
  /** All nodes of the new cluster. */
  readonly nodes: readonly InitialNode[];
  /** By how much revisions rise; 0: they stay, and the history with them. */
  readonly raiseBy: number;
}

export interface RestorePlan {
  readonly clusterId: string;
  /** As the placement group's records say it. */
  readonly map: ClusterMap;
  /** Records of the placement group, one transaction after the other. */
  readonly steps: readonly (readonly PlacementRecord[])[];
  /** All trees that were backed up, each with the state with which its replicas begin. */
  readonly edit: VersionEdit;
  /** By shard: trees that have more than their keyspace had when it was backed up. */
  readonly undo: ReadonlyMap<number, UndoPlan>;
}

export interface UndoPlan {
  /** What came after it is taken back. */
  readonly floorRevision: number;
  /** Then the shard's revision is compacted; otherwise its history stays. */
  readonly compacts: boolean;
  /** The keyspace's sequencer begins above it. */
  readonly revisionMax: number;
}

/** Throws KvError where the backup is not one of a cluster. */
export function planRestore(wish: RestoreWish): RestorePlan {
  const { listing, raiseBy } = wish;
  const backup = decodeClusterBackup(listing.cluster);
  if (backup === undefined) {
    throw notApplied("invalidArgument", "this is a backup of one store, not of a cluster");
  }
  const clusterId = clusterIdOf(wish);
  const nodes = wish.nodes.map((node) => ({ ...node, nodeId: nodeIdOf(clusterId, node.name) }));
  const raised = raisedRevisions(backup.map, listing.edit, raiseBy);
  const reserved = new Map<number, number>();
  for (const { keyspaceId, revision } of backup.floors) {
    const raisedTo = raised.get(keyspaceId) ?? FIRST_REVISION;
    // Each revision after the floor has made so many keys another, which go back one by one.
    const undone = Math.max(0, raisedTo - raiseBy - revision) * TRANSACTION_OPERATIONS_MAX;
    reserved.set(keyspaceId, raisedTo + undone);
  }
  const records = restoredRecords({ clusterId, nodes, map: backup.map, reserved });
  const steps = inSteps(records);
  const map = must(decodeState(records, FIRST_REVISION + steps.length).map, "map");
  const shards = new Map(map.shards.map((shard) => [shard.shardId, shard]));
  const undo = new Map<number, UndoPlan>();
  const edit = listing.edit.map((operation) => {
    if (operation.kind !== "createTree") return operation;
    const { shardId, flushed } = operation;
    const shard = must(shards.get(shardId), "shard of a tree");
    const { keyspaceId } = shard;
    const floor = backup.floors.find((each) => each.keyspaceId === keyspaceId)?.revision;
    const raisedTo = must(raised.get(keyspaceId), "revision of a keyspace");
    const begun = beginningOf(flushed, shard, raiseBy === 0 ? 0 : raisedTo);
    if (floor === undefined || flushed.revision <= floor) return { ...operation, flushed: begun };
    const revisionMax = must(reserved.get(keyspaceId));
    undo.set(shardId, { floorRevision: floor, compacts: raiseBy > 0, revisionMax });
    // As long as something is to be taken back, what it was before must stay.
    const { compactedRevision } = flushed;
    // Above all that any shard of the keyspace has.
    const own = { revision: raisedTo, closedRevision: raisedTo, compactedRevision };
    return { ...operation, flushed: { ...begun, ...own } };
  });
  return { clusterId, map, steps, edit, undo };
}

/** What of the plan makes the store of one node. */
export function editOn({ edit, map }: RestorePlan, nodeId: number): VersionEdit {
  const held = map.shards.filter((shard) => replicaOn(shard, nodeId) !== undefined);
  return editOfTrees(edit, new Set(held.map(({ shardId }) => shardId)));
}

/** Two restores that could come to different replicas of a shard never get the same. */
function clusterIdOf({ listing, nodes, raiseBy }: RestoreWish): string {
  const { number, madeAtMs, storeId, edit } = listing;
  const hash = new Sha256();
  hash.update(utf8(JSON.stringify({ number, madeAtMs, storeId, nodes, raiseBy })));
  for (const operation of edit) {
    if (operation.kind === "addFile") hash.update(utf8(JSON.stringify(operation.file)));
    if (operation.kind === "createTree") {
      const { shardId, flushed } = operation;
      hash.update(utf8(JSON.stringify([shardId, flushed.index, flushed.term, flushed.revision])));
    }
  }
  return hex(hash.digest()).slice(0, CLUSTER_ID_DIGITS);
}

/** By keyspace the revision with which all its shards go on. */
function raisedRevisions(
  map: ClusterMap,
  edit: VersionEdit,
  raiseBy: number,
): ReadonlyMap<number, number> {
  const keyspaceOf = new Map(map.shards.map((shard) => [shard.shardId, shard.keyspaceId]));
  const raised = new Map<number, number>();
  for (const operation of edit) {
    if (operation.kind !== "createTree") continue;
    const keyspaceId = must(keyspaceOf.get(operation.shardId), "keyspace of a tree");
    const { revision, closedRevision } = operation.flushed;
    const newest = Math.max(revision, closedRevision) + raiseBy;
    raised.set(keyspaceId, Math.max(raised.get(keyspaceId) ?? 0, newest));
  }
  return raised;
}

/** `raisedTo` 0: as it was, but for the replicas. */
function beginningOf(
  flushed: FlushedState,
  shard: ShardDescriptor,
  raisedTo: number,
): FlushedState {
  const voters = idsOf(shard.replicas, "voter");
  const configuration = encodeConfiguration({
    voters,
    outgoing: [],
    learners: [],
    learnersNext: [],
  });
  if (raisedTo === 0) return { ...flushed, configuration };
  return {
    ...flushed,
    configuration,
    revision: raisedTo,
    closedRevision: raisedTo,
    compactedRevision: raisedTo,
  };
}

function inSteps(records: readonly PlacementRecord[]): (readonly PlacementRecord[])[] {
  const steps: (readonly PlacementRecord[])[] = [];
  for (let at = 0; at < records.length; at += RECORDS_MAX) {
    steps.push(records.slice(at, at + RECORDS_MAX));
  }
  return steps;
}
