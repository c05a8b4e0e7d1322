/** Frames over a connection: however they are cut, and what ends it. */
import { describe, expect, test } from "vitest";
import { utf8, utf8Text } from "../../src/base/bytes.js";
import { DecodeError } from "../../src/base/coding.js";
import { FRAME_SIZE_BYTES_MAX } from "../../src/base/limits.js";
import { nodeTimers } from "../../src/env/node/node-timers.js";
import { FrameConnection } from "../../src/rpc/frame-connection.js";
import type { FrameHandler } from "../../src/rpc/frame-connection.js";
import { MemoryNetwork } from "../support/memory-socket.js";
import type { MemorySocket } from "../support/memory-socket.js";
import { turnsUntil } from "../support/test-env.js";

class Recorder implements FrameHandler {
  readonly frames: string[] = [];
  failOn = "";
  ended: { error: Error | undefined } | undefined;

  frame(
    type: number,
    flags: number,
    requestId: number,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ): void {
    const body = utf8Text(bytes.subarray(offset, end));
    if (body === this.failOn) throw new DecodeError("not understood");
    this.frames.push(`${type}/${flags}/${requestId}:${body}`);
  }

  drain(): void {}

  closed(error: Error | undefined): void {
    this.ended = { error };
  }
}

interface Pair {
  readonly near: FrameConnection;
  readonly far: FrameConnection;
  readonly nearSocket: MemorySocket;
  readonly received: Recorder;
}

function pair(chunkBytes = Number.POSITIVE_INFINITY): Pair {
  const network = new MemoryNetwork({ chunkBytes });
  const [nearSocket, farSocket] = network.pair("b:1", "a:1");
  const near = new FrameConnection(nearSocket, nodeTimers);
  const far = new FrameConnection(farSocket, nodeTimers);
  const received = new Recorder();
  far.handle(received);
  return { near, far, nearSocket, received };
}

function say(connection: FrameConnection, requestId: number, body: string): void {
  connection.begin(20, 4, requestId).raw(utf8(body));
  connection.end();
}

describe("frames", () => {
  test("arrive whole and in order, however the bytes were cut", async () => {
    for (const chunkBytes of [1, 2, 3, 7, 10, 11, 64, 100_000]) {
      const { near, received } = pair(chunkBytes);
      const expected: string[] = [];
      for (let i = 0; i < 60; i++) {
        const body = "x".repeat(i * (i % 5)) + String(i);
        say(near, i, body);
        expected.push(`20/4/${i}:${body}`);
      }
      await turnsUntil(() => received.frames.length === 60);
      expect(received.frames).toEqual(expected);
    }
  });

  test("of one turn leave in one write, and a flush does not wait", async () => {
    const { near, nearSocket, received } = pair();
    for (let i = 0; i < 50; i++) say(near, i, "hello");
    await turnsUntil(() => received.frames.length === 50);
    expect(nearSocket.writes).toBe(1);
    say(near, 1, "now");
    near.flush();
    expect(nearSocket.writes).toBe(2);
  });

  test("handed to the socket are not written over by later ones", async () => {
    const { near, received } = pair();
    const expected: string[] = [];
    for (let i = 0; i < 2000; i++) {
      const body = String(i).padStart(1 + ((i * 37) % 500), "-");
      say(near, i, body);
      if (i % 3 === 0) near.flush();
      expected.push(`20/4/${i}:${body}`);
    }
    await turnsUntil(() => received.frames.length === 2000);
    expect(received.frames).toEqual(expected);
  });

  test("that are abandoned leave nothing behind", async () => {
    const { near, received } = pair();
    say(near, 1, "a");
    near.begin(20, 0, 2).raw(utf8("never"));
    expect(near.frameBytes).toBe(15);
    near.abandon();
    say(near, 3, "b");
    await turnsUntil(() => received.frames.length === 2);
    expect(received.frames).toEqual(["20/4/1:a", "20/4/3:b"]);
  });

  test("larger than a slab arrive", async () => {
    const { near, received } = pair(65_536);
    const body = "y".repeat(3_000_000);
    say(near, 1, "before");
    say(near, 2, body);
    say(near, 3, "after");
    await turnsUntil(() => received.frames.length === 3);
    expect(received.frames[1]!.length).toBe(body.length + 7);
    expect(received.frames[2]).toBe("20/4/3:after");
  });

  test("beyond the bound are refused where they are made", () => {
    const { near } = pair();
    near.begin(20, 0, 1).reserve(FRAME_SIZE_BYTES_MAX);
    expect(() => near.end()).toThrow("FRAME_SIZE_BYTES_MAX");
  });
});

describe("a connection closes, and nothing else happens,", () => {
  const garbage: readonly (readonly [string, Uint8Array])[] = [
    ["at a length beyond the bound", new Uint8Array([255, 255, 255, 255, 1, 2])],
    ["at a length too short for a head", new Uint8Array([5, 0, 0, 0, 1, 2, 3, 4, 5])],
    ["at text", utf8("GET / HTTP/1.1\r\n\r\n")],
  ];
  for (const [what, bytes] of garbage) {
    test(`${what}`, async () => {
      const { nearSocket, received } = pair();
      nearSocket.write(bytes);
      await turnsUntil(() => received.ended !== undefined);
      expect(received.ended!.error).toBeInstanceOf(DecodeError);
      expect(received.frames).toEqual([]);
    });
  }

  test("when the handler cannot read a body; later frames are not seen", async () => {
    const { near, received } = pair();
    received.failOn = "bad";
    for (const body of ["good", "bad", "good"]) say(near, 1, body);
    await turnsUntil(() => received.ended !== undefined);
    expect(received.frames).toEqual(["20/4/1:good"]);
    expect(received.ended!.error).toBeInstanceOf(DecodeError);
  });

  test("after close has sent what had gathered", async () => {
    const { near, received } = pair();
    say(near, 1, "last");
    near.close();
    await turnsUntil(() => received.ended !== undefined);
    expect(received.frames).toEqual(["20/4/1:last"]);
  });
});
