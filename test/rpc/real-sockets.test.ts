/** The same frames over TCP: what the in-memory network cannot show. */
import { afterEach, describe, expect, test } from "vitest";
import type { Listener } from "../../src/env/network.js";
import { nodeClock } from "../../src/env/node/node-clock.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { clientHello } from "../../src/protocol/hello-codec.js";
import { FRAME_FLAGS } from "../../src/protocol/message-types.js";
import { DeadlineWheel } from "../../src/rpc/deadline-wheel.js";
import type { FrameConnection } from "../../src/rpc/frame-connection.js";
import { dialFrames, listenFrames } from "../../src/rpc/handshake.js";
import { RequestClient } from "../../src/rpc/request-client.js";
import { turnsUntil } from "../support/test-env.js";

const ENV = { network: nodeNetwork, timers: nodeTimers };
const ECHO = 100;

let listener: Listener | undefined;
const accepted: FrameConnection[] = [];

afterEach(async () => {
  for (const connection of accepted.splice(0)) connection.destroy();
  await listener?.close();
});

async function connected(onClosed: () => void): Promise<RequestClient> {
  listener = await listenFrames(ENV, "127.0.0.1:0", {
    hello: () => ({ ...clientHello("c"), nodeId: 1 }),
    handshakeTimeoutMs: 1000,
    refused: () => undefined,
    established: (connection) => {
      accepted.push(connection);
      return {
        frame: (type, _flags, requestId, bytes, offset, end) => {
          const out = connection.begin(type, FRAME_FLAGS.response, requestId);
          out.slice(bytes, offset, end - offset);
          connection.end();
        },
        drain: () => undefined,
        closed: () => undefined,
      };
    },
  });
  const wheel = new DeadlineWheel(nodeClock, nodeTimers);
  return new Promise((resolve, reject) => {
    dialFrames(ENV, listener!.address, {
      hello: clientHello(""),
      timeoutMs: 1000,
      established: (connection) => {
        const client = new RequestClient(connection, wheel, onClosed);
        resolve(client);
        return client;
      },
    }).catch(reject);
  });
}

function echo(client: RequestClient, size: number, seed: number): Promise<boolean> {
  const body = new Uint8Array(size);
  for (let i = 0; i < size; i++) body[i] = i * seed;
  return client.request(
    ECHO,
    (out) => out.raw(body),
    (reader) => {
      const back = reader.rawView(reader.remaining);
      return back.length === size && back.every((byte, i) => byte === body[i]);
    },
    10_000,
  );
}

describe("over TCP", () => {
  test("frames of all sizes come back whole, many in flight", async () => {
    const client = await connected(() => undefined);
    const sizes = [0, 1, 100, 65_526, 65_536, 300_000, 2_000_000];
    const all = Array.from({ length: 140 }, (_, i) => echo(client, sizes[i % 7]!, i + 1));
    expect((await Promise.all(all)).every(Boolean)).toBe(true);
    expect(client.connection.bufferedBytes).toBe(0);
    client.connection.destroy();
  });

  test("an end that goes away is noticed by the other", async () => {
    let gone = false;
    const client = await connected(() => (gone = true));
    await echo(client, 1, 1);
    accepted[0]!.destroy();
    await turnsUntil(() => gone, 1_000_000);
    expect(client.open).toBe(false);
  });
});
