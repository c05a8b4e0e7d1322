/** What the services of a node need of it; node-core has it. */
import type { Env } from "../env/env.js";
import type { NodeDescriptor } from "../protocol/cluster.js";
import type { KvError } from "../protocol/errors.js";
import type { BackupSource } from "./backup-source.js";
import type { ReplicaHost } from "../shard/replica-host.js";
import type { Store } from "../store/store.js";
import type { ClusterView } from "./cluster-view.js";
import type { Identity } from "./identity.js";
import type { LeaderTransfers } from "./leader-transfers.js";
import type { Peers } from "./peers.js";
import type { PlacementService } from "./placement-service.js";
import type { RevisionClient } from "./revision-client.js";
import type { DiskRoom } from "./room-guard.js";
import type { Sequencer } from "./sequencer.js";

export interface NodeParts {
  readonly env: Env;
  readonly identity: Identity;
  readonly nodeId: number;
  readonly startedMs: number;
  readonly store: Store;
  readonly view: ClusterView;
  readonly peers: Peers;
  readonly host: ReplicaHost;
  readonly sequencer: Sequencer;
  readonly revisions: RevisionClient;
  readonly transfers: LeaderTransfers;
  readonly backups: BackupSource;
  /** `soon`: something changed that others should hear of, or this node of others. */
  readonly heartbeats: { soon(): void };
  /** Where this node holds a replica of the placement group. */
  readonly placement: PlacementService | undefined;
  /** This node's own, once it listens. */
  readonly descriptor: NodeDescriptor | undefined;
  /** The node that leads the placement group, 0 where unknown. */
  placementLeader(): number;
  /** A map has come that may be newer. */
  mapHeard(map: ClusterView["map"]): void;
  /** The cluster does not know this node, or not any more: it must stop. */
  refusedBy(nodeId: number, error: KvError): void;
  /** On the disk of the data directory, as of late. */
  readonly room: DiskRoom;
  /** Why nothing can be written here now. */
  writeRefusal(): KvError | undefined;
  /** What the default keyspace may take; -1: as much as there is. */
  readonly quotaBytes: number;
  /** Its disk finishes nothing any more: it should lead nothing. */
  readonly isStalled: boolean;
}
