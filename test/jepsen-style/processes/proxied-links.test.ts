/**
 * Links between sites on loopback: who is known, what is held, what arrives late, and
 * both ways.
 */
import net from "node:net";
import { once } from "node:events";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ProxiedLinks } from "../../../jepsen-style/processes/proxied-links.js";
import { Prng } from "../../../src/base/prng.js";
import { eventually } from "../../support/eventually.js";

/** Where "a" connects from; everybody else is a client. */
let siteA: string;
let links: ProxiedLinks;
let server: net.Server;
let accepted: net.Socket[];
let address: string;

beforeEach(async () => {
  accepted = [];
  server = net.createServer((socket) => {
    socket.on("error", () => undefined);
    accepted.push(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  links = new ProxiedLinks(new Prng(1));
  siteA = (await links.settle("a")).address;
  const { port } = server.address() as net.AddressInfo;
  address = await links.serve("b", { host: "127.0.0.1", port });
});

afterEach(() => {
  links.close();
  for (const socket of accepted) socket.destroy();
  server.close();
});

async function connect(localAddress?: string): Promise<{ near: net.Socket; far: net.Socket }> {
  const [host = "", port = ""] = address.split(":");
  const before = accepted.length;
  const options = { host, port: Number(port), ...(localAddress !== undefined && { localAddress }) };
  const near = net.connect(options);
  near.on("error", () => undefined);
  await once(near, "connect");
  const far = await eventually(() => accepted[before] ?? false);
  return { near, far };
}

/** An error on the way there is none of this. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => socket.once("close", () => resolve()));
}

/** What has come so far. */
function heard(socket: net.Socket): () => string {
  let text = "";
  socket.on("data", (bytes: Uint8Array) => (text += String(bytes)));
  return () => text;
}

test("a sound link carries both ways, and the end of a connection", async () => {
  const { near, far } = await connect();
  const [atFar, atNear] = [heard(far), heard(near)];
  near.write("question");
  await eventually(() => atFar() === "question");
  far.write("answer");
  expect(await eventually(() => atNear() === "answer")).toBe(true);
  const ended = closed(far);
  near.end();
  await ended;
});

test("a cut way holds what is sent, and the other way goes on; healed, all of it comes", async () => {
  const { near, far } = await connect(siteA);
  const [atFar, atNear] = [heard(far), heard(near)];
  const heal = links.impose([["a", "b"]], { cut: true });
  near.write("held");
  far.write("passes");
  await eventually(() => atNear() === "passes");
  expect(atFar()).toBe("");
  const ended = closed(far);
  near.end();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([atFar(), far.readableEnded]).toEqual(["", false]);
  heal();
  await eventually(() => atFar() === "held");
  await ended;
});

test("faults are of one pair: clients go on where a node is cut off, and new connections count", async () => {
  links.impose([["a", "b"]], { cut: true });
  const [node, client] = [await connect(siteA), await connect()];
  const [fromNode, fromClient] = [heard(node.far), heard(client.far)];
  node.near.write("n");
  client.near.write("c");
  await eventually(() => fromClient() === "c");
  expect(fromNode()).toBe("");
});

test("two faults on one way: the link heals when both are gone", async () => {
  const { near, far } = await connect(siteA);
  const atFar = heard(far);
  const [first, second] = [1, 2].map(() => links.impose([["a", "b"]], { cut: true }));
  near.write("x");
  first!();
  first!();
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(atFar()).toBe("");
  second!();
  await eventually(() => atFar() === "x");
});

test("a slow link delays and keeps the order; a narrow one takes its time", async () => {
  const { near, far } = await connect(siteA);
  const atFar = heard(far);
  const heal = links.impose([["a", "b"]], { delayMs: 60, jitterMs: 60 });
  const startedMs = performance.now();
  for (let i = 0; i < 10; i++) near.write(String(i));
  await eventually(() => atFar() === "0123456789");
  expect(performance.now() - startedMs).toBeGreaterThan(50);
  heal();
  links.impose([["a", "b"]], { bytesPerSecond: 100_000 });
  const narrowMs = performance.now();
  near.write("y".repeat(20_000));
  await eventually(() => atFar().length === 20_010);
  expect(performance.now() - narrowMs).toBeGreaterThan(150);
});

test("a reset breaks the connections of that pair alone", async () => {
  const [node, client] = [await connect(siteA), await connect()];
  const broken = Promise.all([closed(node.near), closed(node.far)]);
  links.reset("b", "a");
  await broken;
  const atFar = heard(client.far);
  client.near.write("on");
  expect(await eventually(() => atFar() === "on")).toBe(true);
});
