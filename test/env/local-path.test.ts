/** Connections of a process to itself. */
import { describe, expect, test } from "vitest";
import { localPair, withLocalPath } from "../../src/env/local-path.js";
import { SOCKET_WAITING_BYTES_MAX } from "../../src/env/network.js";
import type { Socket } from "../../src/env/network.js";
import { nodeNetwork } from "../../src/env/node/node-network.js";

interface End {
  readonly socket: Socket;
  readonly said: string[];
}

/** Notes what an end hears. */
function listen(socket: Socket): End {
  const said: string[] = [];
  socket.handle({
    data: (chunk) => void said.push(Buffer.from(chunk).toString("latin1")),
    drain: () => void said.push("drain"),
    close: (error) => void said.push(error === undefined ? "closed" : "broken"),
  });
  return { socket, said };
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("two ends", () => {
  test("hear of each other, in order, and never from within a call", async () => {
    const [near, far] = localPair().map(listen) as [End, End];
    near.socket.write(bytes("a"));
    near.socket.write(bytes("b"));
    far.socket.write(bytes("c"));
    expect([near.said, far.said]).toEqual([[], []]);
    expect(near.socket.bufferedBytes()).toBe(2);
    await later();
    expect([near.said, far.said]).toEqual([["c"], ["a", "b"]]);
    expect(near.socket.bufferedBytes()).toBe(0);
  });

  test("say that there is room again to who wrote more than should wait, and to nobody else", async () => {
    const [near, far] = localPair().map(listen) as [End, End];
    expect(far.socket.write(new Uint8Array(SOCKET_WAITING_BYTES_MAX))).toBe(true);
    expect(near.socket.write(new Uint8Array(SOCKET_WAITING_BYTES_MAX + 1))).toBe(false);
    await later();
    expect(near.said.slice(1)).toEqual(["drain"]);
    expect(far.said).not.toContain("drain");
    near.socket.write(new Uint8Array(SOCKET_WAITING_BYTES_MAX + 1));
    near.socket.end();
    await later();
    expect(near.said.slice(2)).toEqual(["closed"]);
  });

  test("close once, behind what was written", async () => {
    const [near, far] = localPair().map(listen) as [End, End];
    near.socket.write(bytes("last"));
    near.socket.end();
    near.socket.write(bytes("too late"));
    await later();
    far.socket.end();
    near.socket.destroy();
    await later();
    expect([near.said, far.said]).toEqual([["closed"], ["last", "closed"]]);
  });

  test("lose what waits where one is destroyed", async () => {
    const [near, far] = localPair().map(listen) as [End, End];
    near.socket.write(bytes("lost"));
    far.socket.write(bytes("lost too"));
    near.socket.destroy();
    await later();
    expect([near.said, far.said]).toEqual([["closed"], ["closed"]]);
  });

  test("keep what was said for who listens later", async () => {
    const [near, far] = localPair();
    near.write(bytes("early"));
    near.end();
    await later();
    const end = listen(far);
    await later();
    expect(end.said).toEqual(["early", "closed"]);
  });
});

describe("a process", () => {
  test("reaches itself by all its names, until it stops listening", async () => {
    const network = withLocalPath(nodeNetwork, "127.0.0.1:0", () => ["myself:1"]);
    const accepted: string[] = [];
    const listener = await network.listen("127.0.0.1:0", (socket) => {
      accepted.push(socket.remoteAddress === "local" ? "local" : "tcp");
      listen(socket);
    });
    const elsewhere = await network.listen("localhost:0", (socket) => {
      accepted.push(socket.remoteAddress === "local" ? "local" : "tcp");
      listen(socket);
    });
    for (const address of [listener.address, "myself:1", elsewhere.address]) {
      const end = listen(await network.connect(address, 1000));
      await later();
      end.socket.end();
    }
    await expect.poll(() => accepted).toEqual(["local", "local", "tcp"]);
    await Promise.all([listener.close(), elsewhere.close()]);
    await expect(network.connect("myself:1", 1000)).rejects.toThrow("myself");
  });
});
