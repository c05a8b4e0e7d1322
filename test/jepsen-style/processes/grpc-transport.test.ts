/** What is known of a call by gRPC whose connection fails. */
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { expect, test } from "vitest";
import { grpcTransport } from "../../../jepsen-style/processes/grpc-transport.js";
import { KvError } from "../../../src/protocol/errors.js";

async function listening(server: Server): Promise<string> {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function outcomeAt(endpoint: string): Promise<string | undefined> {
  const transport = grpcTransport(5000);
  const put = transport.ask(endpoint, "Put", { key: "YQ==", value: "YQ==" });
  const error = await put.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  transport.close();
  return error instanceof KvError ? error.outcome : undefined;
}

test("nothing was sent where the connection was refused", async () => {
  const server = createServer();
  const endpoint = await listening(server);
  await new Promise((done) => server.close(done));
  expect(await outcomeAt(endpoint)).toBe("notApplied");
});

test("nothing is known where the connection broke", async () => {
  const server = createServer((socket) => socket.once("data", () => socket.destroy()));
  const endpoint = await listening(server);
  expect(await outcomeAt(endpoint)).toBe("unknown");
  await new Promise((done) => server.close(done));
});
