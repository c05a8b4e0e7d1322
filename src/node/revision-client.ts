/**
 * Asks the sequencer for revisions on behalf of all shards led by this node: what is wanted in one
 * turn of the loop leaves as one request.
 *
 *   request   u32 n | n × (u32 keyspaceId, u32 count)      answer   n × u53
 */
import type { ByteReader, ByteWriter } from "../base/coding.js";
import type { Env } from "../env/env.js";
import { KvError, notApplied } from "../protocol/errors.js";
import { MESSAGE_TYPES } from "../protocol/message-types.js";
import type { RevisionSource } from "../shard/write-path.js";
import type { Allocation, AllocationDone, Sequencer } from "./sequencer.js";
import type { Peers } from "./peers.js";

const ALLOCATE_TIMEOUT_MS = 1000;

interface Wish extends Allocation {
  readonly done: (base: number | KvError) => void;
}

export class RevisionClient implements RevisionSource {
  readonly #env: Env;
  readonly #nodeId: number;
  readonly #sequencer: Sequencer;
  readonly #peers: Peers;
  readonly #placementLeader: () => number;
  readonly #runAsk = (): void => this.#ask();
  #wishes: Wish[] = [];
  #pending = false;

  constructor(
    env: Env,
    nodeId: number,
    parts: { readonly sequencer: Sequencer; readonly peers: Peers },
    placementLeader: () => number,
  ) {
    this.#env = env;
    this.#nodeId = nodeId;
    this.#sequencer = parts.sequencer;
    this.#peers = parts.peers;
    this.#placementLeader = placementLeader;
  }

  allocate(
    request: { readonly keyspaceId: number; readonly count: number },
    done: (base: number | KvError) => void,
  ): void {
    this.#wishes.push({ keyspaceId: request.keyspaceId, count: request.count, done });
    if (this.#pending) return;
    this.#pending = true;
    this.#env.timers.endOfTurn(this.#runAsk);
  }

  #ask(): void {
    this.#pending = false;
    const wishes = this.#wishes;
    this.#wishes = [];
    const done: AllocationDone = (bases) => {
      for (let i = 0; i < wishes.length; i++) {
        wishes[i]!.done(bases instanceof KvError ? bases : bases[i]!);
      }
    };
    const leader = this.#placementLeader();
    if (leader === this.#nodeId) return this.#sequencer.allocate(wishes, done);
    const link = this.#peers.link(leader);
    if (link === undefined) {
      done(notApplied("unavailable", "the sequencer is not known at the moment"));
      return;
    }
    link.request(
      MESSAGE_TYPES.sequencerAllocate,
      (out) => encodeAllocations(out, wishes),
      {
        answered: (reader) => done(decodeBases(reader, wishes.length)),
        // Nothing was evaluated yet: whatever became of the request, no write happened.
        failed: (error) => done(notApplied("unavailable", `no revision: ${error.message}`)),
      },
      ALLOCATE_TIMEOUT_MS,
    );
  }
}

export function encodeAllocations(out: ByteWriter, allocations: readonly Allocation[]): void {
  out.u32(allocations.length);
  for (const { keyspaceId, count } of allocations) {
    out.u32(keyspaceId);
    out.u32(count);
  }
}

export function decodeAllocations(reader: ByteReader): Allocation[] {
  const allocations: Allocation[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    allocations.push({ keyspaceId: reader.u32(), count: reader.u32() });
  }
  return allocations;
}

export function encodeBases(out: ByteWriter, bases: readonly number[]): void {
  for (const base of bases) out.u53(base);
}

function decodeBases(reader: ByteReader, count: number): number[] {
  const bases: number[] = [];
  for (let i = 0; i < count; i++) bases.push(reader.u53());
  return bases;
}
