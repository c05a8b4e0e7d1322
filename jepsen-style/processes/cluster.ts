/**
 * A cluster of real nodes, each where its links (links.ts) have given it a place, and the client by
 * which the harness itself asks for things. All of it dies with the harness. It judges nothing.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { assert, must } from "../../src/base/assert.js";
import { connect } from "../../src/client/index.js";
import type { Client } from "../../src/client/client.js";
import type { HashResponse, StatusResponse } from "../../src/protocol/admin-messages.js";
import type { Guard } from "./guard.js";
import type { Links, NodeSite } from "./links.js";
import { NodeProcess } from "./node-process.js";

export interface ClusterOptions {
  readonly nodes: number;
  readonly directory: string;
  readonly mutant: string | undefined;
  /** Power cuts are wanted: what is not synced is written down. */
  readonly journals: boolean;
  readonly flags: readonly string[];
  readonly links: Links;
  readonly guard: Guard;
  /** A node ended and nobody had ordered it. */
  readonly endedItself: (node: string, how: string) => void;
  /** A node that is down is about to start on what its disk has. */
  readonly startsAgain: (node: string) => void;
}

/** What a node may take to start and the cluster to serve. */
const START_PATIENCE_MS = 100_000;
const POLL_MS = 100;
const STATUS_TIMEOUT_MS = 2000;
const HASH_TIMEOUT_MS = 10_000;

export class Cluster {
  readonly links: Links;
  readonly #options: ClusterOptions;
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #sites = new Map<string, NodeSite>();
  readonly #founders: string[] = [];
  #observer: Client | undefined;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.links = options.links;
  }

  /** Resolves when the cluster serves. */
  async start(): Promise<void> {
    for (let i = 1; i <= this.#options.nodes; i++) {
      this.#founders.push(`n${i}`);
      await this.prepare(`n${i}`);
    }
    for (const name of this.#founders) this.#add(name, this.#options.flags, false);
    const end = performance.now() + START_PATIENCE_MS;
    for (;;) {
      try {
        const endpoints = this.#founders.map((name) => this.#siteOf(name).observed);
        this.#observer ??= await connect({ endpoints, requestTimeoutMs: STATUS_TIMEOUT_MS });
        await this.#observer.put("harness/ready", "yes");
        return;
      } catch (error) {
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }

  /** Gives a node its place. */
  async prepare(name: string): Promise<void> {
    this.#sites.set(name, await this.links.settle(name));
  }

  /** Takes everything from the disk of a node that is down. */
  wipe(name: string): void {
    const { setup, state } = this.node(name);
    assert(state === "down", "a node whose disk is taken away does not run");
    rmSync(setup.place.directory, { recursive: true, force: true });
    if (setup.journalPath !== undefined)
      rmSync(setup.journalPath, { recursive: true, force: true });
  }

  /** Starts a node that was added to the cluster, or added again after it had left. */
  join(name: string): void {
    this.#add(name, [], true);
  }

  #add(name: string, flags: readonly string[], joins: boolean): void {
    const { directory, mutant, guard, endedItself, startsAgain } = this.#options;
    mkdirSync(directory, { recursive: true });
    const { listens, advertised, address, entry } = this.#siteOf(name);
    const members = new Set([...this.#founders, name]);
    const node = new NodeProcess(
      {
        place: {
          name,
          directory: join(directory, name),
          ...listens,
          advertised,
          cluster: [...members].map((each) => ({
            name: each,
            peer: this.#siteOf(each).advertised.peer,
          })),
        },
        site: address,
        entry,
        flags,
        outputPath: join(directory, `${name}.log`),
        diskFaultsPath: join(directory, `${name}.disk.json`),
        journalPath: this.#options.journals ? join(directory, `${name}.journals`) : undefined,
        mutant,
        joins,
      },
      guard,
      { endedItself: (how) => endedItself(name, how), startsAgain: () => startsAgain(name) },
    );
    this.#nodes.set(name, node);
    node.start();
  }

  /** Forgets a node that has left. */
  drop(name: string): void {
    this.#nodes.delete(name);
  }

  get names(): readonly string[] {
    return [...this.#nodes.keys()];
  }

  get nodes(): readonly NodeProcess[] {
    return [...this.#nodes.values()];
  }

  node(name: string): NodeProcess {
    return must(this.#nodes.get(name), name);
  }

  /** Where its nodes have theirs. */
  get directory(): string {
    return this.#options.directory;
  }

  directoryOf(name: string): string {
    return join(this.directory, name);
  }

  /** What others are told: over the links. */
  advertised(name: string): { readonly client: string; readonly peer: string } {
    return this.#siteOf(name).advertised;
  }

  /** Whether a node of this name ever had addresses here. */
  knows(name: string): boolean {
    return this.#sites.has(name);
  }

  get endpoints(): readonly string[] {
    return this.names.map((name) => this.advertised(name).client);
  }

  /** A client of the harness itself. */
  get observer(): Client {
    return must(this.#observer, "a started cluster");
  }

  /** Past the links: for the harness's own eyes, whatever the links do. */
  status(name: string): Promise<StatusResponse> {
    return this.observer.admin.status(this.#siteOf(name).observed);
  }

  /** Of what this node's replica of a shard means, as far as it has applied; past the links. */
  hash(name: string, shardId: number): Promise<HashResponse> {
    const request = { shardId, revision: 0 };
    return this.observer.admin.hash(this.#siteOf(name).observed, request, HASH_TIMEOUT_MS);
  }

  /** Kills all nodes: their files stay as they are. */
  async end(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }

  /** Ends everything: what is left is killed. */
  async close(): Promise<void> {
    await this.#observer?.close();
    await this.end();
    this.links.close();
  }

  #siteOf(name: string): NodeSite {
    return must(this.#sites.get(name), name);
  }
}
