/**
 * etcd servers on loopback, three if nothing else is said, with their default settings, as the
 * yardstick. The quota alone is raised, since a benchmark writes more than the default allows.
 */
import { execFileSync } from "node:child_process";
import type { BenchCluster, ConnectOptions } from "./bench-cluster.js";
import { connectEtcd } from "./etcd-load.js";
import type { LoadTarget } from "./load.js";
import { cpuMicros, freePorts, waitFor } from "./processes.js";
import type { Processes, Started } from "./processes.js";

const NODES = 3;
export const QUOTA_BYTES: number = 8 * 1024 ** 3;
const STATUS_TIMEOUT_MS = 2_000;

export interface EtcdOptions {
  readonly command: string;
  readonly directory: string;
  /** Whether clients connect to the leader alone, as ours do, or to all members in turn. */
  readonly members: "leader" | "all";
  /** Default: 3. */
  readonly nodes?: number;
}

interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
}

export class EtcdCluster implements BenchCluster {
  readonly #servers: readonly Started[];
  readonly #addresses: readonly string[];
  readonly #members: "leader" | "all";

  constructor(servers: readonly Started[], addresses: readonly string[], options: EtcdOptions) {
    this.#servers = servers;
    this.#addresses = addresses;
    this.#members = options.members;
  }

  connect(options: ConnectOptions): Promise<LoadTarget> {
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

export function etcdVersion(command: string): string {
  const output = execFileSync(command, ["--version"], { encoding: "utf8" });
  return /etcd Version: (\S+)/.exec(output)?.[1] ?? "unknown";
}

export async function startEtcd(processes: Processes, options: EtcdOptions): Promise<EtcdCluster> {
  const { nodes = NODES } = options;
  const ports = await freePorts(2 * nodes);
  const clientAddresses = ports.slice(0, nodes).map((port) => `127.0.0.1:${port}`);
  const peerUrls = ports.slice(nodes).map((port) => `http://127.0.0.1:${port}`);
  const cluster = peerUrls.map((peerUrl, i) => ({ name: `bench${i + 1}`, peerUrl }));
  const servers = clientAddresses.map((address, i) =>
    startMember(processes, options.command, {
      ...cluster[i]!,
      directory: `${options.directory}/etcd-${i + 1}`,
      address,
      cluster,
      state: "new",
    }),
  );
  await waitFor("starting etcd", processes, () => leaderAddress(clientAddresses));
  return new EtcdCluster(servers, clientAddresses, options);
}

export interface EtcdPlace {
  readonly name: string;
  readonly directory: string;
  readonly address: string;
  readonly peerUrl: string;
  /** All members, this one too. */
  readonly cluster: readonly { readonly name: string; readonly peerUrl: string }[];
  readonly state: "new" | "existing";
}

export function startMember(processes: Processes, command: string, place: EtcdPlace): Started {
  const { name, directory, address, peerUrl, cluster, state } = place;
  return processes.start({
    name: `etcd ${name}`,
    command,
    outputPath: `${directory}.log`,
    env: process.arch === "arm64" ? { ETCD_UNSUPPORTED_ARCH: "arm64" } : {},
    args: [
      ["--name", name],
      ["--data-dir", directory],
      ["--listen-client-urls", `http://${address}`],
      ["--advertise-client-urls", `http://${address}`],
      ["--listen-peer-urls", peerUrl],
      ["--initial-advertise-peer-urls", peerUrl],
      ["--initial-cluster", cluster.map((each) => `${each.name}=${each.peerUrl}`).join(",")],
      ["--initial-cluster-state", state],
      ["--quota-backend-bytes", String(QUOTA_BYTES)],
      ["--logger", "zap"],
      ["--log-level", "error"],
    ].flat(),
  });
}

/** Clients of etcd's API, whoever serves it. */
export async function connectByEtcdApi(
  members: readonly string[],
  which: "leader" | "all",
  { connections, level, valueBytes }: ConnectOptions,
): Promise<LoadTarget> {
  const leader = await leaderAddress(members);
  if (leader === undefined) throw new Error("there is no leader");
  const targets = which === "all" ? members : [leader];
  const addresses = Array.from({ length: connections }, (_, i) => targets[i % targets.length]!);
  return connectEtcd({ addresses, valueBytes, serializable: level === "stale" });
}

/** The client address of the leader, once every member answers and all agree on it. */
export async function leaderAddress(addresses: readonly string[]): Promise<string | undefined> {
  const statuses = await Promise.all(addresses.map(status));
  const leader = statuses[0]?.leader;
  if (statuses.some((one) => one.leader !== leader)) return undefined;
  const at = statuses.findIndex((one) => one.header.member_id === leader);
  return addresses[at];
}

async function status(address: string): Promise<Status> {
  const response = await fetch(`http://${address}/v3/maintenance/status`, {
    method: "POST",
    body: "{}",
    signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
  });
  return (await response.json()) as Status;
}
