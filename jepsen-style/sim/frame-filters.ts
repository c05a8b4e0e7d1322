/**
 * Faults that choose single Raft messages by what they say, not by chance: what a filter takes does
 * not travel, or travels later. They bring about what a lossy network does once in a million runs.
 *
 *   FirstAppendsLost   every other append that brings a replica something reaches it only when it
 *                      is sent again
 *   AppendsLost        what one node appends reaches nobody; its heartbeats do
 *   ShardCutOff        what one machine and all others say about one shard
 *   LateVotes          votes that are granted arrive when the candidate asks for the next term's
 */
import { lastIndexOf } from "../../src/base/entry-run.js";
import type { Message } from "../../src/raft/message.js";
import type { DialledEnd } from "./roads.js";
import type { World } from "./world.js";

/** A Raft message on its way. */
export interface Passing {
  readonly socket: DialledEnd;
  readonly shardId: number;
  readonly message: Message;
  readonly frame: Uint8Array;
}

export interface FrameFilter {
  /** Whether it takes the message from the road. */
  takes(passing: Passing): boolean;
}

export class FirstAppendsLost implements FrameFilter {
  /** By who sends what to whom: how far the log was sent. */
  readonly #sentTo: Map<string, number> = new Map();
  #isNextLost = false;

  takes({ shardId, message }: Passing): boolean {
    if (message.kind !== "append") return false;
    const run = message.runs.at(-1);
    if (run === undefined) return false;
    const name = `${shardId} ${message.from} ${message.to} ${message.term}`;
    const last = lastIndexOf(run);
    if (last <= (this.#sentTo.get(name) ?? 0)) return false;
    this.#sentTo.set(name, last);
    this.#isNextLost = !this.#isNextLost;
    return this.#isNextLost;
  }
}

export class AppendsLost implements FrameFilter {
  readonly #machine: string;

  constructor(machine: string) {
    this.#machine = machine;
  }

  takes({ socket, message }: Passing): boolean {
    return socket.machine === this.#machine && message.kind === "append" && message.runs.length > 0;
  }
}

export class ShardCutOff implements FrameFilter {
  readonly #machine: string;
  readonly #shardId: number;

  constructor(machine: string, shardId: number) {
    this.#machine = machine;
    this.#shardId = shardId;
  }

  takes({ socket, shardId }: Passing): boolean {
    if (shardId !== this.#shardId) return false;
    return socket.machine === this.#machine || socket.peerProgram.machine === this.#machine;
  }
}

/** The votes of one election, kept from its candidate. */
interface HeldVotes {
  readonly term: number;
  readonly votes: Passing[];
}

export class LateVotes implements FrameFilter {
  /** In how many more elections votes are held. */
  #elections = 0;
  readonly #held: Map<string, HeldVotes> = new Map();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  begin(): void {
    this.#elections++;
  }

  end(): void {
    this.#elections = 0;
    this.#held.clear();
  }

  takes(passing: Passing): boolean {
    const { message, shardId } = passing;
    if (message.kind === "voteResponse" && message.granted) {
      return this.#holds(`${shardId} ${message.to}`, message.term, passing);
    }
    if (message.kind === "vote") this.#release(`${shardId} ${message.from}`, message.term);
    return false;
  }

  #holds(candidate: string, term: number, vote: Passing): boolean {
    let held = this.#held.get(candidate);
    if (held === undefined && this.#elections > 0) {
      this.#elections--;
      held = { term, votes: [] };
      this.#held.set(candidate, held);
    }
    if (held?.term !== term) return false;
    held.votes.push(vote);
    return true;
  }

  #release(candidate: string, term: number): void {
    const held = this.#held.get(candidate);
    if (held === undefined || held.term >= term) return;
    this.#held.delete(candidate);
    for (const { socket, frame } of held.votes) {
      this.#world.after(0, "late vote", socket.program, () => {
        if (socket.open) socket.send(frame);
      });
    }
  }
}
