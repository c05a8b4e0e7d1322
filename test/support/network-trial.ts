/**
 * Run in a network of its own by namespace-links.test.ts: two nodes that send each other datagrams,
 * so that each way is seen for itself. Exit code 0 if the links did as they were told.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { NamespaceLinks } from "../../jepsen-style/processes/namespace-links.js";
import { eventually } from "./eventually.js";

const QUIET_MS = 200;
const PATIENCE_MS = 5000;
const PORT = 7;
/** Says what it hears, sends where it is told, and accepts connections. */
const NODE = `
  import dgram from "node:dgram";
  import net from "node:net";
  const socket = dgram.createSocket("udp4").bind(${PORT}, "0.0.0.0");
  socket.on("message", (bytes) => process.send(String(bytes)));
  process.on("message", ({ text, to }) => socket.send(text, ${PORT}, to));
  process.once("disconnect", () => process.exit());
  net.createServer((near) => near.on("error", () => undefined)).listen(${PORT}, "0.0.0.0");
  socket.once("listening", () => process.send("ready"));
`;

interface Node {
  readonly child: ChildProcess;
  readonly address: string;
  readonly observed: string;
  readonly heard: string[];
}

const links = new NamespaceLinks();

async function nodeNamed(name: string): Promise<Node> {
  const { entry, address, observed } = await links.settle(name);
  const words = [process.execPath, "--input-type=module", "--eval", NODE];
  const [program = "", ...rest] = [...entry, ...words];
  const child = spawn(program, rest, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const heard: string[] = [];
  child.on("message", (text: string) => heard.push(text));
  await eventually(() => heard[0] === "ready");
  return { child, address, observed: observed.split(":")[0] ?? "", heard };
}

let sent = 0;

/** Whether a datagram arrives; what does not come at once never does. */
async function reaches(from: Node, to: Node): Promise<boolean> {
  const text = `datagram ${sent++}`;
  from.child.send({ text, to: to.address });
  const end = performance.now() + QUIET_MS;
  while (performance.now() < end) {
    if (to.heard.includes(text)) return true;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return false;
}

/** A connection from here. */
async function connects(host: string): Promise<boolean> {
  const socket = net.connect({ host, port: PORT });
  socket.on("error", () => undefined);
  const timer = setTimeout(() => socket.destroy(), QUIET_MS);
  await Promise.race([once(socket, "connect"), once(socket, "close")]);
  clearTimeout(timer);
  const isConnected = !socket.destroyed;
  socket.destroy();
  return isConnected;
}

const a = await nodeNamed("a");
const b = await nodeNamed("b");
const ways = async (): Promise<readonly boolean[]> => [await reaches(a, b), await reaches(b, a)];
/** Orders take a moment, and so do datagrams where the machine is busy. */
async function become(expected: readonly boolean[], what: string): Promise<void> {
  await eventually(async () => assert.deepEqual(await ways(), expected, what), PATIENCE_MS);
}

await become([true, true], "sound links");

const [first, second] = [
  links.impose([["a", "b"]], { cut: true }),
  links.impose([["a", "b"]], { cut: true }),
];
await become([false, true], "one way is cut");
first();
first();
await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
await become([false, true], "one of two faults is gone");
second();
await become([true, true], "both are gone");

links.impose([["clients", "b"]], { cut: true });
await eventually(async () => !(await connects(b.address)), PATIENCE_MS);
await eventually(() => connects(a.address), PATIENCE_MS);
await eventually(() => connects(b.observed), PATIENCE_MS);
links.impose([["b", "a"]], { cut: true });
links.heal();
await become([true, true], "healed");
await eventually(() => connects(b.address), PATIENCE_MS);

const open = net.connect({ host: a.address, port: PORT });
const broken = once(open, "error");
await once(open, "connect");
links.reset("clients", "b");
await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
assert.equal(open.destroyed, false, "another pair's connection");
links.reset("clients", "a");
assert.match(String(await broken), /ECONNRESET/);

for (const { child } of [a, b]) child.disconnect();
links.close();
