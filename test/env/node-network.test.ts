/** TCP on the loopback interface. */
import { describe, expect, test } from "vitest";
import type { Socket } from "../../src/env/network.js";
import { formatAddress, nodeNetwork, parseAddress } from "../../src/env/node/node-network.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { eventually } from "../support/eventually.js";

interface Side {
  readonly socket: Socket;
  readonly received: () => number;
  readonly closed: Promise<Error | undefined>;
}

function watch(socket: Socket, onData: (chunk: Uint8Array) => void = () => undefined): Side {
  let received = 0;
  const closed = new Promise<Error | undefined>((resolve) => {
    socket.handle({
      data: (chunk) => {
        received += chunk.length;
        onData(chunk);
      },
      drain: () => undefined,
      close: resolve,
    });
  });
  return { socket, received: () => received, closed };
}

describe("connections", () => {
  test("carry bytes both ways and close once, after what was queued", async () => {
    const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => {
      const side = watch(socket, (chunk) => side.socket.write(chunk));
    });
    const client = watch(await nodeNetwork.connect(listener.address, 1000), () => {
      if (client.received() === 300_000) client.socket.end();
    });
    for (let i = 0; i < 3; i++) client.socket.write(new Uint8Array(100_000).fill(i));
    expect(await client.closed).toBeUndefined();
    expect(client.received()).toBe(300_000);
    await listener.close();
  });

  test("bring plain bytes, whose slices are copies", async () => {
    const chunks: Uint8Array[] = [];
    const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => {
      watch(socket, (chunk) => {
        chunks.push(chunk);
        socket.end();
      });
    });
    const client = watch(await nodeNetwork.connect(listener.address, 1000));
    client.socket.write(new Uint8Array([1, 2, 3]));
    await client.closed;
    expect(chunks.map((chunk) => [chunk.constructor, ...chunk])).toEqual([[Uint8Array, 1, 2, 3]]);
    await listener.close();
  });

  test("have handed out what waited for a loop that was held up before its turn ends", async () => {
    let received = 0;
    const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => {
      watch(socket, (chunk) => (received += chunk.length));
    });
    const client = watch(await nodeNetwork.connect(listener.address, 1000));
    client.socket.write(new Uint8Array(1));
    await eventually(() => expect(received).toBe(1));
    // A timer falls due while the bytes come and nobody can read them.
    const late = new Promise<void>((resolve) => {
      nodeTimers.after(5, () => nodeTimers.endOfTurn(resolve));
    });
    client.socket.write(new Uint8Array(1000));
    const untilMs = performance.now() + 50;
    while (performance.now() < untilMs);
    expect(received).toBe(1);
    await late;
    expect(received).toBe(1001);
    client.socket.destroy();
    await listener.close();
  });

  test("a destroyed peer closes the other side; later writes are ignored", async () => {
    const listener = await nodeNetwork.listen("[::1]:0", (socket) => {
      watch(socket);
      socket.destroy();
    });
    expect(listener.address).toMatch(/^\[::1\]:\d+$/);
    const client = watch(await nodeNetwork.connect(listener.address, 1000));
    await client.closed;
    expect(client.socket.write(new Uint8Array(1))).toBe(true);
    await listener.close();
  });

  test("nobody listening is a rejection, and a closed listener frees its port", async () => {
    const listener = await nodeNetwork.listen("127.0.0.1:0", (socket) => socket.destroy());
    await listener.close();
    await expect(nodeNetwork.connect(listener.address, 1000)).rejects.toThrow("ECONNREFUSED");
    const again = await nodeNetwork.listen(listener.address, (socket) => socket.destroy());
    await expect(nodeNetwork.listen(listener.address, () => undefined)).rejects.toThrow(
      "EADDRINUSE",
    );
    await again.close();
  });
});

describe("addresses", () => {
  test("are host:port with IPv6 in brackets", () => {
    expect(parseAddress("example.org:80")).toEqual({ host: "example.org", port: 80 });
    expect(parseAddress("[::1]:2379")).toEqual({ host: "::1", port: 2379 });
    expect(parseAddress(":7")).toEqual({ port: 7 });
    expect(formatAddress("::1", 5)).toBe("[::1]:5");
    for (const wrong of ["", "host", "a:b:1", "host:99999", "host:-1", "[::1]"]) {
      expect(() => parseAddress(wrong)).toThrow("not an address");
    }
  });
});
