/** For each test a backend that answers as it is told, its gateway on loopback, and a client. */
import { afterEach, beforeEach } from "vitest";
import type { GrpcClient } from "../../scripts/bench/grpc-client.js";
import type { GatewayOptions } from "../../src/gateway/gateway.js";
import { GatewayServer } from "../support/gateway-server.js";
import { FakeBackend } from "./fake-backend.js";

export let backend: FakeBackend;
export let server: GatewayServer;
export let client: GrpcClient;

/** Also for a test that wants other options than those before it. */
export async function serve(options: Partial<GatewayOptions> = {}): Promise<void> {
  backend = new FakeBackend();
  server = await GatewayServer.start(backend, options);
  client = server.client();
}

/** To be called where the tests of a file begin. */
export function serveEach(options: Partial<GatewayOptions> = {}): void {
  beforeEach(() => serve(options));
  afterEach(() => server.close());
}
