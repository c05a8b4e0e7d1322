/**
 * Looks at all nodes again and again, past the links, and writes down who says of itself that it
 * leads the default keyspace's shard, and in which term. Two leaders of one term are a finding.
 */
import type { StatusResponse } from "../../src/protocol/admin-messages.js";
import { KvError } from "../../src/protocol/errors.js";
import type { Finding } from "../checkers/finding.js";
import { invalid, valid } from "../checkers/finding.js";
import type { Cluster } from "./cluster.js";

export interface Lead {
  readonly atMs: number;
  readonly node: string;
  readonly term: number;
}

const PERIOD_MS = 250;

export class LeaderWatch {
  /** In order of time; one entry for each look that met a leader. */
  readonly leads: Lead[] = [];
  readonly #cluster: Cluster;
  readonly #nowMs: () => number;
  readonly #keyspaceId: number;
  readonly #learners = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(cluster: Cluster, keyspaceId: number, nowMs: () => number) {
    this.#cluster = cluster;
    this.#keyspaceId = keyspaceId;
    this.#nowMs = nowMs;
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const node of this.#cluster.nodes) if (node.state === "running") this.#look(node.name);
    }, PERIOD_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** As it was last seen. */
  get leader(): string | undefined {
    return this.leads.reduce<Lead | undefined>(
      (best, lead) => (best === undefined || lead.term >= best.term ? lead : best),
      undefined,
    )?.node;
  }

  /** The nodes that last said they hold a replica which only learns. */
  get learners(): readonly string[] {
    return [...this.#learners];
  }

  #look(name: string): void {
    this.#cluster.status(name).then(
      (status) => this.#note(name, status),
      // It is down, held, or slow: there is nothing to note.
      (error: unknown) => void KvError.from(error),
    );
  }

  #note(node: string, { replicas }: StatusResponse): void {
    if (replicas.some(({ role }) => role === "learner")) this.#learners.add(node);
    else this.#learners.delete(node);
    for (const { keyspaceId, role, term } of replicas) {
      if (keyspaceId !== this.#keyspaceId || role !== "leader") continue;
      this.leads.push({ atMs: this.#nowMs(), node, term });
    }
  }

  judge(): Finding {
    const name = "one leader a term";
    const owners = new Map<number, Lead>();
    for (const lead of this.leads) {
      const first = owners.get(lead.term) ?? lead;
      owners.set(lead.term, first);
      if (first.node === lead.node) continue;
      return invalid(name, `${first.node} and ${lead.node} both led in term ${lead.term}`);
    }
    return valid(name);
  }
}
