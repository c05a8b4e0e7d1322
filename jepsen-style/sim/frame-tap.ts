/**
 * Sits on the connections that nodes open to each other, where what is written is whole frames.
 * It reads the Raft messages among them for the ledgers and the trace, and while a fault says so it
 * loses, doubles, delays and keeps some, and says those again that it kept, even much later: Raft
 * must bear all of that within one run of sender and receiver. Other frames pass as they are.
 */
import { must } from "../../src/base/assert.js";
import { concatBytes } from "../../src/base/bytes.js";
import { ByteReader, readU32 } from "../../src/base/coding.js";
import type { Prng } from "../../src/base/prng.js";
import {
  FRAME_HEAD_BYTES,
  FRAME_LENGTH_BYTES,
  FRAME_TYPE_AT,
} from "../../src/protocol/frame-format.js";
import { MESSAGE_TYPES } from "../../src/protocol/message-types.js";
import type { Message } from "../../src/raft/message.js";
import { decodeMessage } from "../../src/raft/message-codec.js";
import { isPeerAddress } from "./cluster.js";
import type { SimProgram } from "./program.js";
import type { FrameFilter } from "./frame-filters.js";
import type { DialledEnd, Tap } from "./roads.js";
import type { World } from "./world.js";

/** Probabilities, each for every Raft message. */
export interface FrameFaults {
  readonly lose: number;
  readonly double: number;
  readonly delay: number;
  readonly delayMsMax: number;
  /** To be kept, and to be said again when another passes. */
  readonly replay: number;
}

export interface MessageObserver {
  /** A node says this, on a connection to another. */
  said(socket: DialledEnd, shardId: number, message: Message): void;
}

/** A frame that may be said again on another connection of the same two runs. */
interface Kept {
  readonly from: SimProgram;
  readonly to: SimProgram;
  readonly frame: Uint8Array;
}

const KEPT_MAX = 200;

export class FrameTap implements Tap {
  faults: FrameFaults | undefined;
  /** A message goes no further than to the first that takes it. */
  readonly filters: Set<FrameFilter> = new Set();
  /** Messages lost, doubled, delayed and said again so far. */
  struck = 0;
  readonly #world: World;
  readonly #prng: Prng;
  readonly #observer: MessageObserver;
  readonly #reader = new ByteReader();
  readonly #kept: Kept[] = [];

  constructor(world: World, prng: Prng, observer: MessageObserver) {
    this.#world = world;
    this.#prng = prng;
    this.#observer = observer;
  }

  passes(socket: DialledEnd, bytes: Uint8Array): Uint8Array {
    if (!isPeerAddress(must(socket.dialled))) return bytes;
    const out: Uint8Array[] = [];
    let changed = false;
    for (let at = 0; at < bytes.length;) {
      const end = at + FRAME_LENGTH_BYTES + readU32(bytes, at);
      if (bytes[at + FRAME_TYPE_AT] === MESSAGE_TYPES.raft) {
        if (this.#isTaken(socket, bytes, at, end)) {
          changed = true;
          at = end;
          continue;
        }
        if (this.faults !== undefined) {
          changed = this.#strike(this.faults, socket, bytes.subarray(at, end), out) || changed;
          at = end;
          continue;
        }
      }
      out.push(bytes.subarray(at, end));
      at = end;
    }
    return changed ? concatBytes(...out) : bytes;
  }

  /** Tells of a message; true where a filter takes it. */
  #isTaken(socket: DialledEnd, bytes: Uint8Array, at: number, end: number): boolean {
    this.#reader.open(bytes, at + FRAME_HEAD_BYTES, end);
    const shardId = this.#reader.u32();
    const message = decodeMessage(this.#reader);
    this.#observer.said(socket, shardId, message);
    const frame = bytes.subarray(at, end);
    for (const filter of this.filters) {
      if (!filter.takes({ socket, shardId, message, frame })) continue;
      this.struck++;
      return true;
    }
    return false;
  }

  /** Passes a frame on as the faults have it; true where that changed anything. */
  #strike(faults: FrameFaults, socket: DialledEnd, frame: Uint8Array, out: Uint8Array[]): boolean {
    const prng = this.#prng;
    const draw = prng.fraction();
    const replayed = prng.chance(faults.replay) && this.#replay(socket, frame, out);
    if (draw < faults.lose) {
      this.struck++;
      return true;
    }
    if (draw < faults.lose + faults.delay) {
      this.struck++;
      this.#world.after(prng.fraction() * faults.delayMsMax, "late frame", socket.program, () => {
        if (socket.open) socket.send(frame);
      });
      return true;
    }
    out.push(frame);
    if (draw > 1 - faults.double) {
      this.struck++;
      out.push(frame);
      return true;
    }
    return replayed;
  }

  /** Says something old again, and keeps what is said now. */
  #replay(socket: DialledEnd, frame: Uint8Array, out: Uint8Array[]): boolean {
    const { program, peerProgram } = socket;
    const kept: Kept = { from: program, to: peerProgram, frame: frame.slice() };
    if (this.#kept.length < KEPT_MAX) this.#kept.push(kept);
    else this.#kept[this.#prng.between(0, KEPT_MAX - 1)] = kept;
    const old = this.#kept[this.#prng.between(0, this.#kept.length - 1)];
    if (old === undefined || old.from !== program || old.to !== peerProgram) return false;
    this.struck++;
    out.push(old.frame);
    return true;
  }
}
