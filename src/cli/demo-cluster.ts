/**
 * The three processes of a demo and what is known of them. It asks each node for its status twice a
 * second, through the client, and starts nothing again by itself.
 */
import type { StatusResponse } from "../protocol/admin-messages.js";
import type { ClientPort } from "./client-port.js";
import type { Connect } from "./context.js";
import { DemoNode } from "./demo-node.js";
import { DEMO_SHARDS, type PlannedNode } from "./demo-plan.js";
import type { NodeView } from "./demo-view.js";

const ASK_INTERVAL_MS = 250;
const REQUEST_TIMEOUT_MS = 1000;
const STOP_TIMEOUT_MS = 8000;

interface Heard {
  readonly status: StatusResponse;
  readonly atMs: number;
}

export class DemoCluster {
  readonly #nodes: readonly DemoNode[];
  readonly #connect: Connect;
  readonly #heard = new Map<DemoNode, Heard>();
  readonly #asking = new Set<DemoNode>();
  #client: ClientPort | undefined;
  #connecting = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(plans: readonly PlannedNode[], command: readonly string[], connect: Connect) {
    this.#nodes = plans.map((plan) => new DemoNode(plan, command));
    this.#connect = connect;
  }

  get endpoints(): readonly string[] {
    return this.#nodes.map(({ plan }) => plan.clientAddress);
  }

  start(): void {
    for (const node of this.#nodes) node.start();
    this.#timer = setInterval(() => this.#ask(), ASK_INTERVAL_MS);
  }

  #ask(): void {
    if (this.#client === undefined) {
      void this.#connectOnce();
      return;
    }
    for (const node of this.#nodes) if (node.runs) void this.#askOne(this.#client, node);
  }

  async #connectOnce(): Promise<void> {
    if (this.#connecting) return;
    this.#connecting = true;
    try {
      this.#client = await this.#connect({
        endpoints: this.endpoints,
        keyspace: undefined,
        level: "linearizable",
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        dialTimeoutMs: REQUEST_TIMEOUT_MS,
      });
    } catch {
      // The nodes are still starting: the next turn asks again.
    } finally {
      this.#connecting = false;
    }
  }

  async #askOne(client: ClientPort, node: DemoNode): Promise<void> {
    if (this.#asking.has(node)) return;
    this.#asking.add(node);
    try {
      const status = await client.admin.status(node.plan.clientAddress);
      this.#heard.set(node, { status, atMs: performance.now() });
    } catch {
      // Its line shows how long it has been silent.
    } finally {
      this.#asking.delete(node);
    }
  }

  views(): readonly NodeView[] {
    return this.#nodes.map((node) => {
      const heard = this.#heard.get(node);
      return {
        name: node.plan.name,
        runs: node.runs,
        exit: node.exit,
        status: heard?.status,
        heardMs: heard === undefined ? undefined : performance.now() - heard.atMs,
        memoryBytes: node.memoryBytes(),
        commandText: node.commandText(),
      };
    });
  }

  /** Every node has answered, and every shard is there and has a leader. */
  isReady(): boolean {
    if (this.#nodes.some((node) => !node.runs || !this.#heard.has(node))) return false;
    const replicas = [...this.#heard.values()].flatMap(({ status }) => status.replicas);
    const shards = new Set(replicas.map(({ shardId }) => shardId));
    const led = new Set(
      replicas.filter(({ role }) => role === "leader").map(({ shardId }) => shardId),
    );
    return shards.size >= DEMO_SHARDS && led.size === shards.size;
  }

  get anyRuns(): boolean {
    return this.#nodes.some((node) => node.runs);
  }

  kill(name: string): void {
    this.#nodes.find(({ plan }) => plan.name === name)?.signal("SIGKILL");
  }

  /** Starts the nodes that are down; returns their names. */
  restart(): readonly string[] {
    const down = this.#nodes.filter((node) => !node.runs);
    for (const node of down) {
      this.#heard.delete(node);
      node.start();
    }
    return down.map(({ plan }) => plan.name);
  }

  /** Ends every process that was started here. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const client = this.#client;
    await Promise.all([
      ...this.#nodes.map((node) => node.stop(STOP_TIMEOUT_MS)),
      client?.close().catch(() => undefined),
    ]);
  }
}
