/**
 * Looks at all nodes again and again, past the links, and writes down who says of itself that it
 * leads the default keyspace's shard, or the placement group, and in which term. Two leaders of one
 * term are a finding.
 */
import type { StatusResponse } from "../../src/protocol/admin-messages.js";
import { PLACEMENT_SHARD_ID } from "../../src/protocol/cluster.js";
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
  /** Of the default keyspace, in order of time; one entry for each look that met a leader. */
  readonly leads: Lead[] = [];
  /** The same of the placement group, whose leader may be any other node. */
  readonly #placementLeads: Lead[] = [];
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
    return newest(this.leads);
  }

  /** Who leads the placement group, as it was last seen. */
  get placementLeader(): string | undefined {
    return newest(this.#placementLeads);
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
    for (const { shardId, keyspaceId, role, term } of replicas) {
      if (role !== "leader") continue;
      const lead = { atMs: this.#nowMs(), node, term };
      if (shardId === PLACEMENT_SHARD_ID) this.#placementLeads.push(lead);
      else if (keyspaceId === this.#keyspaceId) this.leads.push(lead);
    }
  }

  judge(): Finding {
    const name = "one leader a term";
    const rivals = rivalry(this.leads) ?? rivalry(this.#placementLeads);
    return rivals === undefined ? valid(name) : invalid(name, rivals);
  }
}

function newest(leads: readonly Lead[]): string | undefined {
  return leads.reduce<Lead | undefined>(
    (best, lead) => (best === undefined || lead.term >= best.term ? lead : best),
    undefined,
  )?.node;
}

/** Two leaders of one term, in words. */
function rivalry(leads: readonly Lead[]): string | undefined {
  const owners = new Map<number, Lead>();
  for (const lead of leads) {
    const first = owners.get(lead.term) ?? lead;
    owners.set(lead.term, first);
    if (first.node !== lead.node) {
      return `${first.node} and ${lead.node} both led in term ${lead.term}`;
    }
  }
  return undefined;
}
