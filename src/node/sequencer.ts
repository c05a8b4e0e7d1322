/**
 * The sequencer: the leader of the placement group, handing out the revisions of keyspaces with
 * many shards, on demand. An answer leaves only after a quorum round of the placement group that
 * began after the request, so a deposed sequencer answers nothing. A window is reserved ahead
 * through the placement log and a new sequencer starts above all windows: revisions may jump, they
 * never repeat and never go back. It knows nothing of shards.
 */
import { ByteWriter } from "../base/coding.js";
import type { Env } from "../env/env.js";
import { KvError, notApplied } from "../protocol/errors.js";
import type { AnswerFacts, Responder } from "../shard/responder.js";
import type { Replica } from "../shard/replica.js";

/** Revisions reserved at once; a crash wastes what is left of it. */
const WINDOW = 100_000;

export interface Allocation {
  readonly keyspaceId: number;
  /** 0 asks for the newest revision that was handed out. */
  readonly count: number;
}

export type AllocationDone = (bases: readonly number[] | KvError) => void;

export interface SequencerHost {
  /** The placement replica, where this node holds one. */
  placementReplica(): Replica | undefined;
  /** The end of the window that the placement group holds for a keyspace. */
  reservedTo(keyspaceId: number): number;
  /** Makes the window durable; resolves when the placement group has committed it. */
  reserve(keyspaceId: number, upTo: number): Promise<void>;
}

interface Request {
  readonly allocations: readonly Allocation[];
  readonly done: AllocationDone;
}

interface Window {
  /** The newest revision handed out. */
  current: number;
  reservedTo: number;
}

export class Sequencer implements Responder {
  readonly #env: Env;
  readonly #host: SequencerHost;
  readonly #runBegin = (): void => this.#begin();
  readonly #rounds: Map<number, Request[]> = new Map();
  readonly #windows: Map<number, Window> = new Map();
  readonly #scratch = new ByteWriter(16);
  #gathered: Request[] = [];
  #pending = false;
  #nextRound = 1;
  #answering = 0;
  /** The term in which the windows were opened. */
  #term = 0;

  constructor(env: Env, host: SequencerHost) {
    this.#env = env;
    this.#host = host;
  }

  allocate(allocations: readonly Allocation[], done: AllocationDone): void {
    const replica = this.#host.placementReplica();
    if (replica === undefined || !replica.leads) {
      done(replica === undefined ? noSequencer() : replica.notLeading());
      return;
    }
    this.#gathered.push({ allocations, done });
    if (this.#pending) return;
    this.#pending = true;
    this.#env.timers.endOfTurn(this.#runBegin);
  }

  /** The placement replica confirmed a round; its answer has no body. */
  beginAnswer(round: number, _facts: AnswerFacts): ByteWriter {
    this.#answering = round;
    this.#scratch.reset();
    return this.#scratch;
  }

  endAnswer(): void {
    const requests = this.#rounds.get(this.#answering) ?? [];
    this.#rounds.delete(this.#answering);
    for (const request of requests) this.#grant(request);
  }

  failed(round: number, error: KvError): void {
    const requests = this.#rounds.get(round) ?? [];
    this.#rounds.delete(round);
    for (const request of requests) request.done(error);
  }

  #begin(): void {
    this.#pending = false;
    const requests = this.#gathered;
    this.#gathered = [];
    const replica = this.#host.placementReplica();
    if (replica === undefined || !replica.leads) {
      for (const { done } of requests) done(replica?.notLeading() ?? noSequencer());
      return;
    }
    const round = this.#nextRound++;
    this.#rounds.set(round, requests);
    replica.confirm(this, round, 0, this.#scratch.copy());
  }

  #grant(request: Request): void {
    const replica = this.#host.placementReplica();
    if (replica === undefined || !replica.leads) return request.done(noSequencer());
    if (replica.raft.term !== this.#term) {
      this.#windows.clear();
      this.#term = replica.raft.term;
    }
    for (const { keyspaceId, count } of request.allocations) {
      const window = this.#window(keyspaceId);
      if (window.current + count > window.reservedTo) {
        this.#extend(keyspaceId, window, request);
        return;
      }
    }
    request.done(request.allocations.map((each) => this.#take(each)));
  }

  #take({ keyspaceId, count }: Allocation): number {
    const window = this.#window(keyspaceId);
    if (count === 0) return window.current;
    const base = window.current + 1;
    window.current += count;
    return base;
  }

  #window(keyspaceId: number): Window {
    let window = this.#windows.get(keyspaceId);
    if (window === undefined) {
      // What an earlier sequencer reserved it may have handed out: start above it.
      const reservedTo = Math.max(this.#host.reservedTo(keyspaceId), 1);
      window = { current: reservedTo, reservedTo };
      this.#windows.set(keyspaceId, window);
    }
    return window;
  }

  /** Reserves more and asks again; leadership is confirmed anew then. */
  #extend(keyspaceId: number, window: Window, request: Request): void {
    const total = request.allocations.reduce((sum, each) => sum + each.count, 0);
    const upTo = window.current + total + WINDOW;
    const term = this.#term;
    this.#host.reserve(keyspaceId, upTo).then(
      () => {
        if (this.#term === term) window.reservedTo = Math.max(window.reservedTo, upTo);
        this.allocate(request.allocations, request.done);
      },
      (error: unknown) => request.done(KvError.from(error)),
    );
  }
}

function noSequencer(): KvError {
  return notApplied("unavailable", "this node does not hand out revisions");
}
