/** A gateway over any backend, listening on loopback as a node would. */
import { freeAddress } from "./ports.js";
import { GrpcClient } from "../../scripts/bench/grpc-client.js";
import { networkWithHttp } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import type { Listener } from "../../src/env/network.js";
import type { Backend } from "../../src/gateway/backend.js";
import { Gateway } from "../../src/gateway/gateway.js";
import type { GatewayOptions } from "../../src/gateway/gateway.js";

export class GatewayServer {
  readonly address: string;
  readonly gateway: Gateway;
  readonly #listener: Listener;
  readonly #clients: GrpcClient[] = [];

  static async start(
    backend: Backend,
    options: Partial<GatewayOptions> = {},
  ): Promise<GatewayServer> {
    const gateway = new Gateway(backend, nodeTimers, {
      requestSizeBytesMax: 1536 * 1024,
      ...options,
    });
    const address = await freeAddress();
    const network = networkWithHttp(address, {
      http1: (connection) => gateway.acceptHttp1(connection),
      http2: (socket) => gateway.acceptHttp2(socket),
    });
    const listener = await network.listen(address, (socket) => socket.destroy());
    return new GatewayServer(gateway, address, listener);
  }

  private constructor(gateway: Gateway, address: string, listener: Listener) {
    this.gateway = gateway;
    this.address = address;
    this.#listener = listener;
  }

  client(): GrpcClient {
    const client = new GrpcClient(this.address);
    this.#clients.push(client);
    return client;
  }

  /** By HTTP/1.1: a POST where there is a body. */
  async fetch(path: string, body?: string): Promise<{ status: number; text: string }> {
    const method = body === undefined ? "GET" : "POST";
    const url = `http://${this.address}${path}`;
    const response = await fetch(url, { method, body: body ?? null });
    return { status: response.status, text: await response.text() };
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await this.gateway.close();
    await this.#listener.close();
  }
}
