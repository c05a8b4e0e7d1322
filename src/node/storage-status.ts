/** What a node says of its store: gathered when somebody asks, from those who know it. */
import type { ReplicaStatus } from "../protocol/admin-messages.js";
import type { LogKept, StorageStatus, WriteObstacle } from "../protocol/storage-status.js";
import type { LogStats } from "../log/log-types.js";
import type { StoreStats } from "../store/store-stats.js";
import type { NodeParts } from "./node-parts.js";

export interface StorageReadings {
  readonly log: LogStats;
  readonly store: StoreStats;
  readonly replicas: readonly ReplicaStatus[];
}

export function storageOf(node: NodeParts, readings: StorageReadings): StorageStatus {
  const { log, store } = readings;
  return {
    obstacles: obstaclesOf(node),
    memtableBytes: store.memtableBytes,
    memtableBytesMax: store.memtablesBytesMax,
    logCachedBytes: logCachedBytes(node),
    runsMax: store.runsMax,
    treesBehind: store.treesBehind,
    flushes: store.flushes,
    merges: store.compactions,
    flushBytesWritten: store.flushBytesWritten,
    mergeBytesWritten: store.mergeBytesWritten,
    logBytesWritten: log.writtenBytes,
    blocksRead: store.blocksRead,
    blockCacheBytes: store.blockCacheBytes,
    jobsRunning: store.jobs?.running,
    jobsWaiting: store.jobs?.waiting,
    diskFreeBytes: node.room.freeBytes,
    diskReservedBytes: node.room.reservedBytes,
    tableBytes: store.sizeBytes,
    tableUsedBytes: tableUsedBytes(node, readings.replicas),
    tablePinnedBytes: store.pinnedBytes,
    tables: store.tableCount,
    logBytes: log.sizeBytes,
    logSegments: log.segments,
    logKept: logKeptOf(node, log),
    manifestBytes: store.manifestBytes,
    filesToDelete: store.removalCount,
  };
}

function obstaclesOf(node: NodeParts): Readonly<Record<WriteObstacle, boolean>> {
  const { store, view } = node;
  const led = [...node.host.replicas].filter(({ leads }) => leads);
  return {
    diskFull: node.writeRefusal()?.code === "noSpace",
    diskStalls: node.isStalled,
    memory: store.isMemoryFull,
    log: store.log.isBehind,
    merges: led.some(({ tree }) => store.lags(tree)),
    inFlight: led.some(({ writes }) => writes.isCrowded),
    alarm: view.isRaised("noSpace") || view.isRaised("corrupt"),
  };
}

function logCachedBytes({ host }: NodeParts): number {
  let bytes = 0;
  for (const { raft } of host.replicas) bytes += raft.cachedBytes;
  return bytes;
}

/** What replicas use, without what of it is in memory. */
function tableUsedBytes({ host }: NodeParts, replicas: readonly ReplicaStatus[]): number {
  let bytes = 0;
  for (const { usedBytes = 0 } of replicas) bytes += usedBytes;
  for (const { tree } of host.replicas) bytes -= tree.memtableBytes();
  return Math.max(0, bytes);
}

function logKeptOf({ host }: NodeParts, { pinnedBy }: LogStats): LogKept | undefined {
  if (pinnedBy === undefined) return undefined;
  const { shardId, index } = pinnedBy;
  return { shardId, reason: host.replica(shardId)?.logKeeperOf(index) ?? "closed" };
}
