/**
 * Makes the data directory of one node from a backup of a cluster. The cluster that begins with it
 * is a new one, with an id made from the backup and from all that a restore is told: so nodes that
 * were restored from different backups, and those of the old cluster, refuse each other.
 *
 * All replicas of a shard begin with the same tables and the same flushed state. Revisions are
 * raised, and what lies below is compacted: writes of the old cluster that are not in the backup
 * had revisions, too, and whoever saw them must hear that they are gone, instead of being shown
 * others under their numbers.
 *
 *   mark → tables, checked as they are copied → store → what came after the revision of a keyspace
 *   with many shards is taken back → placement group → map → identity → no mark
 */
import { assert, must } from "../base/assert.js";
import { ByteWriter } from "../base/coding.js";
import { ENTRY_HEADER_SIZE_BYTES } from "../base/entry-run.js";
import type { Env } from "../env/env.js";
import type { TableFile } from "../lsm/slice.js";
import { MvccMachine } from "../mvcc/mvcc-machine.js";
import type { PlacementRecord } from "../placement/records.js";
import { PLACEMENT_SHARD_ID, SYSTEM_KEYSPACE_ID } from "../protocol/cluster.js";
import type { KeyspaceDescriptor } from "../protocol/cluster.js";
import { putOf } from "../protocol/operations.js";
import { makeTrees, replicaOn } from "../shard/open-replica.js";
import { storeOf } from "../store/backup.js";
import { requireEmpty } from "../store/checkpoint-directory.js";
import { Store } from "../store/store.js";
import { ClusterView } from "./cluster-view.js";
import { nodeIdOf, saveIdentity } from "./identity.js";
import { systemKey } from "./placement-data.js";
import { SYSTEM_PREFIX_BYTES } from "./replica-opener.js";
import { clearRestore, endRestore, isRestoreUnfinished, noteRestore } from "./restore-mark.js";
import { editOn, planRestore } from "./restore-plan.js";
import type { RestorePlan, RestoreWish, UndoPlan } from "./restore-plan.js";
import { Undo } from "./restore-undo.js";

const TERM = 1;
/** Nothing goes into it. */
const LOG = { segmentSizeBytes: 1024 * 1024, batchSizeBytesMax: 64 * 1024 };

export interface RestoreRequest extends RestoreWish {
  /** The directory of the backups. */
  readonly backups: string;
  readonly dataDirectory: string;
  /** This node's, among `nodes`. */
  readonly name: string;
  /** A table is there. */
  readonly copied?: ((file: TableFile) => void) | undefined;
}

export interface RestoredNode {
  readonly clusterId: string;
  readonly shards: number;
}

/**
 * Throws DiskError "exists" where the directory holds anything but an unfinished restore, and
 * CorruptionError where the backup is not what was written.
 */
export async function restoreNode(env: Env, request: RestoreRequest): Promise<RestoredNode> {
  const { disk } = env;
  const { backups, dataDirectory, name, copied } = request;
  const isRepeated = isRestoreUnfinished(disk, dataDirectory);
  if (!isRepeated) requireEmpty(disk, dataDirectory);
  const plan = planRestore(request);
  const { clusterId, map } = plan;
  const nodeId = nodeIdOf(clusterId, name);
  assert(
    map.nodes.some((node) => node.nodeId === nodeId),
    "the node is none of the cluster",
  );
  disk.makeDirectory(dataDirectory);
  if (isRepeated) clearRestore(disk, dataDirectory);
  else noteRestore(disk, dataDirectory);
  const store = `${dataDirectory}/store`;
  await storeOf(env, store, { directory: backups, edit: editOn(plan, nodeId), copied });
  await completeStore(env, store, plan, nodeId);
  const view = new ClusterView(disk, dataDirectory, clusterId);
  view.update(map);
  const fault = view.save();
  if (fault !== undefined) throw fault;
  saveIdentity(disk, dataDirectory, { clusterId, nodeId, name, joined: true });
  endRestore(disk, dataDirectory);
  const held = map.shards.filter((shard) => replicaOn(shard, nodeId) !== undefined);
  return { clusterId, shards: held.length };
}

/** Adds the trees of shards that came after the backup, empty, and the placement group's. */
async function completeStore(
  env: Env,
  directory: string,
  { map, steps, undo }: RestorePlan,
  nodeId: number,
): Promise<void> {
  let failure: Error | undefined;
  const onFailure = (error: Error): void => {
    failure = error;
  };
  // A merge would drop what is to be brought back.
  const compaction = { enabled: false };
  const options = { scrubBytesPerSecond: 0, logOptions: LOG, compaction, onFailure };
  const { store } = await Store.open(env, directory, options);
  try {
    const held = map.shards.filter((shard) => replicaOn(shard, nodeId) !== undefined);
    makeTrees(store, nodeId, held);
    for (const { shardId, keyspaceId } of held) {
      const plan = undo.get(shardId);
      const keyspace = map.keyspaces.find((each) => each.keyspaceId === keyspaceId);
      if (plan !== undefined) await undoIn(store, shardId, must(keyspace, "keyspace"), plan);
    }
    const isPlacement = held.some(({ shardId }) => shardId === PLACEMENT_SHARD_ID);
    if (isPlacement) await writePlacement(store, steps, map.version);
  } finally {
    await store.close();
  }
  if (failure !== undefined) throw failure;
}

async function undoIn(
  store: Store,
  shardId: number,
  keyspace: KeyspaceDescriptor,
  { floorRevision, compacts, revisionMax }: UndoPlan,
): Promise<void> {
  const tree = must(store.tree(shardId), "tree");
  const state = await new Undo(store, tree, keyspace).run(floorRevision);
  const { revision, compactedRevision } = state;
  assert(revision <= revisionMax, "the sequencer begins above it");
  const horizon = compacts ? revision : compactedRevision;
  await store.flushNow(tree, { ...state, closedRevision: revision, compactedRevision: horizon });
}

/** As if the placement group had run these transactions, one entry each, in its first term. */
async function writePlacement(
  store: Store,
  steps: readonly (readonly PlacementRecord[])[],
  version: number,
): Promise<void> {
  const tree = must(store.tree(PLACEMENT_SHARD_ID), "placement tree");
  const machine = new MvccMachine(tree, {
    keyspaceId: SYSTEM_KEYSPACE_ID,
    keyPrefixLength: SYSTEM_PREFIX_BYTES,
    initial: tree.flushed,
  });
  const epoch = { configuration: 1, range: 1 };
  for (const [at, records] of steps.entries()) {
    const success = records.map(({ key, value }) => putOf(systemKey(key), value));
    const revision = machine.revision + 1;
    const context = { term: TERM, epoch, revision, closedRevision: 0, clockMs: 0 };
    const out = new ByteWriter(4096);
    const transaction = { compares: [], success, failure: [] };
    const { outcome } = machine.evaluateTransaction(transaction, context, out);
    assert(outcome === "effects", "records are written");
    const length = out.length - ENTRY_HEADER_SIZE_BYTES;
    machine.apply(at + 1, TERM, out.copy(), ENTRY_HEADER_SIZE_BYTES, length);
  }
  assert(machine.revision === version, "the map is that of the records");
  const { configuration } = tree.flushed;
  await store.flushNow(tree, machine.flushedState(steps.length, TERM, configuration));
}
