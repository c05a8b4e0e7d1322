/**
 * etcd's API at a node's client address: who opens a connection there with HTTP is given to the
 * gateway, whose backend is the SDK. Until the node runs such connections are closed.
 */
import type { Env } from "../env/env.js";
import type { Socket, SocketHandlers } from "../env/network.js";
import { Gateway } from "../gateway/gateway.js";
import type { NodeConfig } from "../node/config.js";
import type { RunningNode } from "../node/node.js";
import { SdkBackend } from "./etcd-backend.js";
import type { StartedNode } from "./node-context.js";
import { clusterNumber } from "./printer.js";

/** What is known of a connection here. */
export interface HttpConnection {
  destroy(): void;
}

const DEAF: SocketHandlers = { data: () => {}, drain: () => {}, close: () => {} };

export class EtcdGateway {
  #gateway: Gateway | undefined;

  http1(connection: HttpConnection): void {
    if (this.#gateway === undefined) connection.destroy();
    else this.#gateway.acceptHttp1(connection);
  }

  http2(socket: Socket): void {
    if (this.#gateway !== undefined) return this.#gateway.acceptHttp2(socket);
    socket.handle(DEAF);
    socket.destroy();
  }

  /** The node with its gateway; closing it closes both. */
  serve(env: Env, node: RunningNode, config: NodeConfig): StartedNode {
    const { requestSizeBytesMax } = config;
    const backend = new SdkBackend(env, {
      address: reachable(node.clientAddress),
      nodeId: node.nodeId,
      clusterId: clusterNumber(node.core.identity.clusterId),
      requestSizeBytesMax,
      isLearner: () => node.core.view.node(node.nodeId)?.learner === true,
    });
    const gateway = new Gateway(backend, env.timers, { requestSizeBytesMax });
    this.#gateway = gateway;
    return {
      clientAddress: node.clientAddress,
      failed: node.failed,
      close: async () => {
        this.#gateway = undefined;
        await gateway.close();
        await backend.close();
        await node.close();
      },
    };
  }
}

/** An address that stands for every interface is reached by loopback. */
export function reachable(address: string): string {
  return address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
}
