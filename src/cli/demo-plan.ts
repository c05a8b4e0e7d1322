/**
 * What a demo will run: three nodes with their ports and directories. A kept directory remembers
 * the ports in demo.json, because the nodes know each other by them.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { EXIT } from "./exit-codes.js";
import { badArguments, CliError } from "./failure.js";
import { makeDirectory } from "./files.js";

const HOST = "127.0.0.1";
const PORTS_FILE = "demo.json";
/** As in etcd's Procfile: 2379, 22379, 32379 for clients, one more for peers. */
const PORT_OFFSETS = [0, 20_000, 30_000] as const;
export const BASE_PORT_MAX: number = 65_535 - 30_001;

/** "default" is always there: with these the cluster has eight shards with data. */
const KEYSPACES = ["docs:range:split=g,p", "files:hash:shards=4"] as const;
/** The placement group, one of "default", three of "docs", four of "files". */
export const DEMO_SHARDS = 9;

export interface NodePorts {
  readonly client: number;
  readonly peer: number;
}

export interface PlannedNode {
  readonly name: string;
  readonly clientAddress: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  /** Of `flotilla`. */
  readonly args: readonly string[];
}

export interface PortChoice {
  readonly ports: readonly NodePorts[];
  /** Ports that were wanted but taken. */
  readonly taken: readonly number[];
}

/** Ports from `basePort` on, and free ones in place of those that are taken. */
export async function choosePorts(basePort: number): Promise<PortChoice> {
  if (basePort < 1 || basePort > BASE_PORT_MAX) {
    throw badArguments(`--base-port must be between 1 and ${BASE_PORT_MAX}`);
  }
  const taken: number[] = [];
  const choose = async (wanted: number): Promise<number> => {
    const free = await freePort(wanted);
    if (free !== undefined) return free;
    taken.push(wanted);
    return (await freePort(0)) ?? noPort();
  };
  const ports: NodePorts[] = [];
  for (const offset of PORT_OFFSETS) {
    const client = await choose(basePort + offset);
    ports.push({ client, peer: await choose(basePort + offset + 1) });
  }
  return { ports, taken };
}

function noPort(): never {
  throw new CliError(EXIT.failed, "this machine has no free port");
}

/** The port, or for 0 some free one; undefined where it is taken. */
function freePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(undefined));
    server.listen({ port, host: HOST, exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === "object" ? address?.port : undefined;
      server.close(() => resolve(found));
    });
  });
}

/** The ports that a kept directory was made with. */
export function rememberedPorts(directory: string): readonly NodePorts[] | undefined {
  const path = join(directory, PORTS_FILE);
  if (!existsSync(path)) return undefined;
  const { ports } = JSON.parse(readFileSync(path, "utf8")) as { ports?: readonly NodePorts[] };
  if (ports?.length === PORT_OFFSETS.length) return ports;
  throw new CliError(EXIT.failed, `${path} is not what a demo writes`, {
    next: "name another --data-dir",
  });
}

export function rememberPorts(directory: string, ports: readonly NodePorts[]): void {
  makeDirectory(directory);
  writeFileSync(join(directory, PORTS_FILE), `${JSON.stringify({ ports })}\n`);
}

/** Throws where one of them is taken. */
export async function checkPortsFree(ports: readonly NodePorts[]): Promise<void> {
  for (const port of ports.flatMap(({ client, peer }) => [client, peer])) {
    if ((await freePort(port)) !== undefined) continue;
    throw new CliError(EXIT.failed, `port ${port} is taken`, {
      because: "the demo of this data directory may be running already",
      next: "end what listens there, or name another --data-dir",
    });
  }
}

export function planNodes(directory: string, ports: readonly NodePorts[]): readonly PlannedNode[] {
  const names = ports.map((_, at) => `n${at + 1}`);
  const cluster = ports.map(({ peer }, at) => `${names[at]}=${HOST}:${peer}`).join(",");
  return ports.map(({ client, peer }, at) => {
    const name = names[at] ?? "";
    const dataDirectory = join(directory, name);
    const clientAddress = `${HOST}:${client}`;
    const flags = {
      name,
      "data-dir": dataDirectory,
      "listen-client": clientAddress,
      "listen-peer": `${HOST}:${peer}`,
      "initial-cluster": cluster,
      "cluster-token": "demo",
    };
    const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
    const keyspaces = KEYSPACES.flatMap((keyspace) => ["--initial-keyspace", keyspace]);
    const logFile = join(directory, `${name}.log`);
    return { name, clientAddress, dataDirectory, logFile, args: ["start", ...args, ...keyspaces] };
  });
}
