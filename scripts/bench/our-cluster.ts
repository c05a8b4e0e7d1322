/**
 * Flotilla nodes on loopback, three if nothing else is said, with their default settings but for
 * the quota, as etcd's here, started by the built CLI.
 */
import { existsSync } from "node:fs";
import type { BenchCluster, ConnectOptions } from "./bench-cluster.js";
import { connectByEtcdApi, leaderAddress, QUOTA_BYTES } from "./etcd-cluster.js";
import type { LoadTarget } from "./load.js";
import { connectOurs } from "./our-target.js";
import { cpuMicros, freePorts, waitFor } from "./processes.js";
import type { Processes, Started } from "./processes.js";

const NODES = 3;
export const CLI_PATH = "dist/src/cli/flotilla.js";

export interface OurOptions {
  readonly directory: string;
  /** What clients speak. */
  readonly api: "sdk" | "etcd";
  /** Of etcd's API: whether clients connect to the leader alone or to all members in turn. */
  readonly members: "leader" | "all";
  /** Default: three. */
  readonly nodes?: number | undefined;
}

export class OurCluster implements BenchCluster {
  readonly #servers: readonly Started[];
  readonly #addresses: readonly string[];
  readonly #api: "sdk" | "etcd";
  readonly #members: "leader" | "all";

  constructor(servers: readonly Started[], addresses: readonly string[], options: OurOptions) {
    this.#servers = servers;
    this.#addresses = addresses;
    this.#api = options.api;
    this.#members = options.members;
  }

  connect(options: ConnectOptions): Promise<LoadTarget> {
    if (this.#api === "sdk") return connectOurs(this.#addresses, options);
    return connectByEtcdApi(this.#addresses, this.#members, options);
  }

  cpuMicros(): readonly number[] | undefined {
    return cpuMicros(this.#servers);
  }

  /** For other clients, such as etcdctl. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }
}

export interface NodePlace {
  readonly name: string;
  readonly directory: string;
  readonly client: string;
  readonly peer: string;
  /** What others are told instead. */
  readonly advertised?: { readonly client: string; readonly peer: string };
  /** The founders, or those that a node which is added may ask. */
  readonly cluster: readonly { readonly name: string; readonly peer: string }[];
}

/** The command line of one node: the one place that knows it. */
export function startArguments(place: NodePlace): string[] {
  const { name, directory, client, peer, advertised, cluster } = place;
  return [
    [CLI_PATH, "start"],
    ["--name", name],
    ["--data-dir", directory],
    ["--listen-client", client],
    ["--listen-peer", peer],
    advertised === undefined
      ? []
      : ["--advertise-client", advertised.client, "--advertise-peer", advertised.peer],
    ["--initial-cluster", cluster.map((each) => `${each.name}=${each.peer}`).join(",")],
    ["--quota-bytes", String(QUOTA_BYTES)],
    ["--log-level", "warn"],
  ].flat();
}

export async function startOurs(processes: Processes, options: OurOptions): Promise<OurCluster> {
  const { directory, nodes = NODES } = options;
  if (!existsSync(CLI_PATH)) throw new Error(`${CLI_PATH} is missing: run "npm run build" first`);
  const ports = await freePorts(2 * nodes);
  const addresses = ports.slice(0, nodes).map((port) => `127.0.0.1:${port}`);
  const peers = ports.slice(nodes).map((port) => `127.0.0.1:${port}`);
  const servers = addresses.map((_, i) =>
    processes.start({
      name: `flotilla ${i + 1}`,
      command: process.execPath,
      outputPath: `${directory}/flotilla-${i + 1}.log`,
      args: startArguments({
        name: `n${i + 1}`,
        directory: `${directory}/flotilla-${i + 1}`,
        client: addresses[i]!,
        peer: peers[i]!,
        cluster: peers.map((peer, at) => ({ name: `n${at + 1}`, peer })),
      }),
    }),
  );
  const cluster = new OurCluster(servers, addresses, options);
  await waitFor("starting flotilla", processes, () => answers(cluster));
  if (options.api === "etcd") {
    await waitFor("finding the leader", processes, () => leaderAddress(addresses));
  }
  return cluster;
}

/** True once the cluster has taken a write. */
async function answers(cluster: OurCluster): Promise<true | undefined> {
  const target = await cluster.connect({ connections: 1, level: "linearizable", valueBytes: 1 });
  const error = await new Promise<string | undefined>((resolve) => {
    target.put(0, Uint8Array.of(0), Uint8Array.of(0), resolve);
  });
  await target.close();
  return error === undefined ? true : undefined;
}
