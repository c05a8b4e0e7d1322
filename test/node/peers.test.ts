/** Links between nodes over a network that closes nothing: silence, partitions, new runs. */
import { afterEach, describe, expect, test } from "vitest";
import { must } from "../../src/base/assert.js";
import { ByteReader } from "../../src/base/coding.js";
import { singleRun } from "../../src/base/entry-run.js";
import type { Env } from "../../src/env/env.js";
import { Peers } from "../../src/node/peers.js";
import type { PeerRequest, PeerService } from "../../src/node/peers.js";
import { encodePlain } from "../../src/protocol/admin-codec.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import { decodeMessage } from "../../src/raft/message-codec.js";
import type { Message } from "../../src/raft/message.js";
import { listenFrames } from "../../src/rpc/handshake.js";
import { eventually } from "../support/eventually.js";
import { MemoryNetwork } from "../support/memory-socket.js";
import { testEnv } from "../support/test-env.js";

const SILENT_MS = 150;
const LONG_MS = 60_000;

class Node implements PeerService {
  readonly peers: Peers;
  readonly address: string;
  readonly #env: Env;
  lost = 0;
  silent = 0;
  up = 0;
  /** What came, in this order. */
  readonly heard: string[] = [];

  constructor(network: MemoryNetwork, nodeId: number, run: number, silentMs: number) {
    this.#env = testEnv({ time: "real", network });
    this.address = `n${nodeId}:${run}`;
    const identity = { clusterId: "test", nodeId, incarnation: `disk ${nodeId}`, run, silentMs };
    this.peers = new Peers(this.#env, identity, this);
  }

  async listen(address = this.address): Promise<void> {
    await listenFrames(this.#env, address, {
      hello: () => this.peers.hello("control"),
      handshakeTimeoutMs: 1000,
      established: (connection, hello) => this.peers.accept(connection, hello),
      refused: () => undefined,
    });
  }

  raft(_nodeId: number, bytes: Uint8Array, offset: number, end: number): void {
    const reader = new ByteReader();
    reader.open(bytes, offset, end);
    reader.u32();
    this.heard.push(decodeMessage(reader).kind);
  }

  request(request: PeerRequest): void {
    this.heard.push(request.type === MESSAGE_TYPES.snapshotChunk ? "snapshotChunk" : "request");
    request.answer((out) => encodePlain(out, {}));
  }

  nodeLost(): void {
    this.lost++;
  }

  nodeSilent(): void {
    this.silent++;
  }

  nodeUp(): void {
    this.up++;
  }

  refuseNode(): undefined {
    return undefined;
  }

  refusedBy(): void {}
}

const nodes: Node[] = [];

afterEach(() => {
  for (const node of nodes) node.peers.close();
  nodes.length = 0;
});

function nodeOf(network: MemoryNetwork, nodeId: number, run: number, silentMs: number): Node {
  const node = new Node(network, nodeId, run, silentMs);
  nodes.push(node);
  return node;
}

describe("a node that falls silent while its connections stay open", () => {
  test("is given up, and found again when it speaks", async () => {
    const network = new MemoryNetwork();
    const near = nodeOf(network, 1, 1, SILENT_MS);
    const far = nodeOf(network, 2, 1, LONG_MS);
    await far.listen();
    near.peers.know(2, far.address);
    await eventually(() => near.peers.isConnected(2));
    network.silent.add(far.address);
    await eventually(() => near.silent === 1, 3000);
    expect(near.lost).toBe(0);
    await eventually(() => near.lost === 1, 3000);
    expect(near.peers.isConnected(2)).toBe(false);
    network.silent.delete(far.address);
    await eventually(() => near.peers.isConnected(2), 5000);
  });

  test("is kept as long as it answers", async () => {
    const network = new MemoryNetwork();
    const near = nodeOf(network, 1, 1, SILENT_MS);
    const far = nodeOf(network, 2, 1, LONG_MS);
    await far.listen();
    near.peers.know(2, far.address);
    await eventually(() => near.peers.isConnected(2));
    const sockets = network.sockets.length;
    await new Promise((resolve) => setTimeout(resolve, 5 * SILENT_MS));
    expect(near.lost + near.silent).toBe(0);
    expect(network.sockets).toHaveLength(sockets);
  });
});

test("the hello of a newer run breaks off what is connected to the older one", async () => {
  const network = new MemoryNetwork();
  const near = nodeOf(network, 1, 1, LONG_MS);
  await near.listen();
  const older = nodeOf(network, 2, 7, LONG_MS);
  await older.listen("n2:0000");
  const { address } = near;
  near.peers.know(2, "n2:0000");
  await eventually(() => near.peers.isConnected(2));
  // The host dies without a word; its next run listens elsewhere and dials us.
  network.silent.add("n2:0000");
  const newer = nodeOf(network, 2, 8, LONG_MS);
  await newer.listen();
  near.peers.know(2, newer.address);
  const before = near.up;
  newer.peers.know(1, address);
  await eventually(() => near.up === before + 1, 3000);
  expect(near.peers.isConnected(2)).toBe(true);
  expect(await near.peers.ask(2, 200, {}, 1000)).toEqual({});
});

test("a heartbeat waits behind no append, and neither behind a snapshot", async () => {
  const network = new MemoryNetwork({ turnBytes: 1024 });
  const near = nodeOf(network, 1, 1, LONG_MS);
  const far = nodeOf(network, 2, 1, LONG_MS);
  await far.listen();
  near.peers.know(2, far.address);
  await eventually(() => near.peers.snapshotChunk(2, () => undefined));
  await eventually(() => must(near.peers.link(2)).send(7, append(0)));
  await eventually(() => far.heard.includes("append"));
  far.heard.length = 0;
  const snapshot = near.peers.snapshotChunk(2, (out) => out.raw(new Uint8Array(200_000)));
  near.peers.send(2, 7, append(100_000));
  const numbers = { round: 1, commitIndex: 0, promiseMs: 0 };
  near.peers.send(2, 7, { kind: "heartbeat", ...HEADER, ...numbers, release: false });
  await snapshot;
  expect(far.heard).toEqual(["heartbeat", "append", "snapshotChunk"]);
});

const HEADER = { from: 1, to: 2, term: 1 };

function append(payloadBytes: number): Message {
  const runs = [singleRun("command", 1, 1, new Uint8Array(payloadBytes))];
  return { kind: "append", ...HEADER, prevIndex: 0, prevTerm: 0, commitIndex: 0, runs };
}
