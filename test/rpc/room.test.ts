/** Who waits for room in a connection hears of it, whichever way the bytes go. */
import { describe, expect, test } from "vitest";
import { localPair } from "../../src/env/local-path.js";
import type { Socket } from "../../src/env/network.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { FrameConnection } from "../../src/rpc/frame-connection.js";
import type { FrameHandler } from "../../src/rpc/frame-connection.js";
import { MemoryNetwork } from "../support/memory-socket.js";
import { turnsUntil } from "../support/test-env.js";

const ROOM_BYTES = 1024 * 1024;
const BODY = new Uint8Array(100_000);
const FRAMES = 200;

/** Writes while there is room, and goes on when it hears that there is some. */
class Writer implements FrameHandler {
  written = 0;
  refusals = 0;
  readonly #connection: FrameConnection;

  constructor(connection: FrameConnection) {
    this.#connection = connection;
    connection.handle(this);
  }

  frame(): void {}
  closed(): void {}

  drain(): void {
    // From within a flush nothing may be written that would have to leave with it.
    nodeTimers.endOfTurn(() => this.write());
  }

  write(): void {
    const connection = this.#connection;
    while (this.written < FRAMES) {
      if (!connection.hasRoom(ROOM_BYTES)) return void this.refusals++;
      connection.begin(20, 0, 1).raw(BODY);
      connection.end();
      this.written++;
    }
  }
}

class Counter implements FrameHandler {
  frames = 0;

  frame(): void {
    this.frames++;
  }
  drain(): void {}
  closed(): void {}
}

async function tcpPair(): Promise<readonly [FrameConnection, FrameConnection]> {
  let far: FrameConnection | undefined;
  const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => (far = framed(socket)));
  const near = framed(await nodeNetwork.connect(listener.address, 1000));
  await turnsUntil(() => far !== undefined, 1_000_000);
  await listener.close();
  return [near, far!];
}

function framed(socket: Socket): FrameConnection {
  return new FrameConnection(socket, nodeTimers);
}

const ROADS = {
  "a socket that takes everything at once": () =>
    new MemoryNetwork().pair("b:1", "a:1").map(framed),
  "two ends in memory": () => localPair().map(framed),
  TCP: tcpPair,
};

describe("a writer who waits for room goes on", () => {
  for (const [name, road] of Object.entries(ROADS)) {
    test(`over ${name}`, async () => {
      const [near, far] = (await road()) as [FrameConnection, FrameConnection];
      const counter = new Counter();
      far.handle(counter);
      const writer = new Writer(near);
      writer.write();
      await turnsUntil(() => counter.frames === FRAMES, 1_000_000);
      expect(writer.refusals).toBeGreaterThan(1);
      near.destroy();
    });
  }
});
