/**
 * What the placement leader has heard: which nodes live, who leads what, how changes of replicas
 * stand. In memory only: a new leader hears it all again within the time of a heartbeat, and
 * decides nothing before.
 */
import type { Clock } from "../env/clock.js";
import type { ClusterHealth, ShardReport } from "../placement/quorum.js";
import type { LeaderHint, NodeDescriptor } from "../protocol/cluster.js";
import type { NodeHeartbeat } from "./placement-messages.js";

/** A node silent for longer is not counted on. */
export const ALIVE_MS = 1500;
/** A disk that has stalled may soon do so again: it is given nothing to lead for so long. */
export const PROBATION_MS = 5000;

interface Seen {
  readonly atMs: number;
  readonly full: boolean;
  readonly mapVersion: number;
  /** When its disk was last said to stall. */
  readonly stalledMs: number;
}

export class HealthBook {
  readonly #clock: Clock;
  readonly #seen: Map<number, Seen> = new Map();
  readonly #leaders: Map<number, LeaderHint> = new Map();
  readonly #reports: Map<number, ShardReport> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get leaders(): ReadonlyMap<number, LeaderHint> {
    return this.#leaders;
  }

  heard(beat: NodeHeartbeat): void {
    const { nodeId } = beat.node;
    const atMs = this.#clock.monotonicMs();
    const lastMs = this.#seen.get(nodeId)?.stalledMs ?? Number.NEGATIVE_INFINITY;
    const { full, mapVersion } = beat;
    this.#seen.set(nodeId, { atMs, full, mapVersion, stalledMs: beat.stalled ? atMs : lastMs });
    for (const hint of beat.leads) this.#noteLeader(hint);
    for (const report of beat.reports) this.#noteReport(report);
  }

  /** Whether all of these nodes were heard since then, and with them what they lead. */
  heardAll(nodes: readonly NodeDescriptor[], sinceMs: number): boolean {
    return nodes.every((node) => (this.#seen.get(node.nodeId)?.atMs ?? -1) > sinceMs);
  }

  /** Whether all nodes that live have this version of the map. */
  haveMap(version: number): boolean {
    const { alive } = this.now();
    return [...alive].every((nodeId) => this.#seen.get(nodeId)!.mapVersion >= version);
  }

  lost(nodeId: number): void {
    this.#seen.delete(nodeId);
  }

  /** What an earlier leadership of this node had heard counts no more. */
  forget(): void {
    this.#leaders.clear();
    this.#reports.clear();
  }

  now(): ClusterHealth {
    const nowMs = this.#clock.monotonicMs();
    const alive = new Set<number>();
    const fit = new Set<number>();
    for (const [nodeId, seen] of this.#seen) {
      if (nowMs - seen.atMs >= ALIVE_MS) continue;
      alive.add(nodeId);
      if (!seen.full && nowMs - seen.stalledMs >= PROBATION_MS) fit.add(nodeId);
    }
    return { alive, fit, reports: this.#reports };
  }

  #noteLeader(hint: LeaderHint): void {
    const known = this.#leaders.get(hint.shardId);
    if (known === undefined || known.term <= hint.term) this.#leaders.set(hint.shardId, hint);
  }

  #noteReport(report: ShardReport): void {
    const known = this.#reports.get(report.shardId);
    if (known === undefined || known.term <= report.term) {
      this.#reports.set(report.shardId, report);
    }
  }
}
