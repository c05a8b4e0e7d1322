/**
 * Tells the placement leader a few times a second that this node is there and what it leads, and
 * takes from the answer the newest map and who leads the other shards. Where the leader is not
 * known, or cannot be reached, another node is asked, one after the other: it passes on what it has
 * heard.
 */
import type { Timer } from "../env/timers.js";
import type { ShardReport } from "../placement/quorum.js";
import type { LeaderHint } from "../protocol/cluster.js";
import { KvError } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import type { NodeParts } from "./node-parts.js";
import type { NodeHeartbeat, NodeHeartbeatAnswer } from "./placement-messages.js";

const INTERVAL_MS = 250;
const SOON_MS = 10;
const TIMEOUT_MS = 1000;

export class Heartbeats {
  readonly #node: NodeParts;
  #timer: Timer | undefined;
  #beating = false;
  #closed = false;
  #refused = "";
  #isSoon = false;
  /** Takes turns among the nodes that may know more. */
  #asked = 0;

  constructor(node: NodeParts) {
    this.#node = node;
  }

  start(): void {
    this.#schedule(0);
  }

  /** Something changed that others should hear of. */
  soon(): void {
    if (this.#timer === undefined || this.#isSoon) return;
    this.#isSoon = true;
    if (!this.#beating) this.#schedule(SOON_MS);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#node.env.timers.after(delayMs, () => {
      this.#beating = true;
      this.#isSoon = false;
      this.#beat().then(
        () => this.#next(),
        (error: unknown) => {
          this.#note(KvError.from(error));
          this.#next();
        },
      );
    });
  }

  #next(): void {
    this.#beating = false;
    this.#schedule(this.#isSoon ? SOON_MS : INTERVAL_MS);
  }

  async #beat(): Promise<void> {
    const node = this.#node;
    const { descriptor } = node;
    const to = this.#whom();
    if (descriptor === undefined || to === 0) return;
    const beat: NodeHeartbeat = {
      node: descriptor,
      run: node.store.run,
      mapVersion: node.view.map.version,
      full: node.writeRefusal()?.code === "noSpace",
      stalled: node.isStalled,
      leads: this.#leads(),
      reports: this.#reports(),
    };
    const answer =
      to === node.nodeId
        ? await node.placement?.heartbeat(beat)
        : await node.peers.ask<NodeHeartbeatAnswer>(
            to,
            MESSAGE_TYPES.nodeHeartbeat,
            beat,
            TIMEOUT_MS,
          );
    if (answer === undefined || this.#closed) return;
    this.#refused = "";
    if (answer.map !== undefined) node.mapHeard(answer.map);
    for (const hint of answer.leaders) node.view.noteLeader(hint);
    if (answer.hearsay !== true) node.view.noteFit(answer.fit);
  }

  /** The placement leader, or whoever may know of it; 0 for nobody. */
  #whom(): number {
    const { nodeId, peers } = this.#node;
    const leader = this.#node.placementLeader();
    if (leader === nodeId || peers.isConnected(leader)) return leader;
    const others = peers.connected();
    this.#asked++;
    return others[this.#asked % others.length] ?? 0;
  }

  #reports(): ShardReport[] {
    const reports: ShardReport[] = [];
    for (const replica of this.#node.host.replicas) {
      const report = replica.report();
      if (report !== undefined) reports.push(report);
    }
    return reports;
  }

  #leads(): LeaderHint[] {
    const { nodeId, host } = this.#node;
    const leads: LeaderHint[] = [];
    for (const replica of host.replicas) {
      if (!replica.leads) continue;
      leads.push({ shardId: replica.shardId, nodeId, term: replica.raft.term });
    }
    return leads;
  }

  /** A refusal is told once, not four times a second. */
  #note(error: KvError): void {
    if (error.code === "nodeRefused") {
      this.#node.refusedBy(this.#node.placementLeader(), error);
      return;
    }
    if (error.code === "unavailable" || error.code === "timeout" || error.code === "notLeader") {
      return;
    }
    if (this.#refused === error.message) return;
    this.#refused = error.message;
    this.#node.env.tracer.trace("error", "placement refuses this node", { reason: error.message });
  }
}
