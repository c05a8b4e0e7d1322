/** Hands leaderships over: one on request, or all of them before an orderly stop. */
import type { Env } from "../env/env.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import { handOver } from "../shard/hand-over.js";
import type { ReplicaHost } from "../shard/replica-host.js";
import type { Replica } from "../shard/replica.js";
import type { Peers } from "./peers.js";
import type { PlacementCommand } from "./placement-messages.js";

const ASK_TIMEOUT_MS = 2000;

export class LeaderTransfers {
  readonly #env: Env;
  readonly #host: ReplicaHost;
  #waiting: { readonly shardId: number; readonly done: () => void }[] = [];

  constructor(env: Env, host: ReplicaHost) {
    this.#env = env;
    this.#host = host;
  }

  /** Called at every change of role: whoever waits for leadership to leave a shard is told. */
  roleChanged(replica: Replica): void {
    if (replica.raft.role === "leader" || this.#waiting.length === 0) return;
    const { shardId } = replica;
    const told = this.#waiting.filter((each) => each.shardId === shardId);
    this.#waiting = this.#waiting.filter((each) => each.shardId !== shardId);
    for (const { done } of told) done();
  }

  /** Hands a shard that this node leads over to another node; throws KvError where it cannot. */
  begin(shardId: number, toNodeId: number): void {
    const replica = this.#host.replica(shardId);
    if (replica === undefined) throw notApplied("shardNotFound", `no shard ${shardId} here`);
    if (!replica.leads) throw replica.notLeading();
    const to = replica.replicaOn(toNodeId);
    if (to === 0) throw notApplied("invalidArgument", `node ${toNodeId} holds no replica of it`);
    const refusal = replica.raft.transferLeader(to, this.#host.nowMs());
    // Also where it refuses: the asking has ended a rest.
    this.#host.schedule(replica);
    if (refusal !== undefined) throw notApplied("unavailable", `no transfer now: ${refusal}`);
  }

  /** The placement leader wants a shard's leadership moved; asks the node that has it. */
  ask(
    peers: Peers,
    step: { readonly shardId: number; readonly toNodeId: number },
    atNodeId: number,
  ): void {
    const run = async (): Promise<void> => {
      if (atNodeId === this.#host.nodeId) return this.begin(step.shardId, step.toNodeId);
      const { shardId, toNodeId } = step;
      const command: PlacementCommand = { kind: "transfer", shardId, nodeId: toNodeId };
      await peers.ask(atNodeId, MESSAGE_TYPES.placement, command, ASK_TIMEOUT_MS);
    };
    run().catch((error: unknown) => {
      const reason = KvError.from(error).message;
      this.#env.tracer.trace("debug", "leadership not moved", { ...step, reason });
    });
  }

  /** Hands over every leadership; resolves when none is left here, or after `timeoutMs`. */
  async handOverAll(timeoutMs: number, mayLead: (nodeId: number) => boolean): Promise<void> {
    const waits: Promise<void>[] = [];
    for (const replica of this.#host.replicas) {
      if (replica.raft.role !== "leader" || !this.#handOver(replica, mayLead)) continue;
      waits.push(
        new Promise((done) => this.#waiting.push({ shardId: replica.shardId, done: () => done() })),
      );
    }
    if (waits.length === 0) return;
    await this.#within(timeoutMs, Promise.all(waits));
  }

  #handOver(replica: Replica, mayLead: (nodeId: number) => boolean): boolean {
    const { raft, replicaId } = replica;
    const others = raft.configuration.voters.filter((id) => id !== replicaId);
    const candidates = others.filter((id) => mayLead(replica.nodeOf(id)));
    const isLeaving = handOver(raft, candidates, this.#host.nowMs());
    this.#host.schedule(replica);
    return isLeaving;
  }

  #within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#env.timers.after(timeoutMs, resolve);
      void work.then(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}
