/**
 * A cluster for tests: real nodes in this process, on loopback and in a temporary directory, each
 * with its own Env, whose disk a test may replace. Stopped and removed by `close`.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { must } from "../../src/base/assert.js";
import type { Disk } from "../../src/env/disk.js";
import type { Env } from "../../src/env/env.js";
import { inlineJobs } from "../../src/env/jobs.js";
import type { Network } from "../../src/env/network.js";
import { createNodeEnv } from "../../src/env/node/node-env.js";
import { SILENT_TRACER } from "../../src/env/tracer.js";
import type { Tracer } from "../../src/env/tracer.js";
import { DEFAULT_CONFIG } from "../../src/node/config.js";
import type { NodeConfig } from "../../src/node/config.js";
import { startNode } from "../../src/node/node.js";
import type { RunningNode } from "../../src/node/node.js";
import { runStoreJob } from "../../src/store/jobs.js";
import type { StoreJob } from "../../src/store/jobs.js";
import { freeAddress } from "./ports.js";

export interface TestClusterOptions {
  readonly nodeCount?: number | undefined;
  /** Founders that `startNode` starts later, or nobody. */
  readonly late?: readonly string[] | undefined;
  readonly config?: Partial<NodeConfig> | undefined;
  readonly tracer?: ((name: string) => Tracer) | undefined;
  /** Called when the addresses are known and no node runs. */
  readonly beforeStart?: ((cluster: TestCluster) => Promise<void>) | undefined;
  readonly disk?: ((name: string, disk: Disk) => Disk) | undefined;
  readonly network?: ((name: string, network: Network) => Network) | undefined;
}

const MEBIBYTE = 1024 * 1024;

/** Small enough that a cluster starts in a moment. */
const SMALL: Partial<NodeConfig> = {
  segmentSizeBytes: 16 * MEBIBYTE,
  memtablesBytesMax: 32 * MEBIBYTE,
  blockCacheBytes: 8 * MEBIBYTE,
  reservedBytes: MEBIBYTE,
};

export class TestCluster {
  readonly directory: string;
  readonly #founders: readonly string[];
  readonly #added: string[] = [];
  readonly #options: TestClusterOptions;
  readonly #nodes: Map<string, RunningNode> = new Map();
  readonly #peerAddresses: Map<string, string> = new Map();
  readonly #joining: Set<string> = new Set();
  readonly #clientAddresses: Map<string, string> = new Map();

  private constructor(options: TestClusterOptions) {
    this.#options = options;
    this.directory = mkdtempSync(join(tmpdir(), "flotilla-test-"));
    this.#founders = Array.from({ length: options.nodeCount ?? 3 }, (_, i) => `n${i + 1}`);
  }

  /** The founders, and after them the nodes that were added. */
  get names(): readonly string[] {
    return [...this.#founders, ...this.#added];
  }

  static async start(options: TestClusterOptions = {}): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    for (const name of cluster.names) {
      cluster.#peerAddresses.set(name, await freeAddress());
      cluster.#clientAddresses.set(name, await freeAddress());
    }
    await options.beforeStart?.(cluster);
    const first = cluster.names.filter((name) => options.late?.includes(name) !== true);
    await Promise.all(first.map((name) => cluster.startNode(name)));
    return cluster;
  }

  get endpoints(): readonly string[] {
    return this.names.map((name) => must(this.#clientAddresses.get(name)));
  }

  endpoint(name: string): string {
    return must(this.#clientAddresses.get(name));
  }

  peerAddress(name: string): string {
    return must(this.#peerAddresses.get(name));
  }

  node(name: string): RunningNode {
    return must(this.#nodes.get(name), name);
  }

  /** Gives a node addresses that is to join later; its name may have been another node's. */
  async prepare(name: string): Promise<void> {
    if (!this.names.includes(name)) {
      this.#added.push(name);
      this.#peerAddresses.set(name, await freeAddress());
      this.#clientAddresses.set(name, await freeAddress());
    }
    this.#joining.add(name);
  }

  /** What a disk that is lost takes with it. */
  wipe(name: string): void {
    rmSync(join(this.directory, name), { recursive: true, force: true });
  }

  nameOf(nodeId: number): string {
    return must(this.names.find((name) => this.#nodes.get(name)?.nodeId === nodeId));
  }

  config(name: string): NodeConfig {
    const joins = this.#joining.has(name);
    const known = joins ? this.names : this.#founders;
    return {
      ...DEFAULT_CONFIG,
      ...SMALL,
      ...this.#options.config,
      initialClusterState: joins ? "existing" : "new",
      name,
      dataDirectory: join(this.directory, name),
      listenClient: must(this.#clientAddresses.get(name)),
      listenPeer: must(this.#peerAddresses.get(name)),
      initialCluster: known.map((each) => ({
        name: each,
        peerAddress: must(this.#peerAddresses.get(each)),
      })),
    };
  }

  env(name: string): Env {
    const real = createNodeEnv();
    return {
      ...real,
      tracer: this.#options.tracer?.(name) ?? SILENT_TRACER,
      disk: this.#options.disk?.(name, real.disk) ?? real.disk,
      network: this.#options.network?.(name, real.network) ?? real.network,
      jobs: inlineJobs((job) => runStoreJob(real.disk, job as StoreJob)),
    };
  }

  async startNode(name: string): Promise<RunningNode> {
    const node = await startNode(this.env(name), this.config(name));
    this.#nodes.set(name, node);
    return node;
  }

  async stopNode(name: string): Promise<void> {
    const node = this.node(name);
    this.#nodes.delete(name);
    await node.close();
  }

  /** Ends a node without any goodbye. */
  async crashNode(name: string): Promise<void> {
    const node = this.node(name);
    this.#nodes.delete(name);
    await node.crash();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.crash()));
    this.#nodes.clear();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
