/**
 * A node: opens its store, its replicas and its two listeners, and wires them. What happens in
 * which order at a start:
 *
 *   identity → store (lock, run raised) → a new member asks who it is → placement replica, where
 *   this node is a founder → replicas of the map as last known → listeners → signs of life to the
 *   placement leader
 */
import { ENTRY_SIZE_BYTES_MAX } from "../base/limits.js";
import type { Env } from "../env/env.js";
import type { Listener } from "../env/network.js";
import type { NodeDescriptor } from "../protocol/cluster.js";
import { notApplied } from "../protocol/errors.js";
import { listenFrames } from "../rpc/handshake.js";
import { Store } from "../store/store.js";
import type { OpenedStore } from "../store/store.js";
import type { StoreOptions } from "../store/store-options.js";
import { checkConfig } from "./config.js";
import type { NodeConfig } from "./config.js";
import { joinCluster } from "./join.js";
import { establishIdentity, foundersOf, nodeIdOf } from "./identity.js";
import type { Identity } from "./identity.js";
import { NodeCore } from "./node-core.js";
import { requireRestored } from "./restore-mark.js";

const MEBIBYTE = 1024 * 1024;
const HANDSHAKE_TIMEOUT_MS = 3000;
/** How long an orderly stop waits for leaderships to be taken over. */
const ORDERLY_CLOSE_MS = 3000;

export interface RunningNode {
  readonly nodeId: number;
  /** For those who look inside: tests and the simulator. */
  readonly core: NodeCore;
  readonly clientAddress: string;
  readonly peerAddress: string;
  /** Resolves when the node had to stop itself. */
  readonly failed: Promise<Error>;
  status(): object;
  /** Orderly: hands leaderships over first, so that no request fails. */
  close(): Promise<void>;
  /** At once, as a crash would; for tests. */
  crash(): Promise<void>;
}

/**
 * Starts a node; rejects with KvError where it cannot. `options` go over what follows from the
 * configuration: the simulator fills segments and memtables that are small enough to turn over.
 */
export async function startNode(
  env: Env,
  config: NodeConfig,
  options: StoreOptions = {},
): Promise<RunningNode> {
  checkConfig(config);
  requireRestored(env.disk, config.dataDirectory);
  const known = establishIdentity(env.disk, config);
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const opened = await openStore(env, config, {
    ...options,
    onFailure: (error) => fail(error),
  });
  const { store } = opened;
  const identity = known ?? (await join(env, config, store, failed));
  const core = new NodeCore(env, config, { identity, store, refused: (error) => fail(error) });
  let listeners: Listener[] = [];
  const stopListening = async (): Promise<void> => {
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  // Who still came in would get an answer from a map that grows old.
  void failed.then(() => {
    core.close();
    return stopListening();
  });
  try {
    listeners = await listen(env, config, core);
  } catch (error) {
    core.close();
    await store.close();
    throw error;
  }
  const [client, peer] = listeners as [Listener, Listener];
  core.start(descriptorOf(config, identity, store, { client, peer }), opened);
  // A joined node knows them from its map, unless that is lost.
  if (identity.joined !== true || core.view.map.nodes.length === 0) knowFounders(config, core);
  const stop = async (): Promise<void> => {
    await stopListening();
    core.close();
    await store.close();
    await env.jobs.close();
  };
  return {
    nodeId: identity.nodeId,
    core,
    clientAddress: client.address,
    peerAddress: peer.address,
    failed,
    status: () => core.status(),
    close: async () => {
      await core.handOver(ORDERLY_CLOSE_MS);
      await stop();
    },
    crash: stop,
  };
}

async function openStore(
  env: Env,
  config: NodeConfig,
  options: StoreOptions,
): Promise<OpenedStore> {
  return Store.open(env, `${config.dataDirectory}/store`, {
    memtablesBytesMax: config.memtablesBytesMax,
    blockCacheBytes: config.blockCacheBytes,
    scrubBytesPerSecond: config.scrubBytesPerSecond,
    ...options,
    logOptions: {
      segmentSizeBytes: config.segmentSizeBytes,
      batchSizeBytesMax: ENTRY_SIZE_BYTES_MAX + MEBIBYTE,
      ...options.logOptions,
    },
  });
}

/** Who waits to be let in ends at once where its store fails, and is not let in afterwards. */
async function join(
  env: Env,
  config: NodeConfig,
  store: Store,
  failed: Promise<Error>,
): Promise<Identity> {
  let isOver = false;
  const given = failed.then((error) => {
    throw error;
  });
  try {
    return await Promise.race([joinCluster(env, config, store.storeId, () => isOver), given]);
  } catch (error) {
    isOver = true;
    await store.close();
    await env.jobs.close();
    throw error;
  }
}

async function listen(env: Env, config: NodeConfig, core: NodeCore): Promise<Listener[]> {
  const refused = (remoteAddress: string, error: Error): void => {
    env.tracer.trace("debug", "connection refused", { remoteAddress, reason: error.message });
  };
  const shared = { handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS, refused };
  const open: Listener[] = [];
  try {
    open.push(
      await listenFrames(env, config.listenClient, {
        ...shared,
        hello: () => core.hello("client"),
        established: (connection, hello) => core.acceptClient(connection, hello),
      }),
    );
    open.push(
      await listenFrames(env, config.listenPeer, {
        ...shared,
        hello: () => core.hello("control"),
        refuse: (hello) => core.refuseNode(hello),
        established: (connection, hello) => core.acceptPeer(connection, hello),
      }),
    );
    return open;
  } catch (error) {
    await Promise.all(open.map((listener) => listener.close()));
    const reason = error instanceof Error ? error.message : String(error);
    throw notApplied("invalidArgument", `cannot listen: ${reason}`);
  }
}

function descriptorOf(
  config: NodeConfig,
  identity: Identity,
  store: Store,
  at: { readonly client: Listener; readonly peer: Listener },
): NodeDescriptor {
  return {
    nodeId: identity.nodeId,
    name: identity.name,
    clientAddress: config.advertiseClient || at.client.address,
    peerAddress: config.advertisePeer || at.peer.address,
    incarnation: store.storeId,
    labels: config.labels,
  };
}

function knowFounders(config: NodeConfig, core: NodeCore): void {
  for (const founder of foundersOf(config)) {
    const nodeId = nodeIdOf(config.clusterToken, founder.name);
    if (core.view.map.removedNodes?.includes(nodeId) === true) continue;
    core.peers.know(nodeId, founder.peerAddress);
  }
}
