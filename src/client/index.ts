/** The package's door: connect, the client, and the types of what goes in and comes out. */
import { nodeClock } from "../env/node/node-clock.js";
import { nodeNetwork } from "../env/node/node-network.js";
import { nodeRandom } from "../env/node/node-random.js";
import { nodeTimers } from "../env/node/node-timers.js";
import { connectBy } from "./client.js";
import type { Client } from "./client.js";
import type { ConnectOptions } from "./client-types.js";

/** Connects to a cluster by some of its nodes. Rejects where none of them answers in time. */
export function connect(options: ConnectOptions): Promise<Client> {
  return connectBy(
    { clock: nodeClock, timers: nodeTimers, network: nodeNetwork, random: nodeRandom },
    options,
  );
}

export { Admin } from "./admin.js";
export { Client } from "./client.js";
export type {
  BytesLike,
  CompactOptions,
  ConnectOptions,
  DeleteOptions,
  DeleteResponse,
  GetOptions,
  GetResponse,
  Headed,
  KeyspaceOptions,
  LeaseGrantResponse,
  LeaseKeepAliveResponse,
  LeaseListResponse,
  Leases,
  LeaseTimeToLiveResponse,
  PutOptions,
  PutResponse,
  RangeOptions,
  RangeResponse,
  ReadOptions,
  ScanOptions,
  Span,
  SpanEnd,
  TransactionResponse,
  WatchItem,
  WatchOptions,
} from "./client-types.js";
export { campaign, leaderOf, proclaim, resign } from "./election.js";
export type { CampaignOptions, Elected, Leadership } from "./election.js";
export { LeaderWatch } from "./leader-watch.js";
export type { LeaderSeen } from "./leader-watch.js";
export { KeptLease } from "./kept-lease.js";
export { acquireLock } from "./lock.js";
export type { HeldLock, LockOptions } from "./lock.js";
export { leaveLine, untilLost } from "./waiting-line.js";
export type { Place, RecipeClient, RecipeWatch } from "./waiting-line.js";
export { Watch } from "./watch.js";
export { KvError } from "../protocol/errors.js";
export type { ErrorCode, ErrorDetails, Outcome } from "../protocol/errors.js";
export type { KeyValue, ReadLevel, ResponseHeader, WatchEvent } from "../protocol/key-value.js";
export type {
  Compare,
  CompareResult,
  CompareTarget,
  DeleteOperation,
  NestedOperation,
  Operation,
  OperationResult,
  PutOperation,
  RangeOperation,
  Transaction,
  TransactionResult,
} from "../protocol/operations.js";
export type {
  ClusterMap,
  KeyspaceDescriptor,
  LeaderHint,
  NodeDescriptor,
  ShardDescriptor,
} from "../protocol/cluster.js";
export type { HealthResponse, MapResponse, StatusResponse } from "../protocol/admin-messages.js";
export { OPEN_END } from "../route/stored-key.js";
